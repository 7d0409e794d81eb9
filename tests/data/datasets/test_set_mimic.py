"""MIMIC-CXR: the official layouts of MIMIC-CXR-JPG and MIMIC-CXR, with the odd values that are in them."""

import csv
import gzip
import zipfile

import pytest

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.readers.chexpert_labels import CHEXPERT_LABELS
from offclip.data.datasets.readers.mimic_layout import Anchor, files_folder
from offclip.data.files import Skipped
from offclip.errors import ConfigError, DataError

METADATA = [
    "dicom_id",
    "subject_id",
    "study_id",
    "PerformedProcedureStepDescription",
    "ViewPosition",
    "Rows",
    "Columns",
    "StudyDate",
    "StudyTime",
    "ProcedureCodeSequence_CodeMeaning",
    "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
]
SPLIT = ["dicom_id", "study_id", "subject_id", "split"]
# The publishers' order: alphabetical.
LABELS = ["subject_id", "study_id", *sorted(CHEXPERT_LABELS)]
PA, LATERAL, AP, LAST = (f"{letter * 8}-00000000-00000000-00000000-00000001" for letter in "abcd")


def write(path, header, *rows, bom=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding="utf-8-sig" if bom else "utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def metadata(dicom, subject, study, view, coded="", date="21800506"):
    return [
        dicom,
        subject,
        study,
        "CHEST (PA AND LAT)",
        view,
        3056,
        2544,
        date,
        "213014.531",
        "",
        coded,
        "Erect",
    ]


def labelled(subject, study, **values):
    by_name = {name.replace("_", " "): value for name, value in values.items()}
    return [subject, study, *(by_name.get(label, "") for label in sorted(CHEXPERT_LABELS))]


@pytest.fixture
def root(tmp_path, write_film):
    films = tmp_path / "files"
    write_film(films / "p10" / "p10000032" / "s50414267" / f"{PA}.jpg")
    write_film(films / "p10" / "p10000032" / "s50414267" / f"{LATERAL}.jpg")
    write_film(films / "p17" / "p17000001" / "s50000002" / f"{AP}.jpg")
    (films / "p10" / "p10000032" / "s50414267.txt").write_text(" FINAL REPORT\n IMPRESSION: Clear lungs.\n")
    write(
        tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz",
        METADATA,
        metadata(PA, 10000032, 50414267, "PA"),
        metadata(LATERAL, 10000032, 50414267, "LL"),
        metadata(AP, 17000001, 50000002, "", "antero-posterior"),
        metadata(LAST, 17000001, 50000003, "PA LLD"),
    )
    write(
        tmp_path / "mimic-cxr-2.0.0-split.csv.gz",
        SPLIT,
        [PA, 50414267, 10000032, "train"],
        [LATERAL, 50414267, 10000032, "train"],
        [AP, 50000002, 17000001, "validate"],
        [LAST, 50000003, 17000001, "validate"],
    )
    write(
        tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz",
        LABELS,
        labelled(10000032, 50414267, No_Finding="1.0", Support_Devices=""),
        labelled(17000001, 50000002, Edema="-1.0", Pneumonia="1.0", Fracture="0.0"),
    )
    return tmp_path


def read(root, option=""):
    reader = open_set("mimic-cxr", root, option)
    return reader, list(reader.read())


def test_every_field_of_a_film(root):
    reader, (pa, lateral, ap, last) = read(root)
    folder = root / "files" / "p10" / "p10000032" / "s50414267"
    assert (pa.image_id, pa.study_id, pa.patient_id) == (PA, "s50414267", "p10000032")
    assert (pa.path, lateral.path) == (folder / f"{PA}.jpg", folder / f"{LATERAL}.jpg")
    assert [film.path.is_file() for film in (pa, lateral, ap, last)] == [True, True, True, False]
    assert [film.view for film in (pa, lateral, ap, last)] == ["PA", "lateral", "AP", "unknown"]
    assert [film.split for film in (pa, lateral, ap, last)] == ["train", "train", "validate", "validate"]
    assert [film.row for film in (pa, lateral, ap, last)] == [2, 3, 4, 5]
    assert pa.source == str(root / "mimic-cxr-2.0.0-metadata.csv.gz")
    assert pa.report == lateral.report == "FINAL REPORT\n IMPRESSION: Clear lungs."
    assert (ap.report, pa.boxes, pa.sex, pa.age_years) == ("", (), "", None)
    assert "2 studies have no report." in reader.notes
    assert "2 image(s)" not in "".join(reader.notes)


def test_what_blanks_and_doubts_mean(root):
    _, (pa, _, ap, last) = read(root)
    assert list(pa.labels) == list(ap.labels) == list(last.labels) == list(CHEXPERT_LABELS)
    assert pa.labels["No Finding"] == 1
    assert pa.labels["Edema"] == 0  # "No Finding" says so
    assert pa.labels["Support Devices"] is None  # and nothing of devices
    assert (ap.labels["Pneumonia"], ap.labels["Fracture"], ap.labels["No Finding"]) == (1, 0, 0)
    assert ap.labels["Edema"] is None
    assert ap.labels["Cardiomegaly"] is None
    assert set(last.labels.values()) == {None}


def test_the_papers_folders(root):
    reader, films = read(root, "paper")
    assert {film.patient_id for film in films} == {"p10000032"}
    assert "2 image(s) are not part of this option." in reader.notes


def test_plain_tables_with_a_byte_order_mark(root):
    for packed in root.glob("*.csv.gz"):
        text = gzip.decompress(packed.read_bytes()).decode()
        packed.with_suffix("").write_text(text, encoding="utf-8-sig")
        packed.unlink()
    reader, films = read(root)
    assert [film.image_id for film in films] == [PA, LATERAL, AP, LAST]
    assert [table.name for table in reader.tables()] == [
        "mimic-cxr-2.0.0-metadata.csv",
        "mimic-cxr-2.0.0-split.csv",
        "mimic-cxr-2.0.0-chexpert.csv",
    ]


def test_dicom_files_take_views_from_the_other_set_where_it_is_there(root):
    path = f"files/p10/p10000032/s50414267/{PA}.dcm"
    records = write(
        root / "cxr-record-list.csv.gz",
        ["subject_id", "study_id", "dicom_id", "path"],
        [10000032, 50414267, PA, path],
    )
    _, (film,) = read(root, "dicom")
    assert (film.path, film.view, film.source) == (root / path, "PA", str(records))
    (root / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    reader, (film,) = read(root, "dicom")
    assert film.view == "unknown"
    assert any("every view is 'unknown'" in note for note in reader.notes)


def test_reports_out_of_the_archive(root):
    (root / "files" / "p10" / "p10000032" / "s50414267.txt").unlink()
    with zipfile.ZipFile(root / "mimic-cxr-reports.zip", "w") as archive:
        archive.writestr("files/p10/p10000032/s50414267.txt", "Größe normal.".encode("cp1252"))
        archive.writestr("files/p17/p17000001/s50000003.txt", "x" * (4 * 2**20 + 1))
    reader, (pa, _, ap, problem, last) = read(root)
    assert (pa.report, ap.report, last.report) == ("Größe normal.", "", "")
    assert isinstance(problem, Skipped)
    assert "a report has at most" in problem.reason
    assert root / "mimic-cxr-reports.zip" in reader.tables()
    assert any("not UTF-8" in note for note in reader.notes)


def test_a_damaged_archive_of_reports(root):
    (root / "mimic-cxr-reports.zip").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match=r"mimic-cxr-reports.zip: the archive cannot be read"):
        read(root)


def test_ages_are_those_of_mimic_iv(root):
    header = ["subject_id", "gender", "anchor_age", "anchor_year", "anchor_year_group", "dod"]
    write(
        root / "hosp" / "patients.csv.gz",
        header,
        [10000032, "F", 52, 2178, "2014 - 2016", "2180-09-09"],
        [17000001, "M", "", 2178, "2014 - 2016", ""],
    )
    _, (pa, _, ap, _) = read(root)
    assert (pa.sex, pa.age_years) == ("F", 54)
    assert (ap.sex, ap.age_years) == ("M", None)
    assert Anchor("F", 52, 2178).age_at("") is None
    assert Anchor("F", 52, 2300).age_at("2178") is None


def test_labels_of_the_other_programs_and_of_the_radiologist(root):
    with pytest.raises(DataError, match=r"mimic-cxr-2.0.0-negbio.csv: no such file"):
        read(root, "negbio")
    write(root / "mimic-cxr-2.0.0-negbio.csv", LABELS, labelled(10000032, 50414267, Edema="1"))
    _, (pa, *_) = read(root, "negbio")
    assert (pa.labels["Edema"], pa.labels["No Finding"]) == (1, 0)
    # The radiologist's table has no subject_id and another name for an opacity.
    names = ["Airspace Opacity" if label == "Lung Opacity" else label for label in sorted(CHEXPERT_LABELS)]
    values = ["1" if name == "Airspace Opacity" else "" for name in names]
    write(root / "mimic-cxr-2.1.0-test-set-labeled.csv", ["study_id", *names], ["50000002", *values])
    reader, (film,) = read(root, "radiologist")
    assert (film.image_id, film.labels["Lung Opacity"], film.labels["No Finding"]) == (AP, 1, 0)
    assert "3 image(s) are not part of this option." in reader.notes


def test_rows_that_cannot_be_used_are_listed(root):
    write(
        root / "mimic-cxr-2.0.0-metadata.csv.gz",
        METADATA,
        metadata(PA, "", 50414267, "PA"),
        metadata("../../secret", 10000032, 50414267, "PA"),
        metadata(PA, 10000032, 50414267, "PA")[:5],
        metadata("e" * 44, 10000032, 50414267, "PA"),
        metadata(AP, 17000001, 50000002, "AP"),
    )
    write(
        root / "mimic-cxr-2.0.0-chexpert.csv.gz",
        LABELS,
        labelled(17000001, 50000002, Edema="maybe"),
    )
    reader, found = read(root)
    *skipped, film = found
    assert [(row.row, row.reason.split(";")[0]) for row in skipped] == [
        (2, "Edema is 'maybe', expected 1, 0, -1 or nothing"),
        (2, "subject_id is missing or no number"),
        (3, "dicom_id is missing or has characters that no id has"),
        (4, "the row has 5 cells instead of 12"),
        (5, "the image is not in mimic-cxr-2.0.0-split.csv.gz"),
    ]
    assert film.image_id == AP
    assert any("mimic-cxr-2.0.0-chexpert.csv.gz does not have" in note for note in reader.notes)


def test_without_the_tables_that_may_be_missing(root):
    (root / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    (root / "mimic-cxr-2.0.0-chexpert.csv.gz").unlink()
    reader, films = read(root)
    assert {film.split for film in films} == {""}
    assert films[0].labels == {}
    assert len(reader.notes) == 3


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("mimic-cxr-2.0.0-metadata.csv.gz", "dicom_id"),
        ("mimic-cxr-2.0.0-split.csv.gz", "split"),
        ("mimic-cxr-2.0.0-chexpert.csv.gz", "Pleural Other"),
    ],
)
def test_a_table_without_a_column_is_named(root, name, column):
    table = root / name
    text = gzip.decompress(table.read_bytes()).decode().replace(column, "other", 1)
    table.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(DataError, match=f"{name}.*column '{column}' is missing"):
        read(root)


def test_an_unknown_split_stops(root):
    write(root / "mimic-cxr-2.0.0-split.csv.gz", SPLIT, [PA, 50414267, 10000032, "fold3"])
    with pytest.raises(DataError, match=r"split.csv.gz: row 2: unknown split 'fold3'"):
        read(root)


def test_what_must_be_there(tmp_path):
    with pytest.raises(DataError, match=r"mimic-cxr-2.0.0-metadata.csv: no such file"):
        open_set("mimic-cxr", tmp_path)
    with pytest.raises(DataError, match=r"cxr-record-list.csv: no such file"):
        open_set("mimic-cxr", tmp_path, "dicom")
    with pytest.raises(ConfigError, match="no option 'png'"):
        open_set("mimic-cxr", tmp_path, "png")


def test_the_folder_of_the_patients_may_be_the_root(tmp_path):
    (tmp_path / "p10").mkdir()
    assert files_folder(tmp_path) == tmp_path
    (tmp_path / "files").mkdir()
    assert files_folder(tmp_path) == tmp_path / "files"
