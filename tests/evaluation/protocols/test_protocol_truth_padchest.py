"""PadChest: every label of the physicians in the peers' protocols, findings alone in the clean ones."""

import json

import numpy as np
import pytest
from official_trees import column, ids, padchest, present, read

from offclip.errors import DataError
from offclip.evaluation.protocols.load import load_protocol

FILMS = {
    "1.a": ("PA", ["pneumonia", "unchanged"]),
    "1.b": ("L", ["pneumonia", "unchanged"]),
    "2.a": ("PA", ["normal"]),
    "3.a": ("AP", ["exclude"]),
    "4.a": ("PA", ["unchanged"]),
    "5.a": ("PA", ["empyema", "COPD signs"]),
}


@pytest.fixture
def root(tmp_path):
    return padchest(tmp_path, FILMS)


def test_peer_takes_every_label_and_every_view(root):
    data = read("padchest-peer", root)
    assert present("padchest-peer", data) == {
        name: sorted(labels, key=[r.name for r in load_protocol("padchest-peer").classes].index)
        for name, (_, labels) in FILMS.items()
    }
    assert data.truth.shape == (6, 193)
    assert not np.isnan(data.truth).any()
    assert data.normal.tolist() == [0, 0, 1, 0, 0, 0]
    assert any("No manual_image.json" in note for note in data.notes)
    assert data.attributes["view"] == ("PA", "lateral", "PA", "AP", "PA", "PA")
    assert data.attributes["age"] == ("64",) * 6


def test_the_192_without_normal(root):
    data = read("padchest-192-peer", root)
    assert data.truth.shape == (6, 192)
    assert data.normal[2] == 1
    assert data.truth[2].sum() == 0


def test_clean(root):
    data = read("padchest-clean", root)
    assert present("padchest-clean", data) == {
        "1.a": ["pneumonia"],
        "2.a": ["normal"],
        "5.a": ["COPD signs", "empyema"],
    }
    assert data.normal.tolist() == [0, 1, 0]
    assert {(s.id, s.reason.partition(" (")[0]) for s in data.skipped} == {
        ("1.b", "a lateral film; the protocol takes frontal ones"),
        ("3.a", "left out by the protocol"),
        ("4.a", "left out by the protocol"),
    }
    assert data.study_ids == ("1", "2", "5")
    assert column("padchest-20-clean", read("padchest-20-clean", root), "empyema") == [0, 0, 1]


def test_rows_that_a_network_labelled_do_not_count(tmp_path):
    with pytest.raises(DataError, match="padchest-peer has no image"):
        read("padchest-peer", padchest(tmp_path, FILMS, method="RNN_model"))


def test_the_file_of_the_peers_wins_over_the_table(root):
    labels = {"1.a.png": ["pneumonia"], "2.a.png": ["normal", " nodule", ""], "9.z.png": ["normal"]}
    (root / "manual_image.json").write_text(json.dumps(labels))
    data = read("padchest-peer", root)
    assert present("padchest-peer", data) == {"1.a": ["pneumonia"], "2.a": ["nodule", "normal"]}
    assert data.normal.tolist() == [0, 1]
    assert [(s.id, s.reason) for s in data.skipped] == [
        ("9.z", "the image is not among the rows that physicians labelled")
    ]
    assert ids(read("padchest-clean", root)) == ["1.a", "2.a", "5.a"]  # the clean one keeps to the table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "not a JSON object"),
        ("{", "not readable JSON"),
        ('{"1.a.png": "pneumonia"}', "'1.a.png' has no list of labels"),
        ('{"1.a.png": ["lump"]}', "'lump' is none of the labels"),
    ],
)
def test_a_broken_file_of_the_peers(root, text, message):
    (root / "manual_image.json").write_text(text)
    with pytest.raises(DataError, match=r"manual_image\.json") as caught:
        read("padchest-peer", root)
    assert message in caught.value.message
