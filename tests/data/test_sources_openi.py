"""Open-I XML: what is read from it, what is refused, and the real archive where it is present."""

import io
import tarfile
from pathlib import Path

import pytest

from offclip.data.files import Skipped
from offclip.data.sources import SourceOptions, open_source
from offclip.data.sources.openi import parse_openi
from offclip.errors import DataError

REAL = Path(__file__).parents[3] / "shared" / "data" / "openi_reports" / "NLMCXR_reports.tgz"


def xml(study="CXR1", findings="Clear lungs.", impression="Normal chest.", images=(), head=""):
    parts = "".join(
        f'<AbstractText Label="{label}">{text}</AbstractText>'
        for label, text in (
            ("INDICATION", "Cough &amp; fever"),
            ("FINDINGS", findings),
            ("IMPRESSION", impression),
        )
    )
    films = "".join(f'<parentImage id="{image}"><caption>PA</caption></parentImage>' for image in images)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{head}<eCitation><uId id="{study}"/>'
        f"<Abstract> {parts} </Abstract>{films}</eCitation>"
    )


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "ecgen-radiology"
    path.mkdir()
    (path / "1.xml").write_text(xml(images=("CXR1_1_IM-1", "CXR1_1_IM-2")))
    (path / "2.xml").write_text(xml("CXR2", "", "", images=("CXR2_IM-1",)))
    (path / "3.xml").write_text(xml("CXR3", "", "Effusion."))
    return path


def test_a_report_keeps_its_sections_with_headers(folder):
    first, empty, third = open_source(folder).read()
    assert (first.study_id, first.patient_id, first.images) == ("CXR1", "CXR1", ())
    assert first.report == "INDICATION: Cough & fever\nFINDINGS: Clear lungs.\nIMPRESSION: Normal chest."
    assert (empty.id, empty.reason) == ("CXR2", "the report has neither findings nor impression")
    assert third.report == "INDICATION: Cough & fever\nIMPRESSION: Effusion."


def test_the_archive_gives_what_the_folder_gives(folder, tmp_path):
    with tarfile.open(tmp_path / "NLMCXR_reports.tgz", "w:gz") as archive:
        archive.add(folder, "ecgen-radiology")
    one, two = (list(open_source(path).read()) for path in (folder, tmp_path / "NLMCXR_reports.tgz"))
    assert [getattr(s, "report", s) for s in one if not isinstance(s, Skipped)] == [
        getattr(s, "report", s) for s in two if not isinstance(s, Skipped)
    ]
    assert two[1].source == f"{tmp_path}/NLMCXR_reports.tgz/ecgen-radiology/2.xml"


def test_images_are_attached_by_id_and_missing_ones_listed(folder, tmp_path, write_film):
    film = write_film(tmp_path / "png" / "CXR1_1_IM-1.png")
    missing, first, *_ = open_source(folder, SourceOptions(images=tmp_path / "png")).read()
    assert [(i.image_id, i.path, i.view) for i in first.images] == [("CXR1_1_IM-1", str(film), "unknown")]
    assert missing.id == "CXR1_1_IM-2"
    assert "no image CXR1_1_IM-2.png" in missing.reason


def test_an_image_id_does_not_lead_out_of_the_folder(tmp_path, write_film):
    write_film(tmp_path / "secret.png")
    (tmp_path / "png").mkdir()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.xml").write_text(xml(images=("../secret", "a" * 400, "ok\tno")))
    *missing, study = open_source(tmp_path / "x", SourceOptions(images=tmp_path / "png")).read()
    assert study.images == ()
    assert len(missing) == 3


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (xml(head=LAUGHS, findings="&b;").encode(), "document type"),
        (xml(head=OUTSIDE, findings="&a;").encode(), "document type"),
        (xml(head='<!DOCTYPE x SYSTEM "http://example.org/x.dtd">').encode(), "document type"),
        (xml(findings="&b;").encode(), "undefined entity"),
        (xml()[:-9].encode(), "not well-formed XML"),
        (b"", "not well-formed XML"),
        (b"\x00\xff\x00", "not well-formed XML"),
        (xml().replace("utf-8", "klingon").encode(), "not well-formed XML|cannot be decoded"),
        (b"<a>" * 100_000, "not well-formed XML"),
        (b"<article><uId/></article>", "no <uId id="),
    ],
)
def test_what_is_no_report_is_refused_and_the_run_goes_on(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        parse_openi(data)
    (tmp_path / "1.xml").write_bytes(data)
    (tmp_path / "2.xml").write_text(xml("CXR2"))
    skipped, study = open_source(tmp_path).read()
    assert skipped.source == str(tmp_path / "1.xml")
    assert study.study_id == "CXR2"


def test_latin_1_that_calls_itself_utf8_is_read_and_counted(tmp_path):
    (tmp_path / "1.xml").write_bytes(xml(findings="Größe normal.").encode("latin-1"))
    source = open_source(tmp_path)
    (study,) = source.read()
    assert "Größe normal." in study.report
    assert any(note.startswith("1 text(s) were not UTF-8") for note in source.notes)


def test_sections_of_the_same_name_are_joined_and_cdata_is_text():
    data = (
        b'<e><uId id="CXR9"/><AbstractText Label="FINDINGS">Clear.</AbstractText>'
        b'<AbstractText Label="findings"><![CDATA[No <5 mm nodule.]]></AbstractText></e>'
    )
    assert parse_openi(data).text() == "FINDINGS: Clear.\nNo <5 mm nodule."


@pytest.mark.skipif(not REAL.is_file(), reason="the Open-I archive is not there")
def test_the_real_archive():
    found = list(open_source(REAL).read())
    assert len(found) == 3955
    skipped = [entry for entry in found if isinstance(entry, Skipped)]
    assert len(skipped) == 28
    assert {entry.reason for entry in skipped} == {"the report has neither findings nor impression"}
    assert len({study.study_id for study in found if not isinstance(study, Skipped)}) == 3927
    with tarfile.open(REAL) as archive:
        data = archive.extractfile("ecgen-radiology/1.xml")
        assert data is not None
        assert parse_openi(io.BytesIO(data.read()).getvalue()).image_ids == [
            "CXR1_1_IM-0001-3001",
            "CXR1_1_IM-0001-4001",
        ]
