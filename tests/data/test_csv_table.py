"""Tables of users: every dialect that is understood, and a clear word for those that are not."""

import polars as pl
import pytest

from offclip.data.csv_table import read_table
from offclip.errors import DataError


def table(tmp_path, content: bytes, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    return read_table(path, ["study_id"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", b"study_id,b\n01,2\n"),
        ("bom.csv", b"\xef\xbb\xbfstudy_id,b\n01,2\n"),
        ("windows.csv", b"study_id,b\r\n01,2\r\n"),
        ("blanks.csv", b" study_id ,b \n 01 , 2\n"),
        ("tabs.tsv", b"study_id\tb\n01\t2\n"),
        ("quoted.csv", b'"study_id","b"\n"01","2"\n'),
    ],
)
def test_dialects_give_the_same_table_and_ids_keep_their_zeros(tmp_path, name, content):
    assert table(tmp_path, content, name).to_dicts() == [{"study_id": "01", "b": "2"}]


def test_a_parquet_table_becomes_strings(tmp_path):
    pl.DataFrame({"study_id": [1, 2], "b": [0.5, None]}).write_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", ["study_id"]).rows() == [("1", "0.5"), ("2", None)]


@pytest.mark.parametrize("word", ["", "  ", "nan", "NaN", "NA", "n/a", "NULL", "None"])
def test_words_for_nothing_become_null(tmp_path, word):
    assert table(tmp_path, f"study_id,b\n1,{word}\n".encode())["b"].to_list() == [None]


def test_a_report_may_run_over_lines(tmp_path):
    read = table(tmp_path, b'study_id,report\n1,"FINDINGS: Clear,\nno effusion."\n')
    assert read["report"].to_list() == ["FINDINGS: Clear,\nno effusion."]


def test_a_missing_column_is_named_beside_those_found(tmp_path):
    (tmp_path / "t.csv").write_text("accession;report\n1;2\n")
    with pytest.raises(DataError, match=r"'study_id' is missing.*accession;report") as caught:
        read_table(tmp_path / "t.csv", ["study_id", "report"])
    assert "study_id, report" in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"\n\n", "not a readable table"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not a text file"),
        (b"PK\x03\x04" + bytes(50), "not a text file"),  # a spreadsheet
        ("study_id,b\n1,2\n".encode("utf-16"), "not a text file"),
        (bytes(range(128, 256)) * 20, "is missing"),
        ("study_id,b\n1,Größe\n".encode("latin-1"), "not a readable table"),
        (b"study_id,b\n1,2,3\n", "not a readable table"),
        (b"study_id,study_id \n1,2\n", "not a readable table"),
    ],
)
def test_what_is_no_table_is_refused_with_its_path(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        table(tmp_path, content)
    assert str(tmp_path / "t.csv") in caught.value.message
    assert caught.value.remedy
    assert len(caught.value.message) < 800


@pytest.mark.parametrize("name", ["no-such.csv", "."])
def test_a_missing_file_or_a_folder(tmp_path, name):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / name, ["study_id"])


def test_garbage_named_parquet(tmp_path):
    with pytest.raises(DataError, match="not a readable table"):
        table(tmp_path, b"PAR1 but no more", "t.parquet")
