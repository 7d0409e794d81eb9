from pathlib import Path

import pytest

from offclip.data.datasets.label_map import LabelMap
from offclip.data.datasets.readers.jsrt import Jsrt
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.files import Skipped
from offclip.errors import DataError

NODULES = [
    "JPCLN001.IMG\t5\t14\t53\tmale\t1634\t692\tmalignant\tl.upper lobe\tlung cancer\t",
    "JPCLN002.IMG\t5\t30\t78\tfemale\t1614\t1090\tbenign\tl.upper lobe(S5)\tpulmonary hematoma",
    "JPCLN014.IMG\t4\t20\t?\tmale\t700\t800\tmalignant\tr.lower lobe\tlung cancer",
]
PLAIN = ["JPCNN001.IMG   63   female      non-nodule", "JPCNN002.IMG   28   male   non-nodule"]


def tree(root: Path, nodules: list[str], plain: list[str], end: str = "\r") -> Path:
    (root / "Clinical_Information").mkdir()
    (root / "All247images").mkdir()
    # The tables end their lines as a Macintosh did.
    (root / "Clinical_Information" / "CLNDAT_EN.txt").write_bytes((end.join(nodules) + end).encode())
    (root / "Clinical_Information" / "CNNDAT_EN.TXT").write_bytes((end.join(plain) + end).encode())
    (root / "All247images" / "JPCLN001.IMG").write_bytes(b"film")
    (root / "All247images" / "jpcnn002.png").write_bytes(b"film")
    return root


def read(root: Path) -> tuple[list[ImageRecord], list[Skipped], list[str]]:
    reader = Jsrt(root)
    items = list(reader.read())
    records = [item for item in items if isinstance(item, ImageRecord)]
    return records, [item for item in items if isinstance(item, Skipped)], reader.notes


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_both_tables(tmp_path, end):
    records, skipped, notes = read(tree(tmp_path, NODULES, PLAIN, end))
    assert skipped == []
    assert records[0] == ImageRecord(
        "JPCLN001",
        "JPCLN001",
        "JPCLN001",
        tmp_path / "All247images" / "JPCLN001.IMG",
        view="PA",
        age_years=53,
        sex="M",
        labels={"Nodule": 1, "Malignant nodule": 1},
        boxes=(FindingBox("Nodule", 1634 - 40, 692 - 40, 80, 80),),  # 14 mm are 80 pixels
        source=str(tmp_path / "Clinical_Information" / "CLNDAT_EN.txt"),
        row=1,
    )
    assert [(r.image_id, r.age_years, r.sex, *r.labels.values(), len(r.boxes), r.row) for r in records] == [
        ("JPCLN001", 53, "M", 1, 1, 1, 1),
        ("JPCLN002", 78, "F", 1, 0, 1, 2),
        ("JPCLN014", None, "M", 1, 1, 1, 3),
        ("JPCNN001", 63, "F", 0, 0, 0, 1),
        ("JPCNN002", 28, "M", 0, 0, 0, 2),
    ]
    assert records[1].path == tmp_path / "All247images" / "JPCLN002.IMG"  # where it should be
    assert records[4].path == tmp_path / "All247images" / "jpcnn002.png"
    assert notes == ["1 film(s) are not raw .IMG; check that bone is white in them."]
    labels = LabelMap("jsrt", records[0].labels)
    assert labels.findings == ("nodule", "malignant nodule")
    assert labels.read((0, 0)).code == "-00"


def test_the_raw_film_comes_first(tmp_path):
    root = tree(tmp_path, NODULES, PLAIN)
    for folder, name in (("png", "JPCLN001.png"), ("a", "JPCLN002.png"), ("a/b", "JPCLN002.png")):
        (root / folder).mkdir(exist_ok=True)
        (root / folder / name).write_bytes(b"film")
    records, _, _ = read(root)
    assert records[0].path.suffix == ".IMG"
    assert records[1].path == root / "a" / "JPCLN002.png"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("JPCLN003.IMG\t5\t15\t53\tmale\t1634", "6 columns instead of 8"),
        ("JPCLN003.IMG\t5\t15\t53\tmale\t9999\t692\tmalignant", "no place on a film"),
        ("JPCLN003.IMG\t5\t15\t53\tmale\tleft\t692\tmalignant", "no place on a film"),
        ("JPCLN003.IMG\t5\t15\t53\tmale\t1\t692\tlobe", "'lobe' stands where"),
        ("JPCLN001.IMG\t5\t15\t53\tmale\t1\t692\tbenign", "twice"),
        ("../JPCLN003.IMG\t5\t15\t53\tmale\t1\t692\tbenign", "no file name"),
    ],
)
def test_bad_rows_are_left_out_with_their_number(tmp_path, line, reason):
    records, skipped, _ = read(tree(tmp_path, [*NODULES, line], PLAIN))
    assert len(records) == 5
    assert [s.row for s in skipped] == [4]
    assert skipped[0].source.endswith("CLNDAT_EN.txt")
    assert reason in skipped[0].reason


def test_a_nodule_of_unknown_size_has_no_box(tmp_path):
    records, _, notes = read(tree(tmp_path, ["JPCLN009.IMG 3 ? ? female 10 20 ? lobe"], ["JPCNN009.IMG ? ?"]))
    assert [(r.sex, r.boxes, *r.labels.values()) for r in records] == [("F", (), 1, None), ("", (), 0, 0)]
    assert notes[0] == "1 nodule(s) have no size in the table, and so no box."


def test_missing_and_broken_tables_are_named(tmp_path):
    with pytest.raises(DataError, match=r"CLNDAT_EN\.txt lies nowhere"):
        Jsrt(tmp_path)
    tree(tmp_path, NODULES, PLAIN)
    table = tmp_path / "Clinical_Information" / "CNNDAT_EN.TXT"
    table.write_bytes(b"PK\x03\x04\0\0")
    with pytest.raises(DataError, match=r"CNNDAT_EN\.TXT: not a text file"):
        Jsrt(tmp_path)
    table.write_bytes(b"\r\n")
    with pytest.raises(DataError, match=r"CNNDAT_EN\.TXT: the file is empty"):
        Jsrt(tmp_path)
