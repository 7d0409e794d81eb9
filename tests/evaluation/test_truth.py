"""Labels and boxes of users: what is refused, what is listed, and that order never matters."""

import numpy as np
import polars as pl
import pytest

from offclip.errors import DataError
from offclip.evaluation.truth import read_evaluation_folder, read_labels


@pytest.fixture
def labels(tmp_path):
    def write(text: str):
        (tmp_path / "labels.csv").write_text(text)
        return tmp_path / "labels.csv"

    return write


def test_labels_are_one_zero_or_unknown(labels):
    read, skipped = read_labels(labels("image_id,normal,nodule,edema\na,1,0,0.0\nb,0,1.0,\nc,,nan, \n"))
    assert not skipped
    assert read.image_ids == ("a", "b", "c")
    assert read.findings == ("nodule", "edema")
    assert np.array_equal(read.present, [[0, 0], [1, np.nan], [np.nan, np.nan]], equal_nan=True)
    assert np.array_equal(read.normal, [1, 0, np.nan], equal_nan=True)


def test_without_a_column_normal_it_follows_from_the_findings(labels):
    read, _ = read_labels(labels("image_id,nodule,edema\na,0,0\nb,1,\nc,0,\n"))
    assert np.array_equal(read.normal, [1, 0, np.nan], equal_nan=True)


@pytest.mark.parametrize("value", ["2", "yes", "-1", "0.5", "inf", "1e300"])
@pytest.mark.parametrize("column", ["normal", "edema"])
def test_another_value_is_refused_with_row_and_column(labels, value, column):
    row = f"b,{value},0,1" if column == "normal" else f"b,0,0,{value}"
    with pytest.raises(
        DataError, match=f"row 3, column '{column}': '{value}' is not 0, 1 or blank"
    ) as caught:
        read_labels(labels(f"image_id,normal,nodule,edema\na,1,0,0\n{row}\n"))
    assert "labels.csv" in caught.value.message
    assert "0 for absent" in caught.value.remedy


def test_rows_without_an_id_and_doubled_rows_are_listed_with_their_number(labels):
    read, skipped = read_labels(labels("image_id,nodule\na,0\nb,1\n,1\na,1\na,0\n"))
    assert read.image_ids == ("a", "b")
    assert read.present[:, 0].tolist() == [0, 1]
    assert [(entry.row, entry.reason) for entry in skipped] == [
        (4, "no image_id"), (5, "doubled (first in row 2)"), (6, "doubled (first in row 2)"),
    ]  # fmt: skip


def test_normal_with_a_finding_is_a_contradiction(labels):
    with pytest.raises(DataError, match="row 3 is normal and has a finding"):
        read_labels(labels("image_id,normal,nodule\na,0,1\nb,1,1\n"))


def test_no_finding_column(labels):
    with pytest.raises(DataError, match=r"no finding column beside image_id, split, normal\."):
        read_labels(labels("image_id,split,normal\na,test,1\n"))


def test_a_column_that_asks_for_the_normal_prompt_is_refused_by_name(labels):
    with pytest.raises(DataError, match=r"column 'No Finding' asks 'There is no finding.'") as caught:
        read_labels(labels("image_id,No Finding,nodule\na,1,0\n"))
    assert "'normal'" in caught.value.remedy


def test_two_columns_of_one_prompt_are_refused_by_name(labels):
    with pytest.raises(DataError, match=r"'Pleural Effusion' asks .* column 'pleural_effusion'"):
        read_labels(labels("image_id,pleural_effusion,Pleural Effusion\na,1,0\n"))


def test_a_phantom_folder_is_read_whole(phantom):
    data = read_evaluation_folder(phantom)
    assert not data.skipped
    assert sum(map(len, data.images.values())) == 120
    assert set(data.boxes) == {
        i for i, normal in zip(data.labels.image_ids, data.labels.normal, strict=True) if normal == 0
    }


def test_without_a_study_table_the_export_says_where_images_are(own_phantom):
    with_table = read_evaluation_folder(own_phantom)
    (own_phantom / "studies.parquet").unlink()
    without = read_evaluation_folder(own_phantom)
    assert without.images == with_table.images
    (own_phantom / "reports.csv").unlink()
    with pytest.raises(DataError, match=r"neither studies\.parquet nor reports\.csv"):
        read_evaluation_folder(own_phantom)


def test_a_patient_in_two_splits_of_the_export_is_refused(own_phantom):
    (own_phantom / "studies.parquet").unlink()
    table = pl.read_csv(own_phantom / "reports.csv", infer_schema=False)
    first = table["patient_id"][0]
    other = pl.when(pl.int_range(pl.len()) == 1).then(pl.lit(first)).otherwise("patient_id")
    split = pl.when(pl.int_range(pl.len()) == 1).then(pl.lit("test")).otherwise(pl.lit("train"))
    table.with_columns(patient_id=other, split=split).write_csv(own_phantom / "reports.csv")
    with pytest.raises(DataError, match=f"{first} in test, train"):
        read_evaluation_folder(own_phantom)


def test_ids_that_are_known_in_one_file_only_are_listed(own_phantom):
    labels = pl.read_csv(own_phantom / "labels.csv", infer_schema=False)
    ids = labels["image_id"].to_list()
    stranger = labels.head(1).with_columns(image_id=pl.lit("stranger"))
    pl.concat([labels.tail(119), stranger]).write_csv(own_phantom / "labels.csv")
    with (own_phantom / "boxes.csv").open("a") as handle:
        handle.write("nobody,nodule,left,upper,0.5,1,1,5,5\n")
    data = read_evaluation_folder(own_phantom)
    assert {(entry.id, entry.source, entry.reason) for entry in data.skipped} >= {
        ("stranger", "labels.csv", "no such image in the table"),
        ("nobody", "boxes.csv", "no such image in the table"),
        (ids[0], "labels.csv", "the image has no row here"),
    }
    assert ids[0] not in {image.image_id for images in data.images.values() for image in images}


def test_no_common_id_is_refused(own_phantom):
    (own_phantom / "labels.csv").write_text("image_id,nodule\nx,1\n")
    with pytest.raises(DataError, match="no image of the table has a row") as caught:
        read_evaluation_folder(own_phantom)
    assert "image_id" in caught.value.remedy


@pytest.mark.parametrize(
    "box",
    [
        "a,nodule,nan,1,5,5",
        "a,nodule,1,,5,5",
        "a,nodule,one,1,5,5",
        "a,nodule,1,1,0,5",
        "a,nodule,1,1,5,-5",
        "a,nodule,1,1,inf,5",
        "a,nodule,inf,1,5,5",
        ",nodule,1,1,5,5",
        "a,,1,1,5,5",
    ],
)
def test_a_bad_box_is_listed_with_its_row(own_phantom, box):
    sound = pl.read_csv(own_phantom / "boxes.csv", infer_schema=False)["image_id"][0]
    lines = ["image_id,finding,x,y,width,height", f"{sound},nodule,1,1,5,5", box]
    (own_phantom / "boxes.csv").write_text("\n".join(lines) + "\n")
    data = read_evaluation_folder(own_phantom)
    assert list(data.boxes) == [sound]
    (entry,) = data.skipped
    assert entry.row == 3
    assert "number" in entry.reason or "empty box" in entry.reason


def test_missing_files(tmp_path, own_phantom):
    with pytest.raises(DataError, match="no such folder"):
        read_evaluation_folder(tmp_path / "none")
    (own_phantom / "boxes.csv").unlink()
    assert read_evaluation_folder(own_phantom).boxes == {}
    (own_phantom / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"labels\.csv: no such file"):
        read_evaluation_folder(own_phantom)
