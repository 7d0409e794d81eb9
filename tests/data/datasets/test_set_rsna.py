import csv
import json
from pathlib import Path

import pytest

from offclip.data.datasets.label_map import LabelMap
from offclip.data.datasets.readers.rsna_pneumonia import MAPPING, RsnaPneumonia
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.files import Skipped
from offclip.errors import DataError

HEADER = "patientId,x,y,width,height,Target\n"
LABELS = (
    HEADER + "0004cfab-14fd-4e49-80ba-63a80b6bddd6,,,,,0\n"
    "00436515-870c-4b36-a041-de91049b9ab4,264.0,152.0,213.0,379.0,1\n"
    "00436515-870c-4b36-a041-de91049b9ab4,562.0,152.0,256.0,453.0,1\n"
    "003d8fa0-6bf1-40ed-b54c-ac657f8495c5,,,,,0\n"
)
CLASSES = (
    "patientId,class\n"
    "0004cfab-14fd-4e49-80ba-63a80b6bddd6,No Lung Opacity / Not Normal\n"
    "00436515-870c-4b36-a041-de91049b9ab4,Lung Opacity\n"
    "00436515-870c-4b36-a041-de91049b9ab4,Lung Opacity\n"
    "003d8fa0-6bf1-40ed-b54c-ac657f8495c5,Normal\n"
)


def tree(root: Path, labels: str = LABELS, classes: str = CLASSES) -> Path:
    (root / "stage_2_train_labels.csv").write_text(labels)
    if classes:
        (root / "stage_2_detailed_class_info.csv").write_text(classes)
    for split in ("train", "test"):
        (root / f"stage_2_{split}_images").mkdir()
    (root / "stage_2_test_images" / "0000a175-0e68-4ca4-b1af-167204a7e0bc.dcm").write_bytes(b"film")
    return root


def read(root: Path) -> tuple[list[ImageRecord], list[Skipped], list[str]]:
    reader = RsnaPneumonia(root)
    items = list(reader.read())
    records = [item for item in items if isinstance(item, ImageRecord)]
    return records, [item for item in items if isinstance(item, Skipped)], reader.notes


def test_films_with_several_boxes_are_one_record(tmp_path):
    records, skipped, _ = read(tree(tmp_path))
    assert skipped == []
    assert [r.image_id[:8] for r in records] == ["0004cfab", "00436515", "003d8fa0", "0000a175"]
    film = records[1]
    image_id = "00436515-870c-4b36-a041-de91049b9ab4"
    assert film == ImageRecord(
        image_id,
        image_id,
        image_id,
        tmp_path / "stage_2_train_images" / f"{image_id}.dcm",
        split="train",
        view="frontal",
        labels={"Lung Opacity": 1, "No Lung Opacity / Not Normal": 0, "Normal": 0},
        boxes=(
            FindingBox("Lung Opacity", 264, 152, 213, 379),
            FindingBox("Lung Opacity", 562, 152, 256, 453),
        ),
        source=str(tmp_path / "stage_2_train_labels.csv"),
        row=3,
    )
    assert [list(r.labels.values()) for r in records] == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [None] * 3]
    assert records[3].split == "test"
    assert records[3].path.is_file()


def test_labels_become_pneumonia_and_normal(tmp_path):
    records, _, _ = read(tree(tmp_path))
    labels = LabelMap("rsna-pneumonia", records[0].labels)
    assert labels.findings == ("pneumonia",)
    codes = [labels.read(tuple(r.labels.values())).code for r in records]
    assert codes == ["00", "01", "10", "--"]  # normal, then pneumonia
    assert labels.word_of(records[1].boxes[0].label) == "pneumonia"


def test_without_the_classes_only_an_opacity_is_known(tmp_path):
    records, _, notes = read(tree(tmp_path, classes=""))
    assert [list(r.labels.values())[:1] for r in records] == [[0], [1], [0], [None]]
    assert records[0].labels["Normal"] is None
    assert any("stage_2_detailed_class_info.csv" in note for note in notes)


def test_the_mapping_of_rsna_names_the_nih_patient(tmp_path):
    below = tree(tmp_path) / "rsna"
    below.mkdir()
    entry = {
        "subset_img_id": "00436515-870c-4b36-a041-de91049b9ab4",
        "img_id": "00013635_002.png",
        "orig_labels": ["Infiltration"],
    }
    (below / MAPPING).write_text(json.dumps([entry]))
    records, _, _ = read(tmp_path)
    assert records[1].patient_id == "00013635"
    assert records[0].patient_id == records[0].image_id
    assert below / MAPPING in RsnaPneumonia(tmp_path).tables()


@pytest.mark.parametrize(
    "text", ["[{}]", "{}", '[{"subset_img_id": 3, "img_id": "a"}]', "[" * 100_000, "\xff"]
)
def test_a_broken_mapping_is_named(tmp_path, text):
    (tree(tmp_path) / MAPPING).write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=MAPPING):
        list(RsnaPneumonia(tmp_path).read())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,,,,,2", "Target is '2'"),
        ("a,,,,,", "Target is ''"),
        (",,,,,0", "patientId is empty"),
        ("a,1,2,3,,1", "no box"),
        ("a,1,2,3,-4,1", "no box"),
        ("a,1,2,inf,4,1", "no box"),
        ("a,0", "2 cells instead of 6"),
    ],
)
def test_bad_rows_are_left_out_with_their_number(tmp_path, row, reason):
    records, skipped, _ = read(tree(tmp_path, LABELS + row + "\n"))
    assert len(records) == 4
    assert [(s.row, s.id) for s in skipped] == [(6, row.partition(",")[0])]
    assert skipped[0].source.endswith("stage_2_train_labels.csv")
    assert reason in skipped[0].reason


def test_films_that_contradict_themselves_are_left_out(tmp_path):
    labels = HEADER + "a,1,2,3,4,1\na,,,,,0\nb,,,,,0\nc,,,,,0\n"
    classes = "patientId,class\na,Lung Opacity\nb,Lung Opacity\nc,Normal\nc,Lung Opacity\nc,Other\n"
    records, skipped, _ = read(tree(tmp_path, labels, classes))
    assert [r.image_id for r in records if r.split == "train"] == ["c"]
    assert [(s.row, s.id) for s in skipped] == [(5, "c"), (6, "c"), (2, "a"), (4, "b")]


def test_missing_tables_and_columns_are_named(tmp_path):
    with pytest.raises(DataError, match=r"stage_2_train_labels\.csv: no such file"):
        RsnaPneumonia(tmp_path)
    tree(tmp_path, LABELS.replace("Target", "target"))
    with pytest.raises(DataError, match=r"stage_2_train_labels\.csv: column 'Target' is missing"):
        RsnaPneumonia(tmp_path)


def test_real_rows_of_the_challenge(tmp_path):
    folder = Path(__file__).parents[4] / "shared" / "data" / "nih_chestxray14"
    if not folder.is_dir():
        pytest.skip("the real films are not there (../shared/data/nih_chestxray14)")
    films = [r for r in read_csv(folder / "metadata.csv") if r["rsna_patientId"]]
    boxes = [r for r in read_csv(folder / "boxes.csv") if "RSNA" in r["annotation_source"]]
    ids = {film["image"]: film["rsna_patientId"] for film in films}
    labels, classes, mapping = HEADER, "patientId,class\n", []
    for film in films:
        own = [box for box in boxes if box["image"] == film["image"]]
        for box in own or [None]:
            corner = ",".join(str(4 * float(box[c])) for c in "xywh") if box else ",,,"
            labels += f"{film['rsna_patientId']},{corner},{int(box is not None)}\n"
            classes += f"{film['rsna_patientId']},{film['rsna_class']}\n"
        mapping.append({"subset_img_id": film["rsna_patientId"], "img_id": film["nih_image_index"]})
    tree(tmp_path, labels, classes)
    (tmp_path / MAPPING).write_text(json.dumps(mapping))
    records, skipped, notes = read(tmp_path)
    assert skipped == []
    assert notes == []
    by_id = {r.image_id: r for r in records if r.split == "train"}
    assert len(by_id) == len(films) > 100
    for film in films:
        record = by_id[film["rsna_patientId"]]
        assert [name for name, value in record.labels.items() if value] == [film["rsna_class"]]
        assert len(record.boxes) == int(film["n_boxes_rsna"])
        assert int(record.patient_id) == int(film["patient_id"])
    assert sum(len(r.boxes) for r in records) == sum(box["image"] in ids for box in boxes)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
