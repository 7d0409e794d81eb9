"""Folders and archives of text files, and how the form of an input is told."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from offclip.data.files import Skipped
from offclip.data.sources import SourceOptions, open_source
from offclip.data.sources.limits import MAX_FILE_BYTES
from offclip.data.sources.mimic import MimicReports
from offclip.data.sources.openi import OpeniReports
from offclip.data.sources.text_files import TextFiles
from offclip.errors import ConfigError, DataError

TEXTS = {"b/2.txt": b"FINDINGS: Clear.", "b/1.TXT": b"Small effusion.", "a.txt": b"Normal chest."}


@pytest.fixture
def folder(tmp_path):
    for name, content in TEXTS.items():
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "texts"


def tar_of(path, files: dict[str, bytes], mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_a_file_is_a_study_and_its_folder_the_patient(folder):
    source = open_source(folder)
    found = list(source.read())
    assert [(s.study_id, s.patient_id) for s in found] == [("a", "a"), ("b/1", "b"), ("b/2", "b")]
    assert [s.report for s in found] == ["Normal chest.", "Small effusion.", "FINDINGS: Clear."]
    assert found[1].source == str(folder / "b" / "1.TXT")
    assert "folder that a text file lies in counts as its patient" in " ".join(source.notes)


@pytest.mark.parametrize("name", ["t.tgz", "t.tar.gz", "t.tar", "t.zip"])
def test_archives_give_what_the_folder_gives(folder, tmp_path, name):
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for inside, content in TEXTS.items():
                archive.writestr(inside, content)
    else:
        tar_of(path, TEXTS, "w" if name.endswith("tar") else "w:gz")
    found = {s.study_id: (s.patient_id, s.report) for s in open_source(path).read()}
    assert found == {s.study_id: (s.patient_id, s.report) for s in open_source(folder).read()}


def test_bad_files_are_listed_and_the_rest_is_read(folder):
    (folder / "c.txt").write_bytes(b" \n")
    (folder / "d.txt").write_bytes(b"PK\x03\x04" + bytes(20))
    (folder / "e.txt").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    (folder / "f.txt").write_bytes("Größe normal.".encode("cp1252"))
    (folder / "g.txt").write_bytes("Clear lungs.".encode("utf-16"))
    (folder / "h.txt").symlink_to(folder / "nowhere.txt")
    os.mkfifo(folder / "i.txt")
    (folder / "link").symlink_to(folder / "b")
    (folder / os.fsdecode(b"j\xff.txt")).write_text("Clear.")
    (folder / "readme.md").write_text("not a report")
    source = open_source(folder)
    found = list(source.read())
    skipped = {Path(s.source).name: s.reason for s in found if isinstance(s, Skipped)}
    texts = {s.study_id: s.report for s in found if not isinstance(s, Skipped)}
    assert texts.keys() == {"a", "b/1", "b/2", "f", "g"}
    assert (texts["f"], texts["g"]) == ("Größe normal.", "Clear lungs.")
    assert any(note.startswith("2 text(s) were not UTF-8") for note in source.notes)
    for name, reason in (
        ("c.txt", "the report has no text"),
        ("d.txt", "not a text file"),
        ("e.txt", "a report has at most"),
        ("h.txt", "cannot be read"),
        ("i.txt", "not a file"),
        ("link", "a link to a folder is not followed"),
        ("j\\udcff.txt", "the file name is not UTF-8"),
    ):
        assert reason in skipped.pop(name)
    assert not skipped


def test_the_form_is_told_by_the_names_inside(tmp_path, folder):
    assert isinstance(open_source(folder), TextFiles)
    assert isinstance(open_source(tar_of(tmp_path / "a.tgz", {"x/1.xml": b"<a/>"})), OpeniReports)
    report = {"files/p10/p10000032/s50414267.txt": b"Clear."}
    assert isinstance(open_source(tar_of(tmp_path / "b.tar", report, "w")), MimicReports)
    assert isinstance(open_source(tmp_path / "b.tar", SourceOptions(format="text")), TextFiles)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda p: p / "no-such", {}, "no such file or folder"),
        (lambda p: p, {}, "no report is in it"),
        (lambda p: _file(p / "reports.docx"), {}, "unknown kind of file"),
        (lambda p: _file(p / "reports.csv").parent, {}, r"Give the table itself: .*reports\.csv"),
        (lambda p: p, {"format": "table"}, "a folder is no table"),
        (lambda p: _file(p / "a.xml"), {"format": "openi"}, "neither a folder nor a"),
        (lambda p: _file(p / "a.tgz"), {}, "the archive cannot be read"),
        (lambda p: _file(p / "a.zip"), {}, "the archive cannot be read"),
    ],
)
def test_what_is_no_archive_of_reports_is_refused(tmp_path, make, options, message):
    path = make(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        open_source(path, SourceOptions(**options))
    assert str(path) in str(caught.value)
    assert caught.value.remedy


def test_images_are_refused_where_they_cannot_be_told_or_are_missing(folder, tmp_path):
    with pytest.raises(ConfigError, match="text files do not say"):
        open_source(folder, SourceOptions(images=tmp_path))
    with pytest.raises(ConfigError, match="no such folder"):
        open_source(folder, SourceOptions(images=tmp_path / "none"))


def _file(path):
    path.write_bytes(b"anything")
    return path
