"""MIMIC-CXR in the official layout, with made reports."""

import gzip
import zipfile

import pytest

from offclip.data.files import Skipped
from offclip.data.sources import SourceOptions, open_source
from offclip.data.sources.mimic import METADATA, SPLIT
from offclip.errors import DataError

PLACES = {
    "files/p10/p10000032/s50414267.txt": "FINAL REPORT\n FINDINGS: Clear lungs.",
    "files/p10/p10000032/s53189527.txt": "IMPRESSION: No change.",
    "files/p11/p11000011/s51029426.txt": "FINDINGS: Small effusion.",
}


@pytest.fixture
def root(tmp_path):
    for name, text in PLACES.items():
        path = tmp_path / "mimic" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "mimic" / "LICENSE.txt").write_text("not a report")
    return tmp_path / "mimic"


def studies(path, **options):
    return [(s.study_id, s.patient_id) for s in open_source(path, SourceOptions(**options)).read()]


def test_study_and_patient_come_from_the_layout(root):
    source = open_source(root)
    found = list(source.read())
    assert [(s.study_id, s.patient_id, s.split) for s in found] == [
        ("s50414267", "p10000032", ""),
        ("s53189527", "p10000032", ""),
        ("s51029426", "p11000011", ""),
    ]
    assert found[0].report == PLACES["files/p10/p10000032/s50414267.txt"]
    assert any("split by a hash of the patient" in note for note in source.notes)


@pytest.mark.parametrize("inside", ["files", "files/p10", "files/p10/p10000032"])
def test_a_folder_inside_the_layout_is_read_too(root, inside):
    assert studies(root / inside)[:2] == [("s50414267", "p10000032"), ("s53189527", "p10000032")]


def test_the_archive_as_published_gives_the_same(root, tmp_path):
    with zipfile.ZipFile(tmp_path / "mimic-cxr-reports.zip", "w") as archive:
        for name, text in PLACES.items():
            archive.writestr(name, text)
    assert studies(tmp_path / "mimic-cxr-reports.zip") == studies(root)
    (tmp_path / "download").mkdir()
    (tmp_path / "mimic-cxr-reports.zip").rename(tmp_path / "download" / "mimic-cxr-reports.zip")
    assert studies(tmp_path / "download") == studies(root)


def write_split(folder, rows, packed=True):
    text = "dicom_id,study_id,subject_id,split\n" + "".join(f"d,{s},{p},{split}\n" for s, p, split in rows)
    path = folder / (SPLIT + ".gz" if packed else SPLIT)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_the_official_split_is_used_and_a_patient_it_lacks_is_listed(root, packed):
    write_split(root, [(50414267, 10000032, "validate"), (53189527, 10000032, "validate")], packed)
    source = open_source(root / "files")
    first, second, third = source.read()
    assert (first.split, second.split) == ("validate", "validate")
    assert isinstance(third, Skipped)
    assert third.id == "s51029426"
    assert "the patient is not in" in third.reason
    assert any(note.startswith("Split by ") for note in source.notes)
    assert all(s.split == "" for s in open_source(root, SourceOptions(resplit=True)).read())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, 10, "train"), (2, 10, "test")], r"patient 10 is in train \(row 2\) and in test \(row 3\)"),
        ([(1, 10, "holdout")], "row 2: unknown split 'holdout'"),
    ],
)
def test_a_broken_split_stops_the_reading(root, rows, message):
    write_split(root, rows)
    with pytest.raises(DataError, match=message):
        list(open_source(root).read())


def test_images_come_from_the_metadata_with_their_views(root, tmp_path, write_film):
    images = tmp_path / "jpg"
    here = images / "files" / "p10" / "p10000032" / "s50414267"
    film = write_film(here / "aa-1.jpg")
    rows = "dicom_id,subject_id,study_id,ViewPosition\n"
    rows += "aa-1,10000032,50414267,LATERAL\nbb-2,10000032,50414267,PA\n../up,10000032,50414267,PA\n"
    (images / f"{METADATA}.gz").write_bytes(gzip.compress(rows.encode()))
    found = list(open_source(root, SourceOptions(images=images)).read())
    skipped = [(s.id, s.reason.split(" in ")[0]) for s in found if isinstance(s, Skipped)]
    assert skipped == [
        ("../up", "no image p10/p10000032/s50414267/../up.jpg"),
        ("bb-2", "no image p10/p10000032/s50414267/bb-2.jpg"),
    ]
    study = next(s for s in found if not isinstance(s, Skipped))
    assert [(i.image_id, i.path, i.view) for i in study.images] == [("aa-1", str(film), "lateral")]


def test_without_metadata_the_images_are_those_in_the_folder(root, tmp_path, write_film):
    film = write_film(tmp_path / "jpg" / "p10" / "p10000032" / "s53189527" / "cc.jpg")
    found = list(open_source(root, SourceOptions(images=tmp_path / "jpg")).read())
    assert [[i.path for i in s.images] for s in found] == [[], [str(film)], []]
    assert found[1].images[0].view == "unknown"


def test_reports_elsewhere_and_without_text_are_listed(root):
    (root / "files" / "p11" / "s59999999.txt").write_text("Clear.")
    odd = root / "files" / "p12" / "p11000011" / "s58888888.txt"
    odd.parent.mkdir(parents=True)
    odd.write_text("Clear.")
    (root / "files" / "p10" / "p10000032" / "s50414267.txt").write_text("  ")
    reasons = {s.id: s.reason for s in open_source(root).read() if isinstance(s, Skipped)}
    assert reasons == {
        "s50414267": "the report has no text",
        "files/p11/s59999999.txt": "not in the official layout, files/p10/p10000032/s50414267.txt",
        "files/p12/p11000011/s58888888.txt": "not in the official layout, files/p10/p10000032/s50414267.txt",
    }
