"""From a hospital's export to studies: every reason to leave a row out, with its row number."""

import polars as pl
import pytest

from offclip.data.exports import read_export, studies_from_export
from offclip.data.split import split_of
from offclip.errors import DataError

NORMAL, ABNORMAL = "FINDINGS: The lungs are clear.", "FINDINGS: There is a left pleural effusion."
GOOD = {"study_id": "s1", "patient_id": "p1", "image_path": "a.png", "report": NORMAL, "split": "train"}


@pytest.fixture
def export(tmp_path, write_film):
    for name in "abcdef":
        write_film(tmp_path / f"{name}.png")

    def write(*rows: dict, name="reports.csv"):
        columns = list(dict.fromkeys(key for row in rows for key in row))
        full = [{column: row.get(column) for column in columns} for row in rows]
        pl.DataFrame(full, schema=dict.fromkeys(columns, pl.String)).write_csv(tmp_path / name)
        return tmp_path / name

    return write


def test_rows_become_studies(export, tmp_path):
    other = GOOD | {"study_id": "s2", "patient_id": "p2", "image_path": "b.png", "report": ABNORMAL}
    studies, skipped = studies_from_export(export(GOOD, other))
    assert not skipped
    assert studies["label"].to_list() == ["normal", "abnormal"]
    assert studies["images"][0][0] == {"image_id": "a", "path": str(tmp_path / "a.png"), "view": "unknown"}
    sentence = studies["sentences"][1][0]
    assert sentence["label"] == "abnormal"
    assert "effusion" in sentence["prompt"]
    assert sentence["reason"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"study_id": None}, "no study_id"),
        ({"patient_id": "nan"}, "no patient_id"),
        ({"image_path": " "}, "no image_path"),
        ({"report": ""}, "the report has no text"),
        ({"split": "holdout"}, "unknown split 'holdout'; known: train, validate, test"),
        ({"image_path": "z.png"}, "z.png: the image file does not exist"),
        ({"image_path": "."}, ".: the image file does not exist"),
        ({"image_path": "z" * 300 + ".png"}, "zz.png: the image file does not exist"),
        ({"image_id": "a"}, "image a stands in the table twice (first in row 2)"),
        ({"study_id": "s1"}, "study s1 stands in the table twice, with another patient in row 2"),
        ({"study_id": "s1", "patient_id": "p1", "report": ABNORMAL}, "with another report in row 2"),
        ({"study_id": "s1", "patient_id": "p1", "split": "test"}, "with another split in row 2"),
        ({"report": "TECHNIQUE: PA and lateral views."}, "no sentence in findings or impression"),
    ],
)
def test_a_bad_row_is_skipped_with_its_number_and_reason(export, change, reason):
    second = GOOD | {"study_id": "s2", "patient_id": "p2", "image_path": "b.png"} | change
    third = GOOD | {"study_id": "s3", "patient_id": "p3", "image_path": "c.png"}
    path = export(GOOD, second, third)
    studies, (entry,) = studies_from_export(path)
    assert studies["study_id"].to_list() == ["s1", "s3"]
    assert (entry.source, entry.row) == (str(path), 3)
    assert reason in entry.reason


def test_equal_file_names_ask_for_an_image_id(export, tmp_path, write_film):
    write_film(tmp_path / "one" / "view.png")
    write_film(tmp_path / "two" / "view.png")
    rows = [
        GOOD | {"study_id": f"s{i}", "patient_id": f"p{i}", "image_path": f"{folder}/view.png"}
        for i, folder in enumerate(("one", "two"))
    ]
    _, (entry,) = studies_from_export(export(*rows))
    assert "a column image_id can tell equal file names apart" in entry.reason
    named = [row | {"image_id": f"i{n}"} for n, row in enumerate(rows)]
    studies, skipped = studies_from_export(export(*named))
    assert len(studies) == 2
    assert not skipped


def test_several_views_of_a_study_are_one_study(export):
    rows = [
        GOOD | {"image_path": f"{name}.png", "view": view}
        for name, view in zip("abcd", ("PA", "lat", "ap", "odd"), strict=True)
    ]
    studies, skipped = studies_from_export(export(*rows))
    assert not skipped
    assert [image["view"] for image in studies["images"][0]] == ["PA", "lateral", "AP", "unknown"]


def test_findings_and_impression_are_joined(export):
    row = {key: GOOD[key] for key in ("study_id", "patient_id", "image_path")}
    path = export(
        row | {"findings": "The lungs are clear.", "impression": "Left pleural effusion."},
        row | {"study_id": "s2", "image_path": "b.png", "findings": None, "impression": "Normal chest."},
        row | {"study_id": "s3", "image_path": "c.png", "findings": None, "impression": None},
    )
    studies, (entry,) = studies_from_export(path)
    assert studies["report"].to_list() == [
        "FINDINGS: The lungs are clear.\nIMPRESSION: Left pleural effusion.",
        "IMPRESSION: Normal chest.",
    ]
    assert studies["label"].to_list() == ["abnormal", "normal"]
    assert entry.row == 4


def test_no_text_column(export):
    with pytest.raises(DataError, match="no text column") as caught:
        read_export(export({key: GOOD[key] for key in ("study_id", "patient_id", "image_path")}))
    assert "'report'" in caught.value.remedy


def test_a_patient_in_two_splits_is_refused_and_resplit_mends_it(export):
    second = GOOD | {"study_id": "s2", "image_path": "b.png", "split": "test"}
    path = export(GOOD, second)
    with pytest.raises(DataError, match="p1 in test, train") as caught:
        studies_from_export(path)
    assert "--resplit" in caught.value.remedy
    studies, _ = studies_from_export(path, resplit=True)
    assert studies["split"].to_list() == [split_of("p1")] * 2


def test_split_names_of_others_are_understood_and_blanks_are_split_by_patient(export):
    given = ["Training", "VAL", "dev", "testing", None]
    rows = [
        GOOD | {"study_id": f"s{i}", "patient_id": f"p{i}", "image_path": f"{'abcde'[i]}.png", "split": name}
        for i, name in enumerate(given)
    ]
    studies, _ = studies_from_export(export(*rows))
    assert studies["split"].to_list() == ["train", "validate", "validate", "test", split_of("p4")]


def test_nothing_usable_names_the_first_reason(export):
    with pytest.raises(DataError, match=r"no usable row is left.*the report has no text"):
        studies_from_export(export(GOOD | {"report": None}))
    with pytest.raises(DataError, match=r"no usable row is left\."):
        studies_from_export(export(dict.fromkeys(GOOD), name="r.csv"))


def test_progress_reaches_the_end(export):
    seen = []
    second = GOOD | {"study_id": "s2", "image_path": "b.png", "report": "TECHNIQUE: One view."}
    studies_from_export(export(GOOD, second), on_progress=lambda *at: seen.append(at))
    assert seen == [(2, 2)]
