"""The images of a folder: frontal unless asked, with what the study table says of them."""

import polars as pl
import pytest

from offclip.data.study import STUDY_SCHEMA
from offclip.evaluation.image_table import About, read_image_table


@pytest.fixture
def folder(tmp_path):
    """Two studies of a public set; the second has a lateral image only."""

    def write(ages):
        rows = [
            ("s1", "p1", "test", [{"image_id": "a", "path": "a.png", "view": "PA"}]),
            ("s2", "p2", "train", [{"image_id": "b", "path": "b.png", "view": "lateral"}]),
        ]
        said = {"text": "Clear.", "label": "normal", "prompt": "Clear.", "findings": []}
        studies = [(*row, "Clear.", [said], "normal") for row in rows]
        table = pl.DataFrame(studies, schema=STUDY_SCHEMA, orient="row")
        extra = {"age_years": pl.Series(ages), "sex": pl.Series(["F", None])}
        table.with_columns(**extra).write_parquet(tmp_path / "studies.parquet")
        return tmp_path

    return write


def test_lateral_images_are_taken_only_where_they_are_asked_for(folder):
    path = folder([61.0, None])
    table = read_image_table(path)
    assert [image.path for image in table.splits["test"]] == [path / "a.png"]
    assert (table.splits["train"], table.lateral) == ([], {"b"})
    assert table.about == {"a": About("s1", "p1", {"view": "PA", "sex": "F", "age": "61"})}
    both = read_image_table(path, lateral=True)
    assert [image.image_id for image in both.splits["train"]] == ["b"]
    assert both.about["b"] == About("s2", "p2", {"view": "lateral"})
    assert not both.lateral


@pytest.mark.parametrize(("age", "written"), [(61.5, "61.5"), (61, "61"), ("61-70", "61-70")])
def test_ages_are_written_as_the_table_has_them(folder, age, written):
    assert read_image_table(folder([age, None])).about["a"].attributes["age"] == written
