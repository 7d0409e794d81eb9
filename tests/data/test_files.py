"""Files are whole or not there."""

import errno
from pathlib import Path

import polars as pl
import pytest

from offclip.data.files import Skipped, atomic_path, write_csv, write_skipped
from offclip.errors import CheckpointError, DataError


def test_a_new_file_takes_the_place_of_the_old(tmp_path):
    target = tmp_path / "new folder" / "a.txt"
    for text in ("first", "second"):
        with atomic_path(target) as temporary:
            temporary.write_text(text)
            assert temporary != target
        assert target.read_text() == text
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), KeyboardInterrupt(), DataError("told already")])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, failure):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail_half_way():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(type(failure)):
        fail_half_way()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the disk is full"), (5, "written")],
)
def test_a_refusing_disk_is_explained(tmp_path, number, words):
    with pytest.raises(CheckpointError, match=words) as caught, atomic_path(tmp_path / "a", CheckpointError):
        raise OSError(number, "refused")
    assert str(tmp_path / "a") in caught.value.message
    assert caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_really_full(tmp_path):
    with pytest.raises(DataError, match="the disk is full"), atomic_path(tmp_path / "a"):
        Path("/dev/full").write_bytes(b"x")


@pytest.mark.parametrize(
    "write",
    [lambda path: write_csv(pl.DataFrame({"a": [1]}), path), lambda path: write_skipped(path, [])],
    ids=["csv", "skipped"],
)
def test_tables_on_a_full_disk(tmp_path, full_disk, write):
    full_disk("t.csv")
    with pytest.raises(DataError, match="the disk is full"):
        write(tmp_path / "t.csv")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"), atomic_path(tmp_path / "file" / "a"):
        pass


def test_skipped_rows_are_listed(tmp_path):
    write_skipped(tmp_path / "skipped.csv", [])
    assert (tmp_path / "skipped.csv").read_text() == "source,row,id,reason\n"
    rows = [Skipped("reports.csv", 7, "s1", 'no "text", none'), Skipped("a.png", 0, "", "empty")]
    write_skipped(tmp_path / "skipped.csv", rows)
    read = pl.read_csv(tmp_path / "skipped.csv", infer_schema=False).fill_null("")
    assert read.rows() == [("reports.csv", "7", "s1", 'no "text", none'), ("a.png", "0", "", "empty")]
