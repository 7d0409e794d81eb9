from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.data.datasets.label_map import LabelMap
from offclip.data.datasets.readers.siim_pneumothorax import SiimPneumothorax
from offclip.data.datasets.readers.siim_rle import mask_extent
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.files import Skipped
from offclip.errors import DataError

A, B, C, D = (f"1.2.276.0.7230010.3.1.4.8323329.{n}.1517875160.36729{n}" for n in (300, 1000, 4475, 5597))
# Rows 100-101 of columns 2 and 3; then rows 0-1 of column 1023.
MASK = f"{2 * 1024 + 100} 2 1022 2"
OTHER = f"{1023 * 1024} 2"


def place(root: Path, image_id: str, folder: str = "dicom-images-train") -> Path:
    path = root / folder / f"study{image_id[-3:]}" / f"series{image_id[-3:]}" / f"{image_id}.dcm"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"film")
    return path


def read(root: Path) -> tuple[list[ImageRecord], list[Skipped], list[str]]:
    reader = SiimPneumothorax(root)
    items = list(reader.read())
    records = [item for item in items if isinstance(item, ImageRecord)]
    return records, [item for item in items if isinstance(item, Skipped)], reader.notes


def test_masks_of_a_film_become_boxes(tmp_path):
    table = tmp_path / "train-rle.csv"
    # The header and the values stand behind a blank, as published.
    table.write_text(f"ImageId, EncodedPixels\n{A}, -1\n{B}, {MASK}\n{C},-1\n{B}, {OTHER}\n")
    paths = [place(tmp_path, image_id) for image_id in (A, B)]
    place(tmp_path, D)
    test = place(tmp_path, "1.2.3.999", "dicom-images-test")
    records, skipped, notes = read(tmp_path)
    assert skipped == []
    assert records[1] == ImageRecord(
        B,
        f"study{B[-3:]}",
        f"study{B[-3:]}",
        paths[1],
        split="train",
        view="frontal",
        labels={"Pneumothorax": 1},
        boxes=(FindingBox("Pneumothorax", 2, 100, 2, 2), FindingBox("Pneumothorax", 1023, 0, 1, 2)),
        source=str(table),
        row=3,
    )
    assert [(r.image_id, r.split, r.labels["Pneumothorax"], len(r.boxes)) for r in records] == [
        (A, "train", 0, 0),
        (B, "train", 1, 2),
        (C, "train", 0, 0),
        ("1.2.3.999", "test", None, 0),
    ]
    assert records[3].path == test
    assert not records[2].path.exists()
    assert records[2].study_id == C
    assert notes == ["1 film(s) of dicom-images-train have no row in train-rle.csv."]
    assert list(SiimPneumothorax(tmp_path).tables()) == [table]
    assert LabelMap("siim-pneumothorax", records[0].labels).read((0,)).code == "-0"  # not normal for that


def test_stage_two_below_a_folder_siim(tmp_path):
    siim = tmp_path / "siim"
    siim.mkdir()
    (tmp_path / "stage_2_train.csv").write_text(f"ImageId,EncodedPixels\n{A},-1\n{B},{MASK}\n")
    (siim / "train-rle.csv").write_text(f"ImageId, EncodedPixels\n{A}, -1\n")
    place(siim, A)
    place(siim, B, "dicom-images-test")
    (siim / "stage_2_images").mkdir()
    (siim / "stage_2_images" / "ID_0011fe81e.dcm").write_bytes(b"film")
    records, _, _ = read(tmp_path)
    assert [(r.image_id, r.split, r.labels["Pneumothorax"]) for r in records] == [
        (A, "train", 0),
        (B, "train", 1),
        ("ID_0011fe81e", "test", None),
    ]
    assert all(r.path.is_file() for r in records)


def test_png_films_of_a_user_of_kaggle(tmp_path):
    header = "new_filename,ImageId,has_pneumo\n"
    (tmp_path / "stage_1_train_images.csv").write_text(
        f"{header}0_train_0_.png,{A},0\n1_train_1_.png,{B},1\n"
    )
    (tmp_path / "stage_1_test_images.csv").write_text(
        f"{header}0_test_1_.png,{C},1\n../out.png,{D},1\nx.png,e,3\n"
    )
    records, skipped, _ = read(tmp_path)
    assert [(r.image_id, r.split, r.labels["Pneumothorax"], r.path.name, r.row) for r in records] == [
        (A, "train", 0, "0_train_0_.png", 2),
        (B, "train", 1, "1_train_1_.png", 3),
        (C, "test", 1, "0_test_1_.png", 2),
    ]
    assert records[0].path == tmp_path / "png_images" / "0_train_0_.png"
    assert [(s.row, s.id) for s in skipped] == [(3, D), (4, "e")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x, 5", "pairs"),
        ("x, ", "pairs"),
        ("x, a b", "no whole number"),
        ("x, 5 0", "no length"),
        ("x, -5 9", "negative"),
        (f"x, {1024 * 1024 - 1} 2", "leaves the film"),
        (", -1", "ImageId is empty"),
        ("../x, -1", "no name of a file"),
    ],
)
def test_bad_rows_are_left_out_with_their_number(tmp_path, row, reason):
    (tmp_path / "train-rle.csv").write_text(f"ImageId, EncodedPixels\n{A}, -1\n{row}\n")
    records, skipped, _ = read(tmp_path)
    assert [r.image_id for r in records] == [A]
    assert [s.row for s in skipped] == [3]
    assert skipped[0].source.endswith("train-rle.csv")
    assert reason in skipped[0].reason


def test_a_film_with_and_without_a_mask_is_left_out(tmp_path):
    (tmp_path / "train-rle.csv").write_text(f"ImageId, EncodedPixels\n{A}, -1\n{A}, {MASK}\n")
    records, skipped, _ = read(tmp_path)
    assert records == []
    assert [(s.row, s.id) for s in skipped] == [(2, A)]


def test_missing_tables_and_columns_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none of stage_2_train\.csv, train-rle\.csv"):
        SiimPneumothorax(tmp_path)
    (tmp_path / "stage_1_train_images.csv").write_text("new_filename,ImageId\n")
    with pytest.raises(DataError, match=r"stage_1_train_images\.csv: column 'has_pneumo' is missing"):
        SiimPneumothorax(tmp_path)
    (tmp_path / "train-rle.csv").write_text("ImageId,Pixels\n")
    with pytest.raises(DataError, match=r"train-rle\.csv: column 'EncodedPixels' is missing"):
        SiimPneumothorax(tmp_path)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=6))
def test_the_extent_is_that_of_the_drawn_mask(runs):
    side = 16
    mask = np.zeros(side * side, bool)
    position = 0
    for skip, length in runs:
        position += skip
        mask[position : position + length] = True
        position += length
    encoded = " ".join(f"{skip} {length}" for skip, length in runs)
    if position > side * side:
        with pytest.raises(ValueError, match="leaves"):
            mask_extent(encoded, side)
        return
    ys, xs = np.nonzero(mask.reshape(side, side).T)  # pixels run down the columns
    box = (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1)
    assert mask_extent(encoded, side) == box
