"""ChestX-ray14 in the layout of the NIH: made rows, and real ones where they are at hand."""

import csv
import gzip
from pathlib import Path

import pytest
from PIL import Image

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.label_map import LabelMap, label_table
from offclip.data.datasets.readers.chestxray14 import FINDINGS, NORMAL, ChestXray14
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.files import Skipped
from offclip.errors import DataError

SHARED = Path(__file__).parents[4] / "shared" / "data"
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
ROWS = (
    "00000001_000.png,Cardiomegaly|Emphysema,0,1,57,M,PA,2682,2749,0.143,0.143,",
    "00000001_001.png,No Finding,1,1,058Y,M,PA,2894,2729,0.143,0.143,",
    "00000002_000.png,Infiltration,0,2,411,F,AP,2500,2048,0.168,0.168,",
)


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "Data_Entry_2017.csv", HEADER, *ROWS)
    (tmp_path / "train_val_list.txt").write_text(
        "00000001_000.png\n00000001_001.png"
    )  # no newline at the end
    (tmp_path / "test_list.txt").write_text("00000002_000.png\r\n")
    write(
        tmp_path / "BBox_List_2017.csv",
        BOX_HEADER,
        "00000002_000.png,Infiltrate,225.08,547.01,86.77,79.18,,,",
    )
    (tmp_path / "images").mkdir()
    for row in ROWS:
        Image.new("L", (8, 8)).save(tmp_path / "images" / row.partition(",")[0])
    return tmp_path


def write(path: Path, *lines):
    path.write_text("\n".join(lines) + "\n")


def read(root, option=""):
    reader = ChestXray14(root, option)
    found = list(reader.read())
    images = [item for item in found if isinstance(item, ImageRecord)]
    return images, [item for item in found if isinstance(item, Skipped)], reader.notes


def present(record):
    return [name for name, value in record.labels.items() if value == 1]


def test_every_field_of_the_official_layout(root):
    images, skipped, notes = read(root)
    assert (skipped, notes) == ([], [])
    assert [(r.image_id, r.study_id, r.patient_id, r.split, r.view, r.age_years, r.sex) for r in images] == [
        ("00000001_000", "00000001_000", "00000001", "train", "PA", 57.0, "M"),
        ("00000001_001", "00000001_001", "00000001", "train", "PA", 58.0, "M"),
        ("00000002_000", "00000002_000", "00000002", "test", "AP", None, "F"),  # nobody is 411 years old
    ]
    assert [present(r) for r in images] == [["Cardiomegaly", "Emphysema"], [NORMAL], ["Infiltration"]]
    assert all(tuple(r.labels) == (*FINDINGS, NORMAL) for r in images)
    assert all(set(r.labels.values()) == {0, 1} for r in images)
    assert [r.path for r in images] == [root / "images" / row.partition(",")[0] for row in ROWS]
    assert all(r.path.is_file() and r.report == "" for r in images)
    assert [(r.source, r.row) for r in images] == [(str(root / "Data_Entry_2017.csv"), n) for n in (2, 3, 4)]
    assert [r.boxes for r in images] == [(), (), (FindingBox("Infiltration", 225.08, 547.01, 86.77, 79.18),)]


def test_the_table_of_2020_comes_first_and_has_no_empty_column(root):
    table = root / "Data_Entry_2017_v2020.csv"
    write(table, HEADER.rstrip(",").replace("Gender", "Sex"), *(row.rstrip(",") for row in ROWS[:2]))
    reader = ChestXray14(root)
    assert next(reader.tables()) == table
    assert [(r.sex, r.source) for r in reader.read()] == [("M", str(table)), ("M", str(table))]


def test_rows_of_boxes_are_shorter_than_their_header(root):
    boxes = root / "BBox_List_2017.csv"
    write(
        boxes, "\ufeff" + BOX_HEADER,
        "00000001_000.png,Cardiomegaly,1.5,2,3,4",
        '"00000009_000.png","Mass",1.5,2,3,4',
        "00000001_000.png,Cardiomegaly,1.5,2,0,4",
        "00000001_000.png,Cardiomegaly,1.5,2",
        "00000001_000.png,Heart,1,2,3,4",
        "1.png,Mass,1,2,3,4,,,",
        "",
    )  # fmt: skip
    images, skipped, notes = read(root)
    assert notes == ["1 box(es) of BBox_List_2017.csv belong to images that are not read."]
    assert images[0].boxes == (FindingBox("Cardiomegaly", 1.5, 2.0, 3.0, 4.0),)
    assert [(s.source, s.row, s.id, s.reason) for s in skipped] == [
        (str(boxes), 4, "00000001_000.png", "x, y, w and h are no box"),
        (str(boxes), 5, "00000001_000.png", "x, y, w and h are no box"),
        (str(boxes), 6, "00000001_000.png", "unknown Finding Label 'Heart'"),
        (str(boxes), 7, "1.png", "Image Index is not a name such as 00000001_000.png"),
    ]
    boxes.with_name(boxes.name + ".gz").write_bytes(gzip.compress(boxes.read_bytes()))
    boxes.unlink()
    images, skipped, _ = read(root)
    assert (len(images[0].boxes), len(skipped)) == (1, 4)
    boxes.write_text("image,label,x,y,w,h\n")
    with pytest.raises(DataError, match=r"BBox_List_2017\.csv: the header .* 'Image Index'"):
        read(root)


def test_images_in_the_folders_of_kaggle(root):
    (root / "images_001" / "images").mkdir(parents=True)
    (root / "images_012" / "images").mkdir(parents=True)
    places = ["images_001/images", "images_001/images", "images_012/images"]
    for row, place in zip(ROWS, places, strict=True):
        name = row.partition(",")[0]
        (root / "images" / name).rename(root / place / name)
    images, _, _ = read(root)
    assert [r.path.relative_to(root).parent.as_posix() for r in images] == places
    assert all(r.path.is_file() for r in images)


def test_an_image_must_be_in_one_official_list(root):
    (root / "test_list.txt").write_text("00000001_000.png\n")
    images, skipped, _ = read(root)
    assert [r.image_id for r in images] == ["00000001_001"]
    assert [(s.row, s.id, s.reason) for s in skipped] == [
        (2, "00000001_000.png", "the image is in both official lists"),
        (4, "00000002_000.png", "the image is in no official list"),
    ]


def test_without_lists_there_is_no_split(root):
    for name in ("train_val_list.txt", "test_list.txt", "BBox_List_2017.csv"):
        (root / name).unlink()
    images, skipped, notes = read(root)
    assert ([r.split for r in images], skipped) == (["", "", ""], [])
    assert [note.split()[0] for note in notes] == ["No", "Neither"]


def test_rows_that_cannot_be_used_are_left_out_with_their_number(root):
    with (root / "Data_Entry_2017.csv").open("a") as file:
        file.write("00000003.png,Mass,0,3,57,M,PA,1,1,1,1,\n00000003_000.png,Mass,0,4,57,M,PA,1,1,1,1,\n")
        file.write("00000003_000.png,,0,3,57,M,PA,1,1,1,1,\n00000003_000.png,Mass,0,3\n")
    _, skipped, _ = read(root)
    assert [(s.row, s.id, s.reason) for s in skipped] == [
        (5, "00000003.png", "Image Index is not a name such as 00000001_000.png"),
        (6, "00000003_000.png", "Patient ID '4' is not that of the image name"),
        (7, "00000003_000.png", "Finding Labels is empty"),
        (8, "00000003_000.png", "the row has 4 cells instead of 12; a text with commas needs quotes"),
    ]


def test_an_unknown_label_stops_with_file_row_and_column(root):
    write(root / "Data_Entry_2017.csv", HEADER, ROWS[0].replace("Emphysema", "Emphysem"))
    with pytest.raises(DataError, match=r"Data_Entry_2017\.csv: row 2, column Finding Labels: 'Emphysem'"):
        read(root)


def test_a_broken_table_names_file_and_column(root):
    write(root / "Data_Entry_2017.csv", HEADER.replace("Finding Labels", "Labels"), *ROWS)
    with pytest.raises(DataError, match=r"Data_Entry_2017\.csv: column 'Finding Labels' is missing"):
        ChestXray14(root)
    (root / "Data_Entry_2017.csv").unlink()
    with pytest.raises(DataError, match=r"Data_Entry_2017_v2020\.csv: no such file .*Data_Entry_2017\.csv"):
        open_set("chestxray14", root)


def carzero_line(name, *present):
    return " ".join([name, *("1" if finding in present else "0" for finding in FINDINGS)])


def test_carzeros_list_chooses_images_and_labels(root):
    lines = [
        carzero_line("images/00000002_000.png", "Infiltration", "Hernia"),
        carzero_line("00000001_001.png"),
        carzero_line("00000009_000.png"),
    ]
    write(root / "carzero_test_list.txt", *lines)
    images, skipped, notes = read(root, "carzero")
    assert [(r.image_id, r.split, present(r)) for r in images] == [
        ("00000001_001", "test", [NORMAL]),
        ("00000002_000", "test", ["Infiltration", "Hernia"]),
    ]
    assert len(images[1].boxes) == 1
    assert [(Path(s.source).name, s.id) for s in skipped] == [("carzero_test_list.txt", "00000009_000.png")]
    assert notes == [
        f"{root / 'carzero_test_list.txt'} names 3 images instead of 22,433.",
        "1 image(s) have other labels in Data_Entry_2017.csv; CARZero's are used.",
    ]
    reader = ChestXray14(root, "carzero")
    assert root / "carzero_test_list.txt" in reader.tables()
    assert reader.card.published["images"] == 22433


def test_the_two_lists_of_one_name_are_told_apart(root):
    with pytest.raises(DataError, match="no such list with a name and 14 labels a line"):
        ChestXray14(root, "carzero")  # test_list.txt is the official one
    write(root / "test_list.txt", carzero_line("00000001_001.png"))
    assert [r.image_id for r in read(root, "carzero")[0]] == ["00000001_001"]
    with pytest.raises(DataError, match=r"test_list\.txt: line 1 .*looks like CARZero's list"):
        read(root)


@pytest.mark.parametrize(
    "second", [carzero_line("00000001_001.png"), "00000001_000.png 0 1", carzero_line("a.png"), "x" * 9]
)
def test_a_broken_list_names_its_line(root, second):
    write(root / "carzero_test_list.txt", carzero_line("00000001_001.png"), second)
    with pytest.raises(DataError, match=r"carzero_test_list\.txt: line 2 "):
        read(root, "carzero")


def test_every_label_has_an_entry():
    assert set(label_table()["chestxray14"]) == {*FINDINGS, NORMAL}
    assert LabelMap("chestxray14", (*FINDINGS, NORMAL)).findings[2] == "pleural effusion"


@pytest.mark.skipif(not (SHARED / "nih_chestxray14").is_dir(), reason="no real NIH images at hand")
def test_real_rows_boxes_and_images(tmp_path):
    source = SHARED / "nih_chestxray14"
    with (source / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (source / "boxes.csv").open(newline="") as file:
        boxes = [row for row in csv.DictReader(file) if not row["annotation_source"].startswith("RSNA")]
    lines = [
        f"{r['nih_image_index']},{r['finding_labels_nih']},{r['follow_up']},{r['patient_id']},{r['age']},"
        f"{r['sex']},{r['view']},{r['orig_width']},{r['orig_height']},0.143,0.143"
        for r in rows
    ]
    write(tmp_path / "Data_Entry_2017_v2020.csv", HEADER.rstrip(","), *lines)
    place = {r["image"]: r["nih_image_index"] for r in rows}
    spelling = {"Infiltration": "Infiltrate"}
    drawn = [
        f"{place[b['image']]},{spelling.get(b['label'], b['label'])},"
        + ",".join(str(4 * float(b[edge])) for edge in ("x", "y", "w", "h"))
        for b in boxes
        if b["image"] in place
    ]
    write(tmp_path / "BBox_List_2017.csv", BOX_HEADER, *drawn)
    (tmp_path / "images").mkdir()
    for row in rows[:3]:
        with Image.open(source / row["image"]) as film:
            film.resize((1024, 1024)).save(tmp_path / "images" / row["nih_image_index"])
    images, skipped, _ = read(tmp_path)
    assert skipped == []
    assert [r.image_id + ".png" for r in images] == [row["nih_image_index"] for row in rows]
    assert sum(len(r.boxes) for r in images) == len(drawn) > 0
    assert [r.path.is_file() for r in images[:4]] == [True, True, True, False]
    for record, row in zip(images, rows, strict=True):
        assert int(record.patient_id) == int(row["patient_id"])
        assert (record.sex, record.view, record.age_years) == (row["sex"], row["view"], float(row["age"]))
        assert record.labels[NORMAL] == 1 - int(row["abnormal_nih"])
        assert all(b.x >= 0 and b.x + b.width <= 1024.5 and b.y + b.height <= 1024.5 for b in record.boxes)


@pytest.mark.skipif(not (SHARED / "carzero_logits").is_dir(), reason="no real CARZero list at hand")
def test_carzeros_real_list_has_22433_images(tmp_path):
    with gzip.open(SHARED / "carzero_logits" / "chestxray14_test.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    lists, table = [], []
    for row in rows:
        seen = [finding for finding in FINDINGS if float(row[f"label_{finding}"])]
        lists.append(carzero_line(row["image_id"], *seen))
        table.append(
            f"{row['image_id']},{'|'.join(seen) or NORMAL},0,{int(row['patient_id'])},50,F,PA,1,1,1,1,"
        )
    write(tmp_path / "carzero_test_list.txt", *lists)
    write(tmp_path / "Data_Entry_2017.csv", HEADER, *table)
    images, skipped, notes = read(tmp_path, "carzero")
    assert (len(images), skipped) == (22433, [])
    assert len({r.patient_id for r in images}) == 6187
    assert sum(r.labels[NORMAL] or 0 for r in images) == 11928  # 53.17 %
    assert notes == ["No BBox_List_2017.csv: no boxes."]
