"""CheXpert Plus: the table with reports over several lines, the three forms of films, CheXbert's labels."""

import csv
import json

import pytest

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.readers.chexpert_labels import CHEXPERT_LABELS
from offclip.errors import DataError

HEADER = [
    "path_to_image",
    "path_to_dcm",
    "frontal_lateral",
    "ap_pa",
    "deid_patient_id",
    "patient_report_date_order",
    "report",
    "section_narrative",
    "section_clinical_history",
    "section_history",
    "section_comparison",
    "section_technique",
    "section_procedure_comments",
    "section_findings",
    "section_impression",
    "section_end_of_impression",
    "section_summary",
    "section_accession_number",
    "age",
    "sex",
    "race",
    "ethnicity",
    "interpreter_needed",
    "insurance_type",
    "recent_bmi",
    "deceased",
    "split",
]
REPORT = 'NARRATIVE:\nRADIOGRAPHIC EXAMINATION, "PORTABLE".\n\nIMPRESSION:\n1. NO EFFUSION, NO EDEMA.\n'


def row(path="train/patient42142/study5/view1_frontal.jpg", **values):
    patient = path.split("/")[1] if "/" in path else ""
    cells = dict.fromkeys(HEADER, "") | {
        "path_to_image": path,
        "path_to_dcm": path.replace(".jpg", ".dcm"),
        "frontal_lateral": "Frontal",
        "ap_pa": "AP",
        "deid_patient_id": patient,
        "patient_report_date_order": "5",
        "report": REPORT,
        "age": "68.0",
        "sex": "Female",
        "split": "train",
    }
    return list((cells | values).values())


def write(path, *rows, header=HEADER):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def labels(path, **values):
    by_name = {name.replace("_", " "): value for name, value in values.items()}
    return json.dumps({"path_to_image": path} | {label: by_name.get(label) for label in CHEXPERT_LABELS})


@pytest.fixture
def root(tmp_path, write_film):
    write(
        tmp_path / "df_chexpert_plus_240401.csv",
        row(),
        row(
            "valid/patient64541/study1/view2_lateral.jpg",
            frontal_lateral="Lateral",
            ap_pa="",
            report="",
            section_findings="Clear lungs.",
            section_impression="Normal, chest.",
            age="0",
            sex="Unknown",
            split="valid",
        ),
        row("train\\patient42142\\study6\\view1_frontal.jpg", deid_patient_id="patient42142", report=""),
    )
    write_film(tmp_path / "PNG" / "train" / "patient42142" / "study5" / "view1_frontal.png")
    folder = tmp_path / "chexbert_labels"
    folder.mkdir()
    (folder / "impression_fixed.json").write_text(
        labels("train/patient42142/study5/view1_frontal.jpg", Edema=-1.0, Pleural_Effusion=0.0, Pneumonia=1.0)
        + "\n\n"
        + labels("valid/patient64541/study1/view2_lateral.jpg", No_Finding=1.0).replace("null", "NaN", 1)
        + "\n"
    )
    return tmp_path


def read(root, option=""):
    reader = open_set("chexpert-plus", root, option)
    return reader, list(reader.read())


def test_every_field_of_a_film(root):
    reader, (first, second, third) = read(root)
    assert (first.image_id, first.study_id, first.patient_id) == (
        "patient42142_study5_view1_frontal",
        "patient42142_study5",
        "patient42142",
    )
    assert first.path == root / "PNG" / "train" / "patient42142" / "study5" / "view1_frontal.png"
    assert first.path.is_file()
    assert first.report == REPORT.strip()
    assert second.report == "FINDINGS: Clear lungs.\nIMPRESSION: Normal, chest."
    assert third.report == ""
    assert [film.split for film in (first, second, third)] == ["train", "validate", "train"]
    assert [film.view for film in (first, second, third)] == ["AP", "lateral", "AP"]
    assert [film.age_years for film in (first, second, third)] == [68, None, 68]
    assert [film.sex for film in (first, second, third)] == ["F", "", "F"]
    assert [film.row for film in (first, second, third)] == [
        2,
        3,
        4,
    ]  # rows of the table, not lines of the file
    assert first.source == str(root / "df_chexpert_plus_240401.csv")
    assert first.boxes == ()
    assert reader.notes == [
        "1 film(s) have no line in impression_fixed.json.",
        "1 film(s) have no report.",
    ]
    assert [table.name for table in reader.tables()] == [
        "df_chexpert_plus_240401.csv",
        "impression_fixed.json",
    ]


def test_labels_of_the_impression(root):
    _, (first, second, third) = read(root)
    assert list(first.labels) == list(third.labels) == list(CHEXPERT_LABELS)
    assert (first.labels["Pneumonia"], first.labels["Pleural Effusion"], first.labels["Edema"]) == (
        1,
        0,
        None,
    )
    assert first.labels["No Finding"] == 0
    assert second.labels["No Finding"] == 1
    assert second.labels["Edema"] == 0
    assert second.labels["Support Devices"] is None
    assert set(third.labels.values()) == {None}


def test_the_other_forms_of_the_films(root):
    _, (film, *_) = read(root, "dicom")
    assert film.path == root / "DICOM" / "DICOM" / "train" / "patient42142" / "study5" / "view1_frontal.dcm"
    (root / "CheXpert-v1.0" / "train").mkdir(parents=True)
    _, (film, *_) = read(root, "jpg")
    assert film.path == root / "CheXpert-v1.0" / "train" / "patient42142" / "study5" / "view1_frontal.jpg"


def test_without_labels(root):
    (root / "chexbert_labels" / "impression_fixed.json").unlink()
    reader, films = read(root)
    assert [film.labels for film in films] == [{}, {}, {}]
    assert "No chexbert_labels/impression_fixed.json: the films have no labels." in reader.notes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: not readable JSON"),
        ("[1]", "line 1: no object with path_to_image"),
        ('{"path_to_image": "train/patient1/study1/view1_frontal.jpg"}', "the label 'No Finding' is missing"),
        (labels("somewhere.jpg"), "path_to_image has an unknown form"),
        (labels("train/patient1/study1/view1_frontal.jpg", Edema=3), "Edema is '3', expected"),
    ],
)
def test_broken_labels_are_named(root, line, message):
    (root / "chexbert_labels" / "impression_fixed.json").write_text(line)
    with pytest.raises(DataError, match=rf"impression_fixed.json: .*{message}"):
        read(root)


def test_rows_that_cannot_be_used_are_listed(root):
    write(
        root / "df_chexpert_plus_240401.csv",
        row("view1_frontal.jpg"),
        row(deid_patient_id="patient00001"),
        row(split="fold1"),
        row()[:9],
        row(),
    )
    _, (*skipped, film) = read(root)
    assert [(found.row, found.reason.split(";")[0]) for found in skipped] == [
        (2, "path_to_image is not of the form train/patient00001/study1/view1_frontal.jpg"),
        (3, "deid_patient_id is not the patient of path_to_image"),
        (4, "unknown split 'fold1'"),
        (5, "the row has 9 cells instead of 27"),
    ]
    assert film.row == 6


def test_what_must_be_there(root, tmp_path):
    write(root / "df_chexpert_plus_240401.csv", header=["path", *HEADER[1:]])
    with pytest.raises(DataError, match=r"df_chexpert_plus_240401.csv: column 'path_to_image' is missing"):
        open_set("chexpert-plus", root)
    with pytest.raises(DataError, match=r"df_chexpert_plus_240401.csv: no such file"):
        open_set("chexpert-plus", tmp_path / "elsewhere")


def test_a_quotation_mark_that_is_not_closed(root):
    table = root / "df_chexpert_plus_240401.csv"
    table.write_text(",".join(HEADER) + '\ntrain/patient1/study1/view1_frontal.jpg,"no end')
    _, found = read(root)
    assert [(row.row, row.reason.split(";")[0]) for row in found] == [
        (2, "the row has 2 cells instead of 27")
    ]
