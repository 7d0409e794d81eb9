"""Features of sentences: the same everywhere, whatever they are computed together with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import InputError
from offclip.reports.classifier.features import (
    LONGEST,
    FeatureConfig,
    near_duplicate_key,
    normalise,
    sentence_features,
)

TEXTS = st.lists(st.text(max_size=40), max_size=6)


def row(features, i: int) -> dict[int, float]:
    part = slice(features.offsets[i], features.offsets[i + 1])
    summed: dict[int, float] = {}
    for column, value in zip(features.columns[part].tolist(), features.values[part].tolist(), strict=True):
        summed[column] = summed.get(column, 0.0) + value
    return summed


def test_the_columns_are_those_that_saved_weights_were_made_for():
    # A change here makes every saved classifier useless: raise FEATURES along with it.
    features = sentence_features(["No effusion."], FeatureConfig(words=2, characters_to=0))
    assert features.columns.tolist() == [100033, 147249, 159047, 199008, 227661]
    characters = sentence_features(["No 1.5 cm"], FeatureConfig(words=1, characters_from=7, characters_to=8))
    assert sorted(row(characters, 0)) == [67700, 127321, 149922, 152761, 180327, 215368, 227847, 252177]


@given(TEXTS)
@settings(derandomize=True, deadline=None)
def test_a_row_does_not_depend_on_its_neighbours(texts):
    config = FeatureConfig(bits=12)
    together = sentence_features(texts, config)
    for i, text in enumerate(texts):
        assert row(together, i) == row(sentence_features([text], config), 0)


@given(TEXTS)
@settings(derandomize=True, deadline=None)
def test_words_and_characters_each_have_length_one(texts):
    features = sentence_features(texts, FeatureConfig(characters_from=1, bits=20))
    lengths = np.add.reduceat(np.append(features.values**2, 0), features.offsets[:-1]) if texts else []
    for text, length, entries in zip(texts, lengths, np.diff(features.offsets), strict=True):
        if normalise(text):
            assert length == pytest.approx(2, rel=1e-5)
        else:
            assert entries == 0


def test_batches_do_not_show():
    texts = [f"There is opacity {i % 7} in zone {'abc'[i % 3]}." for i in range(5_000)]
    features = sentence_features(texts, FeatureConfig())
    assert row(features, 4_998) == row(sentence_features(texts[4_998:4_999], FeatureConfig()), 0)


def test_what_reads_the_same_has_the_same_features():
    config = FeatureConfig()
    for a, b in (("No EFFUSION.", "no  effusion ."), ("A 1.5 cm mass", "a 3 cm mass"), ("___ ok", "XXXX ok")):
        assert row(sentence_features([a], config), 0) == row(sentence_features([b], config), 0)
    assert row(sentence_features(["mass no"], config), 0) != row(sentence_features(["no mass"], config), 0)


def test_a_text_of_any_length_costs_no_more_than_the_longest_sentence():
    long = sentence_features(["a b " * 3_000_000], FeatureConfig())
    assert row(long, 0) == row(sentence_features([("a b " * LONGEST)[:LONGEST]], FeatureConfig()), 0)


def test_odd_strings():
    for text in ("\ud800", "\0\0", "\u202eabc", "한국어 흉부", "x" * 10_000, "XXXX"):
        features = sentence_features([text], FeatureConfig())
        assert np.isfinite(features.values).all()
        assert ((features.columns >= 0) & (features.columns < 2**18)).all()
    assert sentence_features([], FeatureConfig()).offsets.tolist() == [0]


def test_near_duplicates():
    for a, b in (
        ("There is a 3 mm nodule.", "There is a 5 mm nodule"),
        ("The lungs are clear.", "LUNGS CLEAR"),
        ("Effusion since XXXX.", "Effusion since ___"),
    ):
        assert near_duplicate_key(a) == near_duplicate_key(b)
    assert near_duplicate_key("No effusion.") != near_duplicate_key("Effusion.")


@pytest.mark.parametrize("wrong", [{"words": 0}, {"bits": 30}, {"characters_to": 2.5}, {"bits": True}])
def test_a_wrong_setting_is_named(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        FeatureConfig(**wrong)
