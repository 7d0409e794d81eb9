"""What is wrong with a tree is found and named."""

import csv
import json
import shutil
from dataclasses import replace

import pytest
from tiny_set import TinySet, film, records

from offclip.data.datasets.checking.check import CheckReport, check, check_set
from offclip.data.datasets.record import FindingBox

GOOD = {"published": {"images": 4}}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "tree"


def problems(report: CheckReport) -> dict[str, tuple[int, str]]:
    return {group.kind: (group.number, group.first.what) for group in report.problems}


@pytest.mark.parametrize("pixels", [False, True])
def test_a_good_tree_is_clean(root, pixels):
    report = check_set(TinySet(root, records(root), **GOOD), pixels=pixels, workers=1)
    assert report.clean, report.problems
    assert report.opened == 4 * pixels
    assert len(report.fingerprint) == 64


def test_missing_unlisted_and_doubled(root):
    found = records(root)
    found[3].path.unlink()
    extra = film(root / "films" / "extra.png", 99)
    film(root / "masks" / "i1.png")  # elsewhere: not among the images
    found.append(replace(found[0], row=9))
    report = check_set(TinySet(root, found, **GOOD))
    assert problems(report) == {
        "image missing": (1, "the image file is not there"),
        "image not listed": (1, "no table lists the file"),
        "image id doubled": (1, "image id doubled (first in row 2)"),
    }
    assert report.problems[1].first.where == str(extra)
    assert (report.listed["images"], report.on_disk["images"]) == (4, 3)


def test_contradictions(root):
    found = records(root)
    found[0] = replace(found[0], labels={"normal": 1, "Effusion": 1, "Nodule": 0})
    found[1] = replace(found[1], age_years=62.5, sex="M")
    found[3] = replace(found[3], age_years=150.0)
    report = check_set(TinySet(root, found, **GOOD))
    assert problems(report)["contradiction"][0] == 4
    assert problems(report).keys() == {"contradiction"}


def test_boxes(root):
    found = records(root)
    boxes = (
        FindingBox("Nodule", 1, 1, 2, 2),
        FindingBox("Effusion", -1, 0, 2, 2),
        FindingBox("Effusion", 1, 1, 2, float("nan")),
        FindingBox("Effusion", 8, 8, 4, 4),
        FindingBox("Effusion", 8, 8, 4, 5),
    )
    found[0] = replace(found[0], boxes=boxes)
    assert problems(check_set(TinySet(root, found, **GOOD)))["box"] == (
        3,
        "a box for nodule, which the labels do not have",
    )
    report = check_set(TinySet(root, found, **GOOD), pixels=True, workers=1)
    assert problems(report)["box"][0] == 4


def test_leaks_of_patients_and_of_pixels(root, tmp_path):
    found = records(root)
    found[3] = replace(found[3], patient_id="p2")
    shutil.copyfile(found[0].path, found[2].path)
    shutil.copyfile(found[0].path, found[1].path)
    report = check_set(TinySet(root, found, **GOOD), pixels=True, workers=1, out=tmp_path / "report")
    assert problems(report) == {
        "image doubled": (1, "the same pixels as i1"),
        "leak over splits": (2, "the patient is in test and validate"),
    }
    with (tmp_path / "report" / "problems.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["id"]) for row in rows] == [
        ("leak over splits", "p2"), ("image doubled", "i2"), ("leak over splits", "i3"),
    ]  # fmt: skip
    assert rows[2]["what"] == "the same pixels as i1: one in validate, one in train"
    assert json.loads((tmp_path / "report" / "check.json").read_text())["clean"] is False


def test_unreadable_images_have_the_fixed_reason(root):
    found = records(root)
    found[1].path.write_bytes(b"")
    found[2].path.write_bytes(found[2].path.read_bytes()[:60])
    report = check_set(TinySet(root, found, **GOOD), pixels=True, workers=1)
    assert report.opened == 2
    number, first = problems(report)["image unreadable"]
    assert number == 2
    assert first.startswith("empty: ")


def test_a_sample_is_spread_over_the_set(root):
    first = records(root)[0]
    many = [
        replace(first, image_id=f"a{n}", path=film(root / "films" / f"a{n}.png", n), boxes=())
        for n in range(10)
    ]
    report = check_set(TinySet(root, many, published={}), pixels=True, sample=3, workers=1)
    assert report.opened == 3
    assert check_set(TinySet(root, many, published={}), pixels=True, sample=99, workers=1).opened == 10


def test_counts_are_compared_unless_an_option_changes_them(root):
    reader = TinySet(root, records(root))
    assert problems(check_set(reader)) == {"count differs": (1, "2 published, 1 listed")}
    assert check_set(reader, option="some").clean


def test_a_missing_table_is_a_problem(tmp_path):
    report = check("vindr-cxr", tmp_path, out=tmp_path / "report")
    assert problems(report).keys() == {"table missing"}
    assert (tmp_path / "report" / "problems.csv").read_text().count("\n") == 2


def test_nothing_is_written_into_the_tree(root):
    found = records(root)
    before = sorted(root.rglob("*"))
    check_set(TinySet(root, found), pixels=True, workers=1)
    assert sorted(root.rglob("*")) == before
