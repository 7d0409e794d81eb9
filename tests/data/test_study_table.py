"""The study table: what it refuses, and that it survives being written, read and moved."""

import shutil

import polars as pl
import pytest

from offclip.data.study import STUDY_SCHEMA, check_studies, leaking_patients, read_studies, write_studies
from offclip.errors import DataError

SENTENCE = {"text": "Clear.", "label": "normal", "reason": "r", "prompt": "There is no finding."}
SENTENCE |= {"section": "findings", "start": 0, "end": 6, "findings": []}
FILM = {"image_id": "i0", "path": "/films/0.png", "view": "PA"}


def test_a_sound_table_passes(make_studies):
    table = make_studies()
    assert check_studies(table) is table


@pytest.mark.parametrize("column", list(STUDY_SCHEMA))
def test_every_column_is_needed(make_studies, column):
    with pytest.raises(DataError, match=f"no column '{column}'") as caught:
        check_studies(make_studies().drop(column), "mine.parquet")
    assert "mine.parquet" in caught.value.message
    assert "offclip label" in caught.value.remedy


def test_a_column_of_another_type_is_named(make_studies):
    with pytest.raises(DataError, match="'patient_id' is Int64, expected String"):
        check_studies(make_studies().with_columns(patient_id=pl.Series([1, 2, 3])))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"study_id": ["s0", "s1", "s0"]}, "study s0 stands in the table twice"),
        ({"images": [[FILM], [], [FILM]]}, "image i0 stands in the table twice"),
        ({"split": ["train", "holdout", "test"]}, "unknown split 'holdout'"),
        ({"label": ["normal", "sick", "normal"]}, "unknown label 'sick'"),
        ({"study_id": ["s0", None, "s2"]}, "row 1 has no study_id"),
        ({"patient_id": ["p0", "p1", None]}, "row 2 has no patient_id"),
        ({"split": [None, "train", "train"]}, "row 0 has no split"),
        ({"label": ["normal", None, "normal"]}, "row 1 has no label"),
        ({"images": [[FILM], None, []]}, "row 1 has no images"),
        ({"sentences": [[SENTENCE], None, []]}, "row 1 has no sentences"),
        (
            {"images": [[], [FILM | {"image_id": None}], []]},
            "study s1 has an entry in images without image_id",
        ),
        ({"images": [[], [FILM | {"path": ""}], []]}, "study s1 has an entry in images without path"),
        (
            {"sentences": [[], [], [SENTENCE | {"text": " "}]]},
            "study s2 has an entry in sentences without text",
        ),
        ({"sentences": [[], [], [SENTENCE | {"prompt": None}]]}, "in sentences without prompt"),
        ({"sentences": [[], [], [SENTENCE | {"label": "fine"}]]}, "unknown sentence label 'fine'"),
    ],
)
def test_a_broken_rule_is_named(make_studies, columns, message):
    with pytest.raises(DataError, match=message) as caught:
        check_studies(make_studies(**columns))
    assert caught.value.remedy


def test_an_empty_table_is_refused(make_studies):
    with pytest.raises(DataError, match="holds no study"):
        check_studies(make_studies(0))


def test_a_study_may_lack_images_and_sentences(make_studies):
    check_studies(make_studies(images=[[], [], []], sentences=[[], [], []]))


def test_a_patient_in_two_splits_is_refused_with_the_name(make_studies):
    table = make_studies(4, patient_id=["a", "b", "a", "b"], split=["train", "test", "validate", "test"])
    with pytest.raises(DataError, match=r"1 patient\(s\).*a in train, validate") as caught:
        check_studies(table)
    assert "--resplit" in caught.value.remedy
    assert leaking_patients(table)["patient_id"].to_list() == ["a"]


def test_what_is_written_is_read(make_studies, tmp_path):
    table = make_studies()
    write_studies(table, tmp_path / "studies.parquet")
    assert read_studies(tmp_path / "studies.parquet").equals(table)


def test_paths_inside_the_folder_are_relative_on_disk_and_absolute_in_memory(make_studies, tmp_path):
    inside = FILM | {"path": str(tmp_path / "images" / "a.png")}
    outside = {"image_id": "i1", "path": "/elsewhere/b.png", "view": "PA"}
    write_studies(make_studies(2, images=[[inside], [outside]]), tmp_path / "studies.parquet")
    on_disk = pl.read_parquet(tmp_path / "studies.parquet")["images"].explode().struct.field("path")
    assert on_disk.to_list() == ["images/a.png", "/elsewhere/b.png"]
    read = read_studies(tmp_path / "studies.parquet")["images"].explode().struct.field("path")
    assert read.to_list() == [inside["path"], outside["path"]]


def test_a_moved_folder_still_finds_its_images(make_studies, tmp_path, write_film):
    film = write_film(tmp_path / "old" / "images" / "a.png")
    write_studies(
        make_studies(1, images=[[FILM | {"path": str(film)}]]), tmp_path / "old" / "studies.parquet"
    )
    shutil.move(tmp_path / "old", tmp_path / "new")
    read = read_studies(tmp_path / "new" / "studies.parquet")
    assert read["images"][0][0]["path"] == str(tmp_path / "new" / "images" / "a.png")


def test_a_table_is_checked_before_it_is_written(make_studies, tmp_path):
    with pytest.raises(DataError):
        write_studies(make_studies(label=["normal", "sick", "normal"]), tmp_path / "studies.parquet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [None, b"", b"study_id,patient_id\n1,2\n"])
def test_what_is_no_parquet_file_is_refused_with_its_path(tmp_path, content):
    path = tmp_path / "studies.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"studies\.parquet") as caught:
        read_studies(path)
    assert caught.value.remedy


def test_a_full_disk_is_named_and_leaves_the_old_table(make_studies, tmp_path, full_disk):
    path = tmp_path / "studies.parquet"
    write_studies(make_studies(2), path)
    full_disk("studies.parquet")
    with pytest.raises(DataError, match="the disk is full"):
        write_studies(make_studies(3), path)
    assert len(read_studies(path)) == 2
