"""ChestX-ray14 by two lists, and ChestX-Det10."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from official_trees import chestxray14, column, det10, ids, present, read

from offclip.errors import DataError
from offclip.evaluation.protocols.load import load_protocol

LOGITS = Path(__file__).parents[4] / "shared" / "data" / "carzero_logits" / "chestxray14_test.csv.gz"
FILMS = {
    "00000001_000.png": "Cardiomegaly|Effusion",
    "00000002_000.png": "No Finding",
    "00000002_001.png": "Hernia",
    "00000003_000.png": "Mass",
    "00000004_000.png": "No Finding",
}
LISTS = {
    "test_list.txt": ["00000001_000.png", "00000004_000.png"],
    "train_val_list.txt": ["00000002_000.png", "00000002_001.png", "00000003_000.png"],
    "carzero_test_list.txt": [
        "x/00000001_000.png 0 1 0 0 0 0 0 0 0 0 0 0 0 0",  # the effusion of the table is not in the list
        "x/00000002_000.png 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
    ],
}


@pytest.fixture
def root(tmp_path):
    return chestxray14(tmp_path, FILMS, LISTS)


def test_carzeros_list(root):
    data = read("chestxray14-peer", root)
    assert present("chestxray14-peer", data) == {"00000001_000": ["Cardiomegaly"], "00000002_000": []}
    assert data.normal.tolist() == [0, 1]
    assert data.patient_ids == ("00000001", "00000002")
    assert set(data.splits) == {"test"}


def test_the_official_list(root):
    peer = read("chestxray14-official-peer", root)
    assert present("chestxray14-official-peer", peer) == {
        "00000001_000": ["Cardiomegaly", "Effusion"],
        "00000004_000": [],
    }
    clean = read("chestxray14-clean", root)
    assert ids(clean) == ["00000001_000", "00000004_000"]
    assert ids(clean, "validate") == ["00000002_000", "00000002_001", "00000003_000"]
    assert column("chestxray14-clean", clean, "No Finding") == [0, 1, 1, 0, 0]


def test_no_patient_of_carzeros_list_sets_a_threshold(root):
    data = read("chestxray14-22433-clean", root)
    assert ids(data) == ["00000001_000", "00000002_000"]
    # Patient 2 is in the official training list, with a film that CARZero's list does not name.
    assert ids(data, "validate") == ["00000003_000"]
    assert any("2 image(s) of the train part" in note and "are tested" in note for note in data.notes)


def test_a_tested_patient_stays_out_even_where_his_film_is_not_on_disk(root):
    (root / "images" / "00000002_000.png").unlink()
    data = read("chestxray14-22433-clean", root)
    assert (ids(data), ids(data, "validate")) == (["00000001_000"], ["00000003_000"])
    assert [(s.id, s.reason) for s in data.skipped] == [("00000002_000", "the image file is not there")]


def test_lists_that_are_missing_or_broken(root):
    (root / "carzero_test_list.txt").write_text("00000001_000.png 0 1\n")
    with pytest.raises(DataError, match=r"carzero_test_list\.txt: no such list with a name and 14 labels"):
        read("chestxray14-peer", root)
    (root / "test_list.txt").write_text("00000001.png\n")
    with pytest.raises(DataError, match=r"test_list\.txt: line 1 is not the name"):
        read("chestxray14-clean", root)
    (root / "Data_Entry_2017_v2020.csv").unlink()
    with pytest.raises(DataError, match=r"Data_Entry_2017_v2020\.csv: no such file"):
        read("chestxray14-clean", root)


def test_the_real_list_of_carzero(tmp_path):
    """The labels that lie beside the real logits, as a list, give back their counts."""
    if not LOGITS.is_file():
        pytest.skip("the real logits are not there (../shared/data/carzero_logits)")
    findings = [rule.name for rule in load_protocol("chestxray14-peer").classes]
    with gzip.open(LOGITS, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["image_id"][:8]) % 40 == 0]
    truth = np.array([[int(row[f"label_{name}"]) for name in findings] for row in rows])
    lines = [" ".join([row["image_id"], *map(str, t)]) for row, t in zip(rows, truth, strict=True)]
    films = {row["image_id"]: "No Finding" for row in rows}
    data = read("chestxray14-peer", chestxray14(tmp_path, films, {"carzero_test_list.txt": lines}))
    place = {f"{image.image_id}.png": row for row, image in enumerate(data.images)}
    assert data.truth[[place[row["image_id"]] for row in rows]].tolist() == truth.tolist()
    assert data.normal.sum() == (truth.sum(axis=1) == 0).sum()


def test_det10(tmp_path):
    det10(tmp_path, "test", {"00000001_000.png": ["Effusion", "Effusion", "Mass"], "00000002_000.png": []})
    det10(tmp_path, "train", {"00000001_001.png": ["Nodule"], "00000003_000.png": ["Fibrosis"]})
    peer = read("chestx-det10-peer", tmp_path)
    assert present("chestx-det10-peer", peer) == {"00000001_000": ["Effusion", "Mass"], "00000002_000": []}
    assert str(peer.normal.tolist()) == "[0.0, nan]"  # a film without a box is not known to be normal
    assert len(peer.boxes["00000001_000"]) == 3
    clean = read("chestx-det10-clean", tmp_path)
    assert ids(clean, "validate") == ["00000003_000"]
    (tmp_path / "test.json").write_text('[{"file_name": "00000001_000.png", "syms": ["Lump"]}]')
    with pytest.raises(DataError, match=r"test\.json: entry 1, syms: 'Lump'"):
        read("chestx-det10-peer", tmp_path)
