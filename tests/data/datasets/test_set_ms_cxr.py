"""MS-CXR: both versions of the table, as CSV and as COCO JSON, over a tree of MIMIC-CXR-JPG."""

import csv
import json

import pytest

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.readers.ms_cxr import CATEGORIES
from offclip.errors import DataError

V1_1 = [
    "dicom_id",
    "category_name",
    "label_text",
    "path",
    "x",
    "y",
    "w",
    "h",
    "image_width",
    "image_height",
    "split",
]
V1_0 = ["category_name", "label_text", "x", "y", "w", "h", "image_width", "image_height", "dicom_id", "path"]
DICOM, OTHER = "675d792f-a3521e48-5eec8573-1e81d644-e60c34f8", "0" * 44
PATH = f"files/p10/p10233088/s54276838/{DICOM}.jpg"


def row(header=V1_1, **values):
    cells = {
        "dicom_id": DICOM,
        "category_name": "Pleural Effusion",
        "label_text": "Small left effusion, unchanged.",
        "path": PATH,
        "x": "1200",
        "y": "1500",
        "w": "300",
        "h": "250.5",
        "image_width": "2544",
        "image_height": "3056",
        "split": "val",
    } | values
    return [cells[name] for name in header]


def write(path, *rows, header=V1_1):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def root(tmp_path, write_film):
    write_film(tmp_path / PATH)
    (tmp_path / "files" / "p10" / "p10233088" / "s54276838.txt").write_text(
        "IMPRESSION: Small left effusion."
    )
    write(
        tmp_path / "mimic-cxr-2.0.0-metadata.csv",
        [DICOM, "10233088", "54276838", "AP"],
        header=["dicom_id", "subject_id", "study_id", "ViewPosition"],
    )
    write(
        tmp_path / "MS_CXR_Local_Alignment_v1.1.0.csv",
        row(),
        row(x="100"),
        row(category_name="Edema", label_text="Mild edema", x="0", y="0", w="2544", h="3056"),
        row(dicom_id=OTHER, path=PATH.replace("/", "\\").replace(DICOM, OTHER), split="test"),
    )
    return tmp_path


def read(root, option=""):
    reader = open_set("ms-cxr", root, option)
    return reader, list(reader.read())


def test_every_field_of_a_film(root):
    reader, (film, other) = read(root)
    assert (film.image_id, film.study_id, film.patient_id) == (DICOM, "s54276838", "p10233088")
    assert (film.path, film.path.is_file(), other.path.is_file()) == (root / PATH, True, False)
    assert (film.split, other.split) == ("validate", "test")
    assert (film.view, other.view) == ("AP", "unknown")
    assert (film.source, film.row, other.row) == (str(root / "MS_CXR_Local_Alignment_v1.1.0.csv"), 2, 5)
    assert film.report == other.report == "IMPRESSION: Small left effusion."
    assert (film.age_years, film.sex) == (None, "")
    assert list(film.labels) == list(CATEGORIES)
    assert [label for label, value in film.labels.items() if value == 1] == ["Edema", "Pleural Effusion"]
    assert film.labels["Pneumonia"] is None  # not looked for
    assert reader.notes == []
    assert len(list(reader.tables())) == 2


def test_boxes_carry_their_sentence(root):
    _, (film, _) = read(root)
    assert [(b.label, b.x, b.y, b.width, b.height) for b in film.boxes] == [
        ("Pleural Effusion", 1200, 1500, 300, 250.5),
        ("Pleural Effusion", 100, 1500, 300, 250.5),
        ("Edema", 0, 0, 2544, 3056),
    ]
    assert [b.phrase for b in film.boxes] == ["Small left effusion, unchanged."] * 2 + ["Mild edema"]


def test_the_dicom_files(root):
    _, (film, _) = read(root, "dicom")
    assert film.path == (root / PATH).with_suffix(".dcm")


def test_the_first_version_has_no_split(root):
    (root / "MS_CXR_Local_Alignment_v1.1.0.csv").unlink()
    write(root / "MS_CXR_Local_Alignment_v1.0.0.csv", row(V1_0), header=V1_0)
    (root / "mimic-cxr-2.0.0-metadata.csv").unlink()
    reader, (film,) = read(root)
    assert (film.split, film.view) == ("", "unknown")
    assert any("every view is 'unknown'" in note for note in reader.notes)


def coco(**changes):
    return {
        "info": {"version": "1.1.0"},
        "categories": [{"id": 7, "name": "Pleural Effusion"}],
        "images": [{"id": 3, "file_name": f"{DICOM}.jpg", "path": PATH, "width": 2544, "height": 3056}],
        "annotations": [
            {
                "id": 1,
                "image_id": 3,
                "category_id": 7,
                "bbox": [1200, 1500, 300, 250.5],
                "label_text": "Small left effusion, unchanged.",
                "split": "val",
            }
        ],
    } | changes


def test_the_json_file_says_what_the_table_says(root):
    (root / "MS_CXR_Local_Alignment_v1.1.0.csv").unlink()
    table = root / "MS_CXR_Local_Alignment_v1.1.0.json"
    table.write_text(json.dumps(coco()))
    _, (film,) = read(root)
    write(root / "MS_CXR_Local_Alignment_v1.1.0.csv", row())
    _, (same,) = read(root)
    assert (film.boxes, film.labels, film.split, film.path, film.view) == (
        same.boxes,
        same.labels,
        same.split,
        same.path,
        same.view,
    )
    assert (film.source, film.row) == (str(table), 1)


@pytest.mark.parametrize(
    "changes", [{"images": None}, {"annotations": [{"image_id": 3}]}, {"annotations": [{"bbox": [1, 2]}]}]
)
def test_a_broken_json_file_is_named(root, changes):
    (root / "MS_CXR_Local_Alignment_v1.1.0.csv").unlink()
    (root / "MS_CXR_Local_Alignment_v1.1.0.json").write_text(json.dumps(coco(**changes)))
    with pytest.raises(DataError, match=r"v1.1.0.json: not a COCO file of boxes"):
        read(root)


def test_rows_that_cannot_be_used_are_listed(root):
    write(
        root / "MS_CXR_Local_Alignment_v1.1.0.csv",
        row(path="../secret.jpg"),
        row(dicom_id=OTHER),
        row(category_name="Fracture"),
        row(split="fold"),
        row(w="0"),
        row(x=""),
        row(x="2500"),
        row(x="nan"),
        row()[:4],
        row(),
        row(),
        row(split="test"),
    )
    _, found = read(root)
    assert [(item.row, item.reason.split(";")[0]) for item in found[:-1]] == [
        (2, "path is not of the form files/p10/p10000032/s50414267/<dicom_id>.jpg"),
        (3, "dicom_id is not the image of path"),
        (4, "unknown category_name 'Fracture'"),
        (5, "unknown split 'fold'"),
        (6, "the box is missing, has no size, or lies outside of the image"),
        (7, "the box is missing, has no size, or lies outside of the image"),
        (8, "the box is missing, has no size, or lies outside of the image"),
        (9, "the box is missing, has no size, or lies outside of the image"),
        (10, "the row has 4 cells instead of 11"),
        (12, "the row stands in the table twice"),
        (13, "the image has another study or split in row 11"),
    ]
    assert (found[-1].row, len(found[-1].boxes)) == (11, 1)


def test_what_must_be_there(root, tmp_path):
    write(root / "MS_CXR_Local_Alignment_v1.1.0.csv", header=[*V1_1[:4], "left", *V1_1[5:]])
    with pytest.raises(DataError, match=r"MS_CXR_Local_Alignment_v1.1.0.csv: column 'x' is missing"):
        open_set("ms-cxr", root)
    with pytest.raises(DataError, match=r"MS_CXR_Local_Alignment_v1.1.0.csv: no such file"):
        open_set("ms-cxr", tmp_path / "elsewhere")
