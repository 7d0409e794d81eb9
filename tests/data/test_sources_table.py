"""Tables as sources: rows with their numbers, dialects, and every refusal."""

import gzip

import polars as pl
import pytest

from offclip.data.files import Skipped
from offclip.data.sources import FoundStudy, SourceOptions, open_source
from offclip.data.sources.limits import MAX_FILE_BYTES
from offclip.errors import DataError

HEAD = b"study_id,patient_id,report\n"


@pytest.fixture
def read(tmp_path):
    def run(content: bytes, name="t.csv", **options):
        (tmp_path / name).write_bytes(content)
        source = open_source(tmp_path / name, SourceOptions(**options))
        return list(source.read()), source.notes

    return run


def test_a_table_without_images_and_patients_is_read_and_says_so(read):
    (study,), notes = read(b"study_id,report\n007,Clear lungs.\n")
    assert (study.study_id, study.patient_id, study.split, study.report) == ("007", "007", "", "Clear lungs.")
    assert study.images == ()
    assert study.row == 2
    assert any("no column image_path" in note for note in notes)
    assert any(note.startswith("Warning: there is no column patient_id") for note in notes)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bom.csv", b"\xef\xbb\xbf" + HEAD + b"01,p,Clear.\n"),
        ("windows.csv", b"study_id,patient_id,report\r\n01,p,Clear.\r\n"),
        ("blanks.csv", b" study_id , patient_id,report \n 01 , p ,Clear. \n"),
        ("t.tsv", b"study_id\tpatient_id\treport\n01\tp\tClear.\n"),
        ("no_newline.csv", HEAD + b"01,p,Clear."),
        ("blank_lines.csv", HEAD + b"\n01,p,Clear.\n\n\n"),
        ("packed.csv.gz", gzip.compress(HEAD + b"01,p,Clear.\n", mtime=0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_dialects_give_the_same_study(read, name, content):
    (study,), _ = read(content, name)
    assert (study.study_id, study.patient_id, study.report) == ("01", "p", "Clear.")


def test_a_report_may_run_over_lines_and_rows_are_counted_not_lines(read):
    found, _ = read(HEAD + b'1,p,"FINDINGS: Clear,\nno ""effusion""."\n2,p,\n')
    assert found[0].report == 'FINDINGS: Clear,\nno "effusion".'
    assert (found[1].row, found[1].id, found[1].reason) == (3, "2", "the report has no text")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1,p", "the row has 2 cells instead of 3"),
        (b"1,p,No effusion, no edema.", "the row has 4 cells instead of 3; a text with commas needs quotes"),
    ],
)
def test_a_row_of_another_width_is_left_out_with_its_number(read, row, reason):
    found, _ = read(HEAD + b"0,p,Clear.\n" + row + b"\n2,p,Clear.\n")
    assert [type(entry) for entry in found] == [FoundStudy, Skipped, FoundStudy]
    assert (found[1].row, found[1].id) == (3, "1")
    assert reason in found[1].reason
    assert found[2].row == 4


def test_lines_that_are_not_utf8_are_read_and_counted(read):
    found, notes = read(HEAD + "1,p,Größe normal.\n2,p,Clear.\n".encode("cp1252") + "3,p,Größe.\n".encode())
    assert [study.report for study in found] == ["Größe normal.", "Clear.", "Größe."]
    assert any(note.startswith("1 line(s) were not UTF-8") for note in notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"\n\n", "there is no header"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not a text file"),
        (b"PK\x03\x04" + bytes(50), "not a text file"),
        (HEAD.decode().encode("utf-16"), "not a text file"),
        (b"accession;report\n1;2\n", r"'study_id' is missing .found: accession;report"),
        (b"study_id,patient_id\n1,2\n", "no text column"),
        (b"study_id,report,report \n1,2,3\n", "'report' stands in it twice"),
        (HEAD + b'1,p,"Clear.\n' + b"2,p,Clear.\n" * (MAX_FILE_BYTES // 8), "line .*field larger"),
    ],
)
def test_what_is_no_table_is_refused_with_its_path(read, tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read(content)
    assert str(tmp_path / "t.csv") in caught.value.message
    assert caught.value.remedy


def test_a_gzipped_table_that_is_cut_or_a_bomb_is_refused(read, monkeypatch):
    packed = gzip.compress(HEAD + b"1,p,Clear.\n" * 2000)
    with pytest.raises(DataError, match="not a readable table"):
        read(packed[: len(packed) // 2], "t.csv.gz")
    monkeypatch.setattr("offclip.data.sources.limits.FREE_BYTES", 1000)
    with pytest.raises(DataError, match="unpacks to more than 100 times"):
        read(gzip.compress(HEAD + b"1,p,Clear.\n" * 100_000), "t.csv.gz")


def test_parquet_becomes_strings_and_a_column_that_cannot_is_named(tmp_path):
    table = {"study_id": [7, 8], "patient_id": ["007", None], "report": ["Clear.", "Clear."]}
    pl.DataFrame(table).write_parquet(tmp_path / "t.parquet")
    study, skipped = open_source(tmp_path / "t.parquet").read()
    assert (study.study_id, study.patient_id) == ("7", "007")
    assert (skipped.row, skipped.id, skipped.reason) == (3, "8", "no patient_id")
    pl.DataFrame(table | {"report": [["Clear."], []]}).write_parquet(tmp_path / "lists.parquet")
    with pytest.raises(DataError, match="column 'report'"):
        list(open_source(tmp_path / "lists.parquet").read())
    (tmp_path / "garbage.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(DataError, match="not a readable table"):
        open_source(tmp_path / "garbage.parquet")


def test_image_paths_are_relative_to_the_table_or_to_the_folder_of_images(read, tmp_path, write_film):
    content = b"study_id,patient_id,image_path,report\n1,p,a.png,Clear.\n"
    write_film(tmp_path / "a.png")
    write_film(tmp_path / "films" / "a.png")
    (beside,), _ = read(content)
    assert beside.images[0].path == str(tmp_path / "a.png")
    (elsewhere,), _ = read(content, images=tmp_path / "films")
    assert elsewhere.images[0].path == str(tmp_path / "films" / "a.png")


def test_the_column_split_is_ignored_where_a_new_split_is_asked_for(read):
    content = b"study_id,patient_id,report,split\n1,p,Clear.,holdout\n"
    (skipped,), _ = read(content)
    assert skipped.reason.startswith("unknown split 'holdout'")
    (study,), _ = read(content, resplit=True)
    assert study.split == ""
