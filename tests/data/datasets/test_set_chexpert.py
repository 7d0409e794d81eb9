"""CheXpert and its test set: the official layouts, with the odd values that are in them."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.readers.chexpert_labels import CHEXPERT_LABELS
from offclip.data.datasets.tables.coco_rle import mask_extent, run_lengths
from offclip.data.files import Skipped
from offclip.errors import DataError

HEADER = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT_LABELS]


def write(path, header, *rows, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([header, *rows])
    return path


def row(path, sex="Female", age="68", side="Frontal", view="AP", **values):
    by_name = {name.replace("_", " "): value for name, value in values.items()}
    return [path, sex, age, side, view, *(by_name.get(label, "") for label in CHEXPERT_LABELS)]


@pytest.fixture
def small(tmp_path, write_film):
    folder = tmp_path / "CheXpert-v1.0-small"
    write_film(folder / "train" / "patient00001" / "study1" / "view1_frontal.jpg")
    write_film(folder / "valid" / "patient64541" / "study1" / "view2_lateral.jpg")
    write(
        folder / "train.csv",
        HEADER,
        row(
            "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg",
            No_Finding="1.0",
            Enlarged_Cardiomediastinum="",
            Support_Devices="1.0",
        ),
        row(
            "CheXpert-v1.0-small\\train\\patient00002\\study2\\view1_frontal.jpg",
            "Unknown",
            "0",
            view="LL",
            Edema="-1.0",
            Pneumonia="1.0",
            Fracture="0.0",
        ),
        encoding="utf-8-sig",
    )
    write(
        folder / "valid.csv",
        HEADER,
        row(
            "CheXpert-v1.0-small/valid/patient64541/study1/view2_lateral.jpg",
            "Male",
            "73",
            "Lateral",
            "",
            **dict.fromkeys((label.replace(" ", "_") for label in CHEXPERT_LABELS), "0.0"),
        ),
    )
    return folder


def read(name, root, option=""):
    reader = open_set(name, root, option)
    return reader, list(reader.read())


@pytest.mark.parametrize("above", [False, True])
def test_every_field_of_a_film(small, above):
    reader, (first, second, third) = read("chexpert", small.parent if above else small)
    assert first.image_id == "patient00001_study1_view1_frontal"
    assert (first.study_id, first.patient_id) == ("patient00001_study1", "patient00001")
    assert first.path == small / "train" / "patient00001" / "study1" / "view1_frontal.jpg"
    assert [film.path.is_file() for film in (first, second, third)] == [True, False, True]
    assert [film.split for film in (first, second, third)] == ["train", "train", "validate"]
    assert [film.view for film in (first, second, third)] == ["AP", "frontal", "lateral"]
    assert [film.sex for film in (first, second, third)] == ["F", "", "M"]
    assert [film.age_years for film in (first, second, third)] == [68, None, 73]
    assert [(film.source, film.row) for film in (second, third)] == [
        (str(small / "train.csv"), 3),
        (str(small / "valid.csv"), 2),
    ]
    assert (first.report, first.boxes) == ("", ())
    assert [table.name for table in reader.tables()] == ["train.csv", "valid.csv"]
    assert reader.notes == []


def test_what_blanks_and_doubts_mean(small):
    _, (first, second, third) = read("chexpert", small)
    assert list(first.labels) == list(second.labels) == list(CHEXPERT_LABELS)
    assert (first.labels["No Finding"], first.labels["Edema"], first.labels["Support Devices"]) == (1, 0, 1)
    assert (second.labels["No Finding"], second.labels["Pneumonia"], second.labels["Fracture"]) == (0, 1, 0)
    assert second.labels["Edema"] is None
    assert second.labels["Cardiomegaly"] is None
    # A validation film with something else: nothing of the fourteen, and not "No Finding" either.
    assert set(third.labels.values()) == {0}


def test_the_archives_of_the_full_size_as_they_unpack(tmp_path, write_film):
    first = tmp_path / "CheXpert-v1.0 batch 1 (validate & csv)"
    write(
        first / "train.csv",
        HEADER,
        row("CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg"),
        row("CheXpert-v1.0/train/patient40000/study1/view1_frontal.jpg"),
    )
    write(first / "valid.csv", HEADER, row("CheXpert-v1.0/valid/patient64541/study1/view1_frontal.jpg"))
    films = [
        tmp_path / "CheXpert-v1.0 batch 2 (train 1)" / "patient00001" / "study1" / "view1_frontal.jpg",
        tmp_path / "CheXpert-v1.0 batch 3 (train 2)" / "patient40000" / "study1" / "view1_frontal.jpg",
        first / "valid" / "patient64541" / "study1" / "view1_frontal.jpg",
    ]
    for film in films:
        write_film(film)
    for root in (tmp_path, first):
        _, records = read("chexpert", root)
        assert [record.path for record in records] == films


def test_one_of_two_sizes_is_chosen(small):
    full = small.with_name("CheXpert-v1.0")
    write(full / "train.csv", HEADER, row("CheXpert-v1.0/train/patient00009/study1/view1_frontal.jpg"))
    (full / "train").mkdir()
    reader, (film,) = read("chexpert", small.parent, "full")
    assert film.path == full / "train" / "patient00009" / "study1" / "view1_frontal.jpg"
    assert reader.notes == ["Only train.csv is there."]
    _, films = read("chexpert", small.parent, "small")
    assert {film.path.parents[3] for film in films} == {small}


def test_labels_of_the_other_programs(small):
    with pytest.raises(DataError, match=r"train_visualCheXbert.csv: no such file"):
        read("chexpert", small, "visualchexbert")
    write(
        small.parent / "train_visualCheXbert.csv",
        ["Path", *CHEXPERT_LABELS],
        ["CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg", *["0.0"] * 13, "1.0"],
    )
    _, (first, *_) = read("chexpert", small.parent, "visualchexbert")
    assert first.labels["Support Devices"] == 1
    assert first.labels["Edema"] == 0
    assert (first.view, first.sex, first.age_years) == ("frontal", "", None)
    assert first.path.is_file()


def test_rows_that_cannot_be_used_are_listed(small):
    good = "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg"
    write(
        small / "train.csv",
        HEADER,
        row("CheXpert-v1.0-small/train/../secret/study1/view1_frontal.jpg"),
        row(good, Edema="2"),
        row(good)[:7],
        row(good),
    )
    _, (*skipped, film, _) = read("chexpert", small)
    assert [(found.row, found.id, found.reason) for found in skipped] == [
        (
            2,
            "CheXpert-v1.0-small/train/../secret/study1/view1_frontal.jpg",
            "Path is not of the form train/patient00001/study1/view1_frontal.jpg",
        ),
        (3, good, "Edema is '2', expected 1, 0, -1 or nothing"),
        (4, good, "the row has 7 cells instead of 19; a text with commas needs quotes"),
    ]
    assert film.row == 5


def test_a_table_without_a_column_is_named(small):
    write(small / "valid.csv", [*HEADER[:-1], "Devices"])
    with pytest.raises(DataError, match=r"valid.csv: column 'Support Devices' is missing"):
        open_set("chexpert", small)
    write(small / "valid.csv", ["Image", *HEADER[1:]])
    with pytest.raises(DataError, match=r"valid.csv: column 'Path' is missing"):
        open_set("chexpert", small)


def test_what_must_be_there(tmp_path):
    with pytest.raises(DataError, match=r"train.csv: no such file"):
        open_set("chexpert", tmp_path)
    with pytest.raises(DataError, match=r"test_labels.csv: no such file"):
        open_set("chexpert-test", tmp_path)


# ------------------------------------------------------------------------------------------- the test set


def packed(mask):
    """A mask in COCO's text, written after its description and not after our reader."""
    runs, value = [], 0
    for pixel in mask.T.ravel():  # column by column
        if pixel != value:
            runs.append(0)
            value = pixel
        elif not runs:
            runs.append(0)
        runs[-1] += 1
    if mask.T.ravel()[0]:
        runs.insert(0, 0)
    text = ""
    for place, run in enumerate(runs):
        number = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            group = number & 0x1F
            number >>= 5
            more = number != (-1 if group & 0x10 else 0)
            text += chr((group | (0x20 if more else 0)) + 48)
    return text


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.data())
def test_the_extent_of_a_mask_is_that_of_its_pixels(data):
    shape = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    bits = data.draw(st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    mask = np.array(bits).reshape(shape)
    extent = mask_extent(*shape, packed(mask))
    if not mask.any():
        assert extent is None
        return
    rows, columns = np.nonzero(mask)
    assert extent is not None
    assert (extent.x, extent.y) == (columns.min(), rows.min())
    assert (extent.width, extent.height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)


def test_a_large_mask_and_damaged_ones():
    mask = np.zeros((300, 200), bool)
    mask[20:250, 40:60] = mask[100:110, 150] = True
    text = packed(mask)
    extent = mask_extent(300, 200, text)
    assert extent is not None
    assert (extent.x, extent.y, extent.width, extent.height) == (40, 20, 111, 230)
    assert sum(run_lengths(text)) == 300 * 200
    for damaged in (text[:-1], text + "o", text + "\x7f", "é", "oooooooooooooooooooo0"):
        with pytest.raises(ValueError):
            mask_extent(300, 200, damaged)


@pytest.fixture
def localize(tmp_path, write_film):
    study = tmp_path / "CheXpert" / "test" / "patient64741" / "study1"
    write_film(study / "view1_frontal.jpg")
    write_film(study / "view2_lateral.jpg")
    write(
        tmp_path / "CheXpert" / "test_labels.csv",
        ["Path", *CHEXPERT_LABELS],
        ["test/patient64741/study1/view1_frontal.jpg", 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ["test/patient64741/study1/view2_lateral.jpg", 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ["test/patient64804/study1/view1_frontal.jpg", *[0] * 14],
    )
    heart = np.zeros((30, 20), bool)
    heart[10:25, 5:15] = True
    masks = {
        "patient64741_study1_view1_frontal": {
            "Cardiomegaly": {"size": [30, 20], "counts": packed(heart)},
            "Support Devices": {"size": [30, 20], "counts": packed(np.zeros((30, 20), bool))},
            "Lung Opacity": {"size": [30, 20], "counts": "ifdl3"},
        }
    }
    folder = tmp_path / "CheXlocalize"
    folder.mkdir()
    (folder / "gt_segmentations_test.json").write_text(json.dumps(masks))
    return tmp_path


def test_test_films_with_masks(localize):
    reader, (problem, frontal, lateral, other) = read("chexpert-test", localize)
    assert isinstance(problem, Skipped)
    assert problem.reason == "the mask of Lung Opacity cannot be read (the runs do not fill the image)"
    assert (frontal.image_id, frontal.study_id, frontal.patient_id) == (
        "patient64741_study1_view1_frontal",
        "patient64741_study1",
        "patient64741",
    )
    assert frontal.path == localize / "CheXpert" / "test" / "patient64741" / "study1" / "view1_frontal.jpg"
    assert frontal.path.is_file()
    assert [(b.label, b.x, b.y, b.width, b.height) for b in frontal.boxes] == [
        ("Cardiomegaly", 5, 10, 10, 15)
    ]
    assert (lateral.view, lateral.boxes, lateral.labels["Cardiomegaly"]) == ("lateral", (), 1)
    assert (frontal.split, frontal.view, frontal.row, frontal.age_years, frontal.sex) == (
        "test",
        "frontal",
        2,
        None,
        "",
    )
    assert set(other.labels.values()) == {0}
    assert [table.name for table in reader.tables()] == ["test_labels.csv", "gt_segmentations_test.json"]


def test_a_table_of_studies_lists_the_images_that_are_there(localize):
    (localize / "CheXpert" / "test_labels.csv").unlink()
    (localize / "CheXlocalize" / "gt_segmentations_test.json").unlink()
    write(
        localize / "groundtruth.csv",
        ["Study", *CHEXPERT_LABELS],
        ["CheXpert-v1.0/test/patient64741/study1", 0, 1, 1, *[0] * 11],
        ["CheXpert-v1.0/test/patient64742/study1", *[0] * 14],
        ["patient64743", *[0] * 14],
    )
    reader, (frontal, lateral, absent, odd) = read("chexpert-test", localize)
    assert frontal.image_id == "patient64741_study1_view1_frontal"
    assert lateral.image_id == "patient64741_study1_view2_lateral"
    assert frontal.labels == lateral.labels
    assert (frontal.row, lateral.row, absent.row, odd.row) == (2, 2, 3, 4)
    assert "no image of this study is there" in absent.reason
    assert "Study is not of the form" in odd.reason
    assert reader.notes == ["No gt_segmentations_test.json: the films have no boxes."]


def test_a_table_of_the_test_set_without_a_column(localize):
    write(localize / "CheXpert" / "test_labels.csv", ["Path", *CHEXPERT_LABELS[:-1]])
    with pytest.raises(DataError, match=r"test_labels.csv: column 'Support Devices' is missing"):
        open_set("chexpert-test", localize)
    (localize / "CheXlocalize" / "gt_segmentations_test.json").write_text("{")
    write(localize / "CheXpert" / "test_labels.csv", ["Path", *CHEXPERT_LABELS])
    with pytest.raises(DataError, match=r"gt_segmentations_test.json: not readable JSON"):
        read("chexpert-test", localize)
