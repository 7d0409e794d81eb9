"""ChestX-Det10 in the layout of its publishers, with made entries."""

import json

import pytest
from PIL import Image

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.label_map import label_table
from offclip.data.datasets.readers.chestx_det10 import FINDINGS, ChestXDet10
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.files import Skipped
from offclip.errors import DataError

TRAIN = [
    {"file_name": "00000004_000.png", "syms": [], "boxes": []},
    {
        "file_name": "00000042_006.png",
        "syms": ["Fibrosis", "Mass"],
        "boxes": [[632, 721, 909, 969], [1, 2, 4, 6]],
    },
    {"file_name": "00000071_001.png", "syms": ["Pneumothorax"], "boxes": [[196.5, 117, 449, 945]]},
]
TEST = [
    {
        "file_name": "00000071_008.png",
        "syms": ["Effusion", "Effusion"],
        "boxes": [[9, 8, 10, 10], [1, 2, 3, 4]],
    },
]


def write(root, part, entries):
    (root / f"{part}.json").write_text(json.dumps(entries))


@pytest.fixture
def root(tmp_path):
    for part, entries in (("train", TRAIN), ("test", TEST)):
        write(tmp_path, part, entries)
        (tmp_path / f"{part}_data").mkdir()
        for entry in entries:
            Image.new("L", (8, 8)).save(tmp_path / f"{part}_data" / entry["file_name"])
    return tmp_path


def read(root, option=""):
    reader = ChestXDet10(root, option)
    found = list(reader.read())
    images = [item for item in found if isinstance(item, ImageRecord)]
    return images, [item for item in found if isinstance(item, Skipped)], reader.notes


def test_every_field_of_the_official_layout(root):
    images, skipped, notes = read(root, "official")
    assert skipped == []
    assert [(r.image_id, r.study_id, r.patient_id, r.split, r.row) for r in images] == [
        ("00000004_000", "00000004_000", "00000004", "train", 1),
        ("00000042_006", "00000042_006", "00000042", "train", 2),
        ("00000071_001", "00000071_001", "00000071", "train", 3),
        ("00000071_008", "00000071_008", "00000071", "test", 1),
    ]
    assert [r.path for r in images] == [
        *(root / "train_data" / entry["file_name"] for entry in TRAIN),
        root / "test_data" / "00000071_008.png",
    ]
    assert all(r.path.is_file() for r in images)
    assert {(r.view, r.age_years, r.sex, r.report) for r in images} == {("frontal", None, "", "")}
    assert [r.source for r in images] == [str(root / "train.json")] * 3 + [str(root / "test.json")]
    assert all(tuple(r.labels) == FINDINGS for r in images)
    assert [[name for name, value in r.labels.items() if value] for r in images] == [
        [], ["Fibrosis", "Mass"], ["Pneumothorax"], ["Effusion"],
    ]  # fmt: skip
    assert images[1].boxes == (
        FindingBox("Fibrosis", 632.0, 721.0, 277.0, 248.0),
        FindingBox("Mass", 1.0, 2.0, 3.0, 4.0),
    )
    assert len(images[3].boxes) == 2
    assert notes == ["1 training film(s) of 1 patient(s) of the test part are kept."]


def test_by_default_no_patient_is_in_both_parts(root):
    images, skipped, notes = read(root)
    assert [(r.image_id, r.split) for r in images] == [
        ("00000004_000", "train"), ("00000042_006", "train"), ("00000071_008", "test"),
    ]  # fmt: skip
    reason = "its patient is in the test part (kept with the option official)"
    assert skipped == [Skipped(str(root / "train.json"), 3, "00000071_001", reason)]
    assert notes == ["1 training film(s) of 1 patient(s) of the test part are left out."]
    assert ChestXDet10(root).card.published == {"images test": 542}
    assert ChestXDet10(root, "official").card.published["images"] == 3543


def test_the_images_of_chestxray14_do_as_well(root):
    (root / "images").mkdir()
    (root / "train_data" / "00000004_000.png").rename(root / "images" / "00000004_000.png")
    images, _, _ = read(root)
    assert images[0].path == root / "images" / "00000004_000.png"


def test_a_list_without_boxes_gives_labels(root):
    write(root, "test", [{"file_name": "00000071_008.png", "syms": ["Effusion"]}])
    record = read(root)[0][-1]
    assert (record.labels["Effusion"], record.boxes) == (1, ())


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"file_name": "a.png", "syms": [], "boxes": []}, "file_name is not a name"),
        ({"syms": [], "boxes": []}, "file_name is not a name"),
        (["00000001_000.png"], "file_name is not a name"),
        ({"file_name": "00000001_000.png", "boxes": []}, "syms is not a list"),
        ({"file_name": "00000001_000.png", "syms": "Mass", "boxes": []}, "syms is not a list"),
        ({"file_name": "00000001_000.png", "syms": ["Mass"], "boxes": []}, "a box for each of syms"),
        ({"file_name": "00000001_000.png", "syms": ["Mass"], "boxes": [[1, 2, 3]]}, "box 1 is not"),
        ({"file_name": "00000001_000.png", "syms": ["Mass"], "boxes": [[5, 2, 3, 4]]}, "box 1 is not"),
        ({"file_name": "00000001_000.png", "syms": ["Mass"], "boxes": [["1", 2, 3, 4]]}, "box 1 is not"),
        ({"file_name": "00000001_000.png", "syms": ["Mass"], "boxes": [[1, 2, float("nan"), 4]]}, "box 1 is"),
        ({"file_name": "00000001_000.png", "syms": ["Mass"], "boxes": [[1, 2, float("inf"), 4]]}, "box 1 is"),
    ],
)
def test_entries_that_cannot_be_used_are_left_out_with_their_number(root, entry, reason):
    write(root, "test", [*TEST, entry])
    images, skipped, _ = read(root, "official")
    assert len(images) == 4
    assert [(s.source, s.row) for s in skipped] == [(str(root / "test.json"), 2)]
    assert reason in skipped[0].reason


def test_an_unknown_finding_stops_with_file_and_entry(root):
    write(
        root, "train", [*TRAIN, {"file_name": "00000005_000.png", "syms": ["Cyst"], "boxes": [[1, 2, 3, 4]]}]
    )
    with pytest.raises(DataError, match=r"train\.json: entry 4, syms: 'Cyst'"):
        read(root)


@pytest.mark.parametrize("text", ["", "{}", "[", "[" * 100_000, '{"file_name": 1}', "\x00"])
def test_a_broken_table_names_the_file(root, text):
    (root / "test.json").write_text(text)
    with pytest.raises(DataError, match=r"test\.json: not "):
        read(root)


def test_one_part_is_enough_and_none_is_not(root):
    (root / "test.json").unlink()
    images, _, notes = read(root)
    assert (len(images), notes) == (3, ["No test.json: the test part is left out."])
    (root / "train.json").unlink()
    with pytest.raises(DataError, match=r"train\.json: no such file \(nor test\.json\)"):
        open_set("chestx-det10", root)


def test_every_label_has_an_entry():
    assert set(label_table()["chestx-det10"]) == set(FINDINGS)
