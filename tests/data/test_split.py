"""Splits by patient."""

from collections import Counter

from offclip.data.split import split_of

PATIENTS = [f"P{i:05}" for i in range(4000)]


def test_fractions_are_kept():
    counts = Counter(split_of(patient) for patient in PATIENTS)
    for split, share in (("train", 0.7), ("validate", 0.1), ("test", 0.2)):
        assert abs(counts[split] / len(PATIENTS) - share) < 0.025


def test_a_split_never_changes():
    # Written down, so that a new version of offclip cannot move a patient from test to train.
    assert [split_of(f"P{i}") for i in range(8)] == EXPECTED


def test_another_seed_splits_anew_and_empty_parts_stay_empty():
    assert {split_of(p, seed=1) == split_of(p) for p in PATIENTS} == {True, False}
    assert {split_of(p, (1, 0, 0)) for p in PATIENTS} == {"train"}
    assert {split_of(p, (0, 0, 3)) for p in PATIENTS} == {"test"}
    assert {split_of(p, (2, 0, 2)) for p in PATIENTS} == {"train", "test"}


EXPECTED = ["train", "validate", "train", "train", "train", "train", "train", "train"]
