"""VinDr-CXR in the layout of PhysioNet 1.0.0, and Kaggle's table, with made rows."""

import gzip
from pathlib import Path

import pytest

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.label_map import LabelMap, label_table
from offclip.data.datasets.readers.vindr_cxr import FINDINGS, KAGGLE_FINDINGS, NORMAL, VinDrCxr, agreed
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.files import Skipped
from offclip.errors import ConfigError, DataError

# The order and the spelling of the publishers' tables.
COMMON = (
    "Aortic enlargement,Atelectasis,Calcification,Cardiomegaly,Clavicle fracture,Consolidation,Edema,"
    "Emphysema,Enlarged PA,ILD,Infiltration,Lung Opacity,Lung cavity,Lung cyst,Mediastinal shift,Nodule/Mass,"
    "Pleural effusion,Pleural thickening,Pneumothorax,Pulmonary fibrosis,Rib fracture,Other lesion,COPD,"
    "Lung tumor,Pneumonia,Tuberculosis,"
)
TRAIN_LABELS = f"image_id,rad_id,{COMMON}Other diseases,No finding"
TEST_LABELS = f"image_id,{COMMON}Other disease,No finding"
TRAIN_BOXES = "image_id,rad_id,class_name,x_min,y_min,x_max,y_max"
TEST_BOXES = "image_id,class_name,x_min,y_min,x_max,y_max"
A, B, C, T = (letter * 32 for letter in "abcf")


def labels(*present, one="1", zero="0"):
    names = [*COMMON.rstrip(",").split(","), "Other diseases", NORMAL]
    return ",".join(one if name in present else zero for name in names)


@pytest.fixture
def root(tmp_path):
    tables = {
        "image_labels_train": [
            TRAIN_LABELS,
            f"{A},R11,{labels('Aortic enlargement', 'Other diseases')}",
            f"{A},R7,{labels('Aortic enlargement')}",
            f"{B},R9,{labels(NORMAL)}",
            f"{A},R10,{labels(NORMAL)}",
            f"{B},R10,{labels(NORMAL)}",
            f"{B},R8,{labels(NORMAL, one='1.0', zero='0.0')}",
        ],
        "annotations_train": [
            TRAIN_BOXES,
            f"{A},R11,Aortic enlargement,1055.5,512,1422.25,900",
            f"{A},R7,Aortic enlargement,1060,500,1400,880",
            f"{A},R11,Other diseases,,,,",
            f"{A},R10,No finding,,,,",
            f"{B},R9,No finding,,,,",
        ],
        "image_labels_test": [
            TEST_LABELS,
            f"{T},{labels('Nodule/Mass', 'Other diseases')}",
        ],
        "annotations_test": [TEST_BOXES, f"{T},Nodule/Mass,10,20,40,60", f"{T},Other disease,,,,"],
    }
    for name, rows in tables.items():
        write(tmp_path / "annotations" / f"{name}.csv", rows)
    for place in (f"train/{A}", f"train/{B}", f"test/{T}"):
        path = tmp_path / f"{place}.dicom"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(128) + b"DICM")
    return tmp_path


def write(path: Path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


def read(root, option=""):
    found = list(VinDrCxr(root, option).read())
    images = [item for item in found if isinstance(item, ImageRecord)]
    return images, [item for item in found if isinstance(item, Skipped)]


def present(record):
    return {name for name, value in record.labels.items() if value == 1}


def test_every_field_of_the_official_layout(root):
    images, skipped = read(root)
    assert skipped == []
    assert [(r.image_id, r.study_id, r.patient_id, r.split) for r in images] == [
        (A, A, A, "train"), (B, B, B, "train"), (T, T, T, "test"),
    ]  # fmt: skip
    first, _, last = images
    assert first.path == root / "train" / f"{A}.dicom"
    assert last.path == root / "test" / f"{T}.dicom"
    assert (first.view, first.age_years, first.sex, first.report) == ("PA", None, "", "")
    assert (first.source, first.row) == (str(root / "annotations" / "image_labels_train.csv"), 2)
    assert first.boxes == (
        FindingBox("Aortic enlargement", 1055.5, 512.0, 366.75, 388.0, "R11"),
        FindingBox("Aortic enlargement", 1060.0, 500.0, 340.0, 380.0, "R7"),
    )
    assert last.boxes == (FindingBox("Nodule/Mass", 10.0, 20.0, 30.0, 40.0),)
    assert all(tuple(r.labels) == (*FINDINGS, NORMAL) for r in images)
    assert present(last) == {"Nodule/Mass", "Other disease"}


@pytest.mark.parametrize(
    ("option", "of_a"),
    [
        ("", {"Aortic enlargement"}),
        ("majority", {"Aortic enlargement"}),
        ("any", {"Aortic enlargement", "Other disease"}),
        ("all", set()),
    ],
)
def test_three_readers_become_one_label(root, option, of_a):
    images, _ = read(root, option)
    assert present(images[0]) == of_a
    assert present(images[1]) == {NORMAL}
    assert set(images[0].labels.values()) <= {0, 1}


def test_a_tie_is_unknown(root):
    path = root / "annotations" / "image_labels_train.csv"
    write(path, [TRAIN_LABELS, f"{A},R1,{labels('Edema')}", f"{A},R2,{labels('Edema', 'COPD')}"])
    reader = VinDrCxr(root)
    first = next(item for item in reader.read() if isinstance(item, ImageRecord))
    assert (first.labels["Edema"], first.labels["COPD"], first.labels["ILD"]) == (1, None, 0)
    assert agreed(1, 3, "majority") == 0


def test_films_without_three_readers_are_counted(root):
    path = root / "annotations" / "image_labels_train.csv"
    path.write_text(path.read_text() + f"{C},R1,{labels(NORMAL)}\n")
    reader = VinDrCxr(root)
    assert len([item for item in reader.read() if isinstance(item, ImageRecord)]) == 4
    assert reader.notes == ["1 film(s) of the training part do not have three readers."]


def test_rows_that_cannot_be_used_are_left_out_with_their_number(root):
    path = root / "annotations" / "image_labels_train.csv"
    with path.open("a") as file:
        file.write(f"{A},R7,{labels(NORMAL)}\n,R7,{labels(NORMAL)}\n{C},,{labels(NORMAL)}\n")
        file.write(f"../{C},R1,{labels(NORMAL)}\n")
        file.write(f"{C},R1,{labels('ILD', one='2')}\n{C},R1\n")
    with (root / "annotations" / "annotations_train.csv").open("a") as file:
        file.write(f"{C},R1,ILD,1,2,3,4\n{A},R7,Pneumo,1,2,3,4\n{A},R7,ILD,5,2,5,4\n{A},R7,ILD,a,2,5,4\n")
    images, skipped = read(root)
    assert len(images) == 3
    assert len(images[0].boxes) == 2
    assert [(Path(s.source).name, s.row, s.id, s.reason.partition(" at ")[0]) for s in skipped] == [
        ("image_labels_train.csv", 8, A, "reader R7 has a row for this image already"),
        ("image_labels_train.csv", 9, "", "image_id is empty"),
        ("image_labels_train.csv", 10, C, "rad_id is empty"),
        ("image_labels_train.csv", 11, f"../{C}", "image_id is not the name of a file"),
        ("image_labels_train.csv", 12, C, "ILD is '2' instead of 0 or 1"),
        (
            "image_labels_train.csv", 13, C,
            "the row has 2 cells instead of 30; a text with commas needs quotes",
        ),
        ("annotations_train.csv", 7, C, "the image is not in the table of labels"),
        ("annotations_train.csv", 8, A, "unknown class_name 'Pneumo'"),
        ("annotations_train.csv", 9, A, "no box of a finding: ILD"),
        ("annotations_train.csv", 10, A, "no box of a finding: ILD"),
    ]  # fmt: skip


def test_a_broken_table_names_file_and_column(root):
    path = root / "annotations" / "image_labels_train.csv"
    path.write_text(path.read_text().replace(",ILD,", ",", 1))
    with pytest.raises(DataError, match=r"image_labels_train\.csv: column 'ILD' is missing"):
        VinDrCxr(root)
    write(root / "annotations" / "image_labels_train.csv", [TRAIN_LABELS])
    boxes = root / "annotations" / "annotations_test.csv"
    boxes.write_text(boxes.read_text().replace("x_max", "right"))
    with pytest.raises(DataError, match=r"annotations_test\.csv: column 'x_max' is missing"):
        list(VinDrCxr(root).read())


def test_a_root_without_tables_says_which(tmp_path):
    with pytest.raises(DataError, match=r"image_labels_train\.csv: no such file"):
        open_set("vindr-cxr", tmp_path)
    with pytest.raises(ConfigError, match="no option 'mean'"):
        open_set("vindr-cxr", tmp_path, "mean")


def test_one_part_without_boxes_is_enough(root):
    for name in ("image_labels_train.csv", "annotations_train.csv", "annotations_test.csv"):
        (root / "annotations" / name).unlink()
    reader = VinDrCxr(root)
    assert [item.image_id for item in reader.read() if isinstance(item, ImageRecord)] == [T]
    assert list(reader.tables()) == [root / "annotations" / "image_labels_test.csv"]
    assert [note.partition(":")[0] for note in reader.notes] == [
        "No annotations/image_labels_train.csv", "No annotations/annotations_test.csv",
    ]  # fmt: skip


def test_the_folders_that_wget_makes_are_found(root, tmp_path):
    inside = tmp_path / "physionet.org" / "files" / "vindr-cxr" / "1.0.0"
    inside.mkdir(parents=True)
    for name in ("annotations", "train", "test"):
        (root / name).rename(inside / name)
    images, _ = read(tmp_path)
    assert images[0].path == inside / "train" / f"{A}.dicom"
    assert images[0].path.is_file()


def test_packed_tables_are_read(root):
    for path in list((root / "annotations").glob("*.csv")):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert len(read(root)[0]) == 3


def test_kaggles_table_of_boxes(tmp_path):
    rows = [
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max",
        f"{A},No finding,14,R11,,,,",
        f"{B},Cardiomegaly,3,R10,691.0,1375.0,1653.0,1831.0",
        f"{A},No finding,14,R7,,,,",
        f"{B},Cardiomegaly,3,R8,700.0,1370.0,1650.0,1830.0",
        f"{B},Cardiomegaly,3,R8,1.0,2.0,3.0,4.0",
        f"{B},Pleural effusion,10,R9,1.0,2.0,3.0,4.0",
        f"{A},Nodule/Mass,8,R9,1.0,2.0,3.0,4.0",
        f"{A},Nodule/Mass,8,R9,5.0,2.0,7.0,4.0",
        f"{A},Nodules,8,R9,1.0,2.0,3.0,4.0",
    ]
    write(tmp_path / "train.csv", rows)
    images, skipped = read(tmp_path, "kaggle")
    assert [(r.image_id, present(r), len(r.boxes)) for r in images] == [
        (A, {NORMAL}, 2), (B, {"Cardiomegaly"}, 4),
    ]  # fmt: skip
    assert tuple(images[0].labels) == (*KAGGLE_FINDINGS, NORMAL)
    assert images[1].path == tmp_path / "train" / f"{B}.dicom"
    assert [(s.row, s.reason) for s in skipped] == [(10, "unknown class_name 'Nodules'")]
    reader = VinDrCxr(tmp_path, "kaggle")
    assert (list(reader.tables()), reader.card.published) == ([tmp_path / "train.csv"], {"images": 15000})


def test_every_label_has_an_entry():
    assert set(label_table()["vindr-cxr"]) == {*FINDINGS, NORMAL}
    assert set(KAGGLE_FINDINGS) < set(FINDINGS)
    labels_ = LabelMap("vindr-cxr", (*FINDINGS, NORMAL))
    assert len(labels_.findings) == 27
