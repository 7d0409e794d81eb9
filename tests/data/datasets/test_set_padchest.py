"""PadChest in the layout of BIMCV, with made rows and the odd values of the real table."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.label_map import IGNORED, NORMAL, label_table
from offclip.data.datasets.readers.padchest import TABLE, PadChest, age_at, parse_labels
from offclip.data.datasets.record import ImageRecord
from offclip.data.files import Skipped
from offclip.errors import DataError

HEADER = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,"
    "Projection,MethodProjection,Pediatric,Modality_DICOM,Manufacturer_DICOM,PhotometricInterpretation_DICOM,"
    "PixelRepresentation_DICOM,PixelAspectRatio_DICOM,SpatialResolution_DICOM,BitsStored_DICOM,"
    "WindowCenter_DICOM,WindowWidth_DICOM,Rows_DICOM,Columns_DICOM,XRayTubeCurrent_DICOM,Exposure_DICOM,"
    "ExposureInuAs_DICOM,ExposureTime,RelativeXRayExposure_DICOM,ReportID,Report,MethodLabel,Labels,"
    "Localizations,LabelsLocalizationsBySentence,labelCUIS,LocalizationsCUIS"
)
NUMBER = "2168401113669640139624900649420141{:05}_01-178-104"


def row(number, *, image=None, folder="0", study="s1", patient="p1", birth="1930.0", sex="F", view="PA",
        date="20140915", method="Physician", labels="\"['normal']\"", report=" sin hallazg ."):  # fmt: skip
    image = f"{NUMBER.format(number)}.png" if image is None else image
    return (
        f"{number},{image},{folder},{date},{study},{patient},{birth},{sex},nan,{view},"
        "Manual review of DICOM fields,No,CR,ImagingDynamicsCompanyLtd,MONOCHROME2,0,None,None,12,2092,2251,"
        f"1728,1872,250,2,2500,10,-1.42,4765777,{report},{method},{labels},[],"
        "\"[['normal'], ['normal']]\",[],[]"
    )


def tree(root: Path, *rows):
    (root / TABLE).write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return root


def read(root, option=""):
    reader = PadChest(root, option)
    found = list(reader.read())
    images = [item for item in found if isinstance(item, ImageRecord)]
    return images, [item for item in found if isinstance(item, Skipped)], reader.notes


def present(record):
    return [name for name, value in record.labels.items() if value == 1]


def test_every_field_of_the_official_layout(tmp_path):
    tree(
        tmp_path,
        row(1, folder="12", labels="\"['pulmonary fibrosis', ' pneumonia', '']\""),
        row(2, study="s2", patient="p2", view="L", sex="M", method="RNN_model"),
    )
    image = tmp_path / "12" / f"{NUMBER.format(1)}.png"
    image.parent.mkdir()
    Image.fromarray(np.full((4, 6), 4000, np.uint16)).save(image)
    (first, second), skipped, notes = read(tmp_path)
    assert (skipped, notes) == ([], [])
    assert (first.image_id, first.study_id, first.patient_id) == (NUMBER.format(1), "s1", "p1")
    assert (first.path, first.split, first.view) == (image, "", "PA")
    assert (first.age_years, first.sex, first.report) == (84.0, "F", "sin hallazg .")
    assert (first.source, first.row, first.boxes) == (str(tmp_path / TABLE), 2, ())
    assert present(first) == ["pneumonia", "pulmonary fibrosis"]
    assert set(first.labels.values()) == {0, 1}
    assert tuple(first.labels) == tuple(second.labels) == tuple(label_table()["padchest"])
    assert (second.view, second.sex, present(second)) == ("lateral", "M", ["normal"])
    assert second.path == tmp_path / "0" / f"{NUMBER.format(2)}.png"


@pytest.mark.parametrize("place", ["", "images", "images/12", "12"])
def test_images_are_found_wherever_they_were_unpacked(tmp_path, place):
    path = tmp_path / place / f"{NUMBER.format(1)}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"png")
    (record,), _, _ = read(tree(tmp_path, row(1, folder="12")))
    assert record.path == path


def test_views(tmp_path):
    names = ("PA", "L", "AP", "AP_horizontal", "COSTAL", "UNK", "EXCLUDE")
    images, skipped, _ = read(tree(tmp_path, *(row(i, view=name) for i, name in enumerate(names))))
    assert [r.view for r in images] == ["PA", "lateral", "AP", "AP", "unknown", "unknown"]
    assert [(s.row, s.reason) for s in skipped] == [
        (8, "the publishers exclude this image (Projection EXCLUDE)")
    ]


def test_odd_cells_are_unknown(tmp_path):
    images, _, _ = read(
        tree(tmp_path, row(1, birth="", sex="nan"), row(2, birth="2140.0", sex="O"), row(3, report="nan"))
    )
    assert [(r.age_years, r.sex) for r in images] == [(None, ""), (None, "O"), (84.0, "F")]
    assert images[2].report == ""


@pytest.mark.parametrize("cell", ["nan", "['']", "[]", "\"['unchanged', 'suboptimal study']\""])
def test_a_row_that_names_no_finding_is_unknown_not_normal(tmp_path, cell):
    (record,), _, notes = read(tree(tmp_path, row(1, labels=cell)))
    table = label_table()["padchest"]
    said = {name for name in record.labels if record.labels[name] is not None}
    assert said == ({"unchanged", "suboptimal study"} if "unchanged" in cell else set())
    assert all(table[name] == IGNORED for name in said)
    assert notes == ["1 image(s) have no label that says what they show: unknown."]


def test_only_what_physicians_labelled(tmp_path):
    tree(tmp_path, row(1), row(2, method="RNN_model"), row(3))
    images, skipped, notes = read(tmp_path, "physician")
    assert ([r.row for r in images], skipped) == ([2, 4], [])
    assert notes == ["1 image(s) with labels of a network are left out."]
    assert PadChest(tmp_path, "physician").card.published == {"images": 39053}
    assert PadChest(tmp_path).card.published["images"] == 160850


def test_rows_that_cannot_be_used_are_left_out_with_their_number(tmp_path):
    tree(
        tmp_path,
        row(1, image=""),
        row(2, study=""),
        row(3, patient="nan"),
        row(4, labels="\"['normal'\""),
        row(5, labels="\"['a' if 1 else 'b']\""),
        row(6, image="a/../../secret.png"),
        row(7).rpartition(",")[0],
    )
    images, skipped, _ = read(tmp_path)
    assert images == []
    assert [(s.row, s.reason) for s in skipped] == [
        (2, "ImageID is empty"),
        (3, "StudyID is empty"),
        (4, "PatientID is empty"),
        (5, "Labels is not a list such as ['normal']"),
        (6, "Labels is not a list such as ['normal']"),
        (7, "ImageID is not the name of a file"),
        (8, "the row has 35 cells instead of 36; a text with commas needs quotes"),
    ]
    assert skipped[1].id == f"{NUMBER.format(2)}.png"


def test_an_unknown_label_stops_with_file_row_and_column(tmp_path):
    tree(tmp_path, row(1), row(2, labels="\"['normal', 'pneumnia']\""))
    with pytest.raises(DataError, match=rf"{TABLE}: row 3, column Labels: 'pneumnia'"):
        read(tmp_path)


def test_a_broken_table_names_file_and_column(tmp_path):
    tree(tmp_path, row(1))
    path = tmp_path / TABLE
    path.write_text(path.read_text().replace("Projection,", "View,", 1))
    with pytest.raises(DataError, match=rf"{TABLE}: column 'Projection' is missing"):
        PadChest(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=rf"{TABLE}: no such file"):
        open_set("padchest", tmp_path)


def test_the_packed_table_with_a_byte_order_mark(tmp_path):
    text = "\n".join([HEADER, row(1)])
    (tmp_path / f"{TABLE}.gz").write_bytes(gzip.compress(text.encode("utf-8-sig")))
    reader = PadChest(tmp_path)
    assert [r.row for r in reader.read()] == [2]
    assert list(reader.tables()) == [tmp_path / f"{TABLE}.gz"]


def test_labels_as_written_in_the_wild():
    assert parse_labels("['COPD signs', ' pneumonia', 'COPD signs']") == ("COPD signs", "pneumonia")
    assert parse_labels('["end on vessel", nan]') == ("end on vessel",)
    assert parse_labels("[ 'vertebral  anterior compression' ]") == ("vertebral anterior compression",)
    for text in ("normal", "['a' 'b']", "['a',, 'b']", "__import__('os')", "['a'] + ['b']", "(['a'],)"):
        assert parse_labels(text) is None, text
    for text in ("[" + "'a', " * 50_000 + "'a'", "[" + " " * 1_000_000, "['a'" + " " * 1_000_000):
        assert parse_labels(text) is None  # and at once: the pattern does not go back and forth


@settings(derandomize=True, deadline=None)
@given(st.lists(st.from_regex(r"[A-Za-z][A-Za-z ]{0,20}[a-z]", fullmatch=True), max_size=6))
def test_a_written_list_is_read_back(names):
    assert parse_labels(str(names)) == tuple(dict.fromkeys(" ".join(name.split()) for name in names))


def test_case_does_not_lose_a_label(tmp_path):
    (record,), _, _ = read(tree(tmp_path, row(1, labels="\"['nsg tube', 'CHILAIDITI SIGN']\"")))
    assert present(record) == ["Chilaiditi sign", "NSG tube"]


def test_ages():
    assert age_at("20140915", "1894.0") == 120
    for date, birth in [("20140915", "1893.0"), ("2014", "1930"), ("", "1930"), ("20140915", "nan")]:
        assert age_at(date, birth) is None


def test_the_table_of_labels_has_all_193_and_gives_each_its_own_column():
    table = label_table()["padchest"]
    assert len(table) == 193
    assert [name for name, word in table.items() if word == NORMAL] == ["normal"]
    assert [name for name, word in table.items() if word == IGNORED] == [
        "exclude", "suboptimal study", "unchanged",
    ]  # fmt: skip
    findings = [word for word in table.values() if not word.startswith("=")]
    assert len(findings) == len(set(findings)) == 189
