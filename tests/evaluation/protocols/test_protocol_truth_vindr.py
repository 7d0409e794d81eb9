"""VinDr-CXR: 17 columns with the exclusion of the peers, and all films in the clean protocol."""

import numpy as np
import pytest
from official_trees import column, ids, present, read, vindr

from offclip.errors import DataError
from offclip.evaluation.protocols.load import load_protocol

TEST = {
    "t1": {"Cardiomegaly", "Pleural effusion"},
    "t2": {"No finding"},
    "t3": {"Rib fracture"},  # none of the 17
    "t4": {"Other disease"},
    "t5": {"Nodule/Mass", "Other lesion"},
}
TRAIN = {"r1": {"Edema"}, "r2": {"No finding"}}


@pytest.fixture
def root(tmp_path):
    return vindr(tmp_path, TEST, TRAIN)


def test_peer(root):
    data = read("vindr-cxr-peer", root)
    assert present("vindr-cxr-peer", data) == {
        "t1": ["Cardiomegaly", "Pleural effusion"],
        "t2": ["No finding"],
        "t5": ["Nodule/Mass"],
    }
    assert data.truth.shape == (3, 17)
    assert not np.isnan(data.truth).any()
    assert data.normal.tolist() == [0, 1, 0]
    assert [(s.id, s.reason) for s in data.skipped] == [
        ("t3", "left out by the protocol (no-class-present)"),
        ("t4", "left out by the protocol (no-class-present)"),
    ]
    assert set(data.splits) == {"test"}
    assert data.images[0].path == root / "test" / "t1.dicom"
    assert data.attributes == {"view": ("PA", "PA", "PA")}


def test_clean(root):
    data = read("vindr-cxr-clean", root)
    shown = present("vindr-cxr-clean", data)
    assert ids(data) == list(TEST)
    assert (shown["t3"], shown["t4"], shown["t5"]) == (["Rib fracture"], [], ["Nodule/Mass"])
    assert ids(data, "validate") == ["r1", "r2"]
    assert data.normal.tolist() == [0, 1, 0, 0, 0, 0, 1]
    assert data.skipped == []
    assert ids(read("vindr-cxr-clean", root, with_validation=False), "validate") == []


def test_without_the_training_part_there_is_no_validation_split(tmp_path):
    data = read("vindr-cxr-clean", vindr(tmp_path, TEST))
    assert ids(data, "validate") == []
    assert any("there is no validation split" in note for note in data.notes)


def test_boxes(root):
    data = read("vindr-boxes-peer", root)
    assert {
        i: [(b.finding, b.x, b.y, b.width, b.height) for b in boxes] for i, boxes in data.boxes.items()
    } == {
        "t1": [(name, 1, 2, 4, 5) for name in TEST["t1"]],
        "t5": [("Nodule/Mass", 1, 2, 4, 5)],
    }
    assert ids(data) == ["t1", "t5"]
    clean = read("vindr-boxes-clean", root)
    assert ids(clean) == ["t1", "t3", "t5"]
    assert clean.boxes["t3"][0].finding == "Rib fracture"
    assert ids(clean, "validate") == ["r1"]
    assert len(clean.boxes["r1"]) == 3  # one of each reader
    assert column("vindr-boxes-clean", clean, "Rib fracture") == [0, 1, 0, 0]


def test_no_film_is_there(tmp_path):
    root = vindr(tmp_path, {"t1": {"Edema"}})
    (root / "test" / "t1.dicom").unlink()
    with pytest.raises(DataError, match=r"no image of vindr-cxr-peer is there, such as .*t1\.dicom"):
        read("vindr-cxr-peer", root)
    with pytest.raises(DataError, match=r"has no image in the 'test' part .* left out by the protocol"):
        read("vindr-cxr-peer", vindr(tmp_path / "b", {"t1": {"COPD"}}))


def test_a_table_that_is_missing_or_broken(root):
    path = root / "annotations" / "image_labels_test.csv"
    path.write_text(path.read_text().replace("Lung tumor", "Tumour"))
    with pytest.raises(DataError, match=r"image_labels_test\.csv: column 'Lung tumor' is missing"):
        read("vindr-cxr-peer", root)
    path.write_bytes(b"\0\1\2")
    with pytest.raises(DataError, match=r"image_labels_test\.csv: not a text file"):
        read("vindr-cxr-peer", root)
    path.unlink()
    with pytest.raises(DataError, match="no image in the 'test' part"):
        read("vindr-cxr-peer", root)
    with pytest.raises(DataError, match=r"image_labels_train\.csv: no such file"):
        read("vindr-cxr-peer", root / "elsewhere")


def test_seventeen_columns_in_the_order_of_the_peers():
    assert [rule.name for rule in load_protocol("vindr-cxr-peer").classes] == [
        "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Consolidation", "Edema",
        "Emphysema", "Enlarged PA", "Infiltration", "Lung Opacity", "Nodule/Mass", "Pleural effusion",
        "Pleural thickening", "Pneumothorax", "Lung tumor", "Pneumonia", "No finding",
    ]  # fmt: skip
