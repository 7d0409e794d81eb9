"""RSNA Pneumonia, SIIM Pneumothorax and MS-CXR."""

import json

import pytest
from official_trees import film, ids, ms_cxr, present, read, table

from offclip.errors import DataError


@pytest.fixture
def rsna(tmp_path):
    header = ["patientId", "x", "y", "width", "height", "Target"]
    rows = [["a", 1, 2, 3, 4, 1], ["a", 5, 6, 1, 1, 1], ["b", "", "", "", "", 0], ["c", "", "", "", "", 0]]
    table(tmp_path / "stage_2_train_labels.csv", header, rows)
    classes = [["a", "Lung Opacity"], ["b", "No Lung Opacity / Not Normal"], ["c", "Normal"]]
    table(tmp_path / "stage_2_detailed_class_info.csv", ["patientId", "class"], classes)
    for name in "abc":
        film(tmp_path / "stage_2_train_images" / f"{name}.dcm")
    film(tmp_path / "stage_2_test_images" / "z.dcm")
    return tmp_path


def test_rsna(rsna):
    peer = read("rsna-peer", rsna)
    assert present("rsna-peer", peer) == {"a": ["Pneumonia"], "b": [], "c": []}
    clean = read("rsna-clean", rsna)
    assert present("rsna-clean", clean) == {"a": ["Pneumonia"], "b": [], "c": ["Normal"]}
    assert clean.normal.tolist() == [0, 0, 1]
    assert [box.finding for box in clean.boxes["a"]] == ["Pneumonia", "Pneumonia"]
    assert any("every film counts as a patient" in note for note in clean.notes)


def test_rsna_without_classes_knows_no_normal_film(rsna):
    (rsna / "stage_2_detailed_class_info.csv").unlink()
    entries = [
        {"subset_img_id": name, "img_id": f"0000000{n}_000.png"} for n, name in enumerate("aab", start=1)
    ]
    (rsna / "pneumonia-challenge-dataset-mappings_2018.json").write_text(json.dumps(entries))
    clean = read("rsna-clean", rsna)
    assert str(clean.normal.tolist()) == "[0.0, nan, nan]"
    assert clean.patient_ids == ("00000002", "00000003", "c")
    (rsna / "stage_2_train_labels.csv").unlink()
    with pytest.raises(DataError, match=r"stage_2_train_labels\.csv: no such file"):
        read("rsna-peer", rsna)


def test_siim(tmp_path):
    rows = [["a", "0 2 6 2"], ["b", "-1"]]
    table(tmp_path / "train-rle.csv", ["ImageId", " EncodedPixels"], rows)
    for name in "ab":
        film(tmp_path / "dicom-images-train" / f"study-{name}" / "series" / f"{name}.dcm")
    for variant in ("peer", "clean"):
        data = read(f"siim-{variant}", tmp_path)
        assert present(f"siim-{variant}", data) == {"a": ["Pneumothorax"], "b": []}
        assert str(data.normal.tolist()) == "[0.0, nan]"  # no pneumothorax is not a normal film
        assert data.study_ids == ("study-a", "study-b")
        assert list(data.boxes) == ["a"]
    (tmp_path / "train-rle.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"train-rle\.csv: the file is empty"):
        read("siim-peer", tmp_path)


def test_ms_cxr(tmp_path):
    rows = [(1, "Pneumonia", "train"), (2, "Edema", "val"), (3, "Pneumothorax", "test")]
    root = ms_cxr(tmp_path, rows)
    peer, clean = read("ms-cxr-boxes-peer", root), read("ms-cxr-boxes-clean", root)
    assert list(present("ms-cxr-boxes-peer", peer).values()) == [["Pneumonia"], ["Edema"], ["Pneumothorax"]]
    assert ids(clean) == ids(peer)
    assert ids(clean, "validate") == []
    assert [(b.finding, b.x, b.y, b.width, b.height) for b in peer.boxes[ids(peer)[1]]] == [
        ("Edema", 10, 20, 30, 40)
    ]
    assert peer.normal.tolist() == [0, 0, 0]
    with pytest.raises(DataError, match=r"MS_CXR_Local_Alignment_v1\.1\.0\.csv: no such file"):
        read("ms-cxr-boxes-peer", tmp_path / "elsewhere")
