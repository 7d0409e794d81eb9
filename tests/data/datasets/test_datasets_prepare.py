"""A tree of files becomes a folder that everything else can use."""

import json
from dataclasses import replace

import polars as pl
import pytest
from tiny_set import TinySet, film, records

from offclip.data.datasets.preparation import prepare, report_labels
from offclip.data.datasets.preparation.label_rows import BOX_COLUMNS
from offclip.data.datasets.preparation.on_disk import FolderListings
from offclip.data.datasets.preparation.prepare import FILES, prepare_set
from offclip.data.datasets.preparation.study_rows import SCHEMA
from offclip.data.datasets.preparation.working_folder import working_folder
from offclip.data.datasets.record import FindingBox
from offclip.data.files import Skipped
from offclip.data.label_pool import run_batches
from offclip.data.split import split_of
from offclip.data.study import STUDY_SCHEMA, check_studies, read_studies
from offclip.errors import ConfigError, DataError
from offclip.evaluation.truth import read_evaluation_folder

REPORT = "FINDINGS: Small left pleural effusion. The heart size is normal. IMPRESSION: Effusion."


@pytest.fixture
def root(tmp_path):
    return tmp_path / "tree"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "prepared"


def skipped(out) -> list[tuple[int, str, str]]:
    table = pl.read_csv(out / "skipped.csv", schema_overrides={"id": pl.String, "reason": pl.String})
    return list(zip(table["row"], table["id"], table["reason"], strict=True))


def test_the_folder_is_read_by_all_that_follows(root, out):
    summary = prepare_set(TinySet(root, records(root)), out)
    studies = read_studies(out / "studies.parquet")
    check_studies(studies)
    assert studies.columns == [*STUDY_SCHEMA, "age_years", "sex"] == SCHEMA.names
    assert studies["study_id"].to_list() == ["s1", "s2", "s3"]
    assert studies["label"].to_list() == ["abnormal", "normal", "uncertain"]
    assert studies["split"].to_list() == ["train", "validate", "test"]
    assert studies["age_years"].to_list() == [61.0, None, None]
    assert studies["sex"].to_list() == ["F", "M", ""]
    first = studies["images"][0].to_list()
    assert [(i["image_id"], i["view"]) for i in first] == [("i1", "PA"), ("i2", "lateral")]
    assert first[0]["path"] == str(root / "films" / "i1.png")

    data = read_evaluation_folder(out)
    assert {split: [i.image_id for i in refs] for split, refs in data.images.items()} == {
        "train": ["i1"], "validate": ["i3"], "test": ["i4"],
    }  # fmt: skip
    assert data.labels.findings == ("effusion", "nodule")
    assert (out / "labels.csv").read_text().splitlines()[2] == "i2,s1,p1,train,lateral,0,,0"
    assert [(b.finding, b.x, b.y) for b in data.boxes["i1"]] == [("effusion", 1.0, 2.5)]
    assert (out / "boxes.csv").read_text().splitlines() == [
        ",".join(BOX_COLUMNS),
        "i1,effusion,1,2.5,4,5,R1,",
    ]
    assert not skipped(out)
    assert data.skipped == []  # the lateral view is not evaluated, and is known
    assert summary.notes == ("A note of the reader.",)
    assert sorted(p.name for p in out.iterdir()) == sorted(FILES)


def test_the_description_says_what_was_found(root, out):
    prepare_set(TinySet(root, records(root)), out)
    description = json.loads((out / "dataset.json").read_text())
    published = {entry["name"]: (entry["found"], entry["difference"]) for entry in description["published"]}
    assert published == {
        "images": (4, 0), "images train": (2, 0), "boxes": (1, -1), "Effusion": (1, 0),
        "hospitals": (None, None),
    }  # fmt: skip
    assert description["terms"] == "For tests."
    assert description["counts"]["lateral images"] == 1
    assert {"finding": "effusion", "present": 1, "absent": 1, "unknown": 2} in description["labels"]
    assert str(root) not in (out / "dataset.json").read_text()


def test_the_same_tree_gives_the_same_bytes_anywhere_the_same_fingerprint(root, out, tmp_path):
    (root / "films").mkdir(parents=True)
    (root / "t.csv").write_text("a table")
    one = prepare_set(TinySet(root, records(root, REPORT)), out, workers=1)
    first = {name: (out / name).read_bytes() for name in FILES}
    prepare_set(TinySet(root, records(root, REPORT)), out, workers=2)
    assert {name: (out / name).read_bytes() for name in FILES} == first

    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "films").mkdir(parents=True)
    (elsewhere / "t.csv").write_text("a table")
    moved = prepare_set(TinySet(elsewhere, records(elsewhere, REPORT)[::-1]), tmp_path / "b")
    assert moved.fingerprint == one.fingerprint
    (elsewhere / "t.csv").write_text("another table")
    changed = prepare_set(TinySet(elsewhere, records(elsewhere, REPORT)), tmp_path / "b")
    assert changed.fingerprint != one.fingerprint
    (root / "films" / "i4.png").unlink()
    assert prepare_set(TinySet(root, records(root, REPORT)[:3]), out).fingerprint != one.fingerprint


def test_reports_are_labelled_and_those_that_cannot_be_are_kept(root, out):
    found = records(root, REPORT)
    found[2] = replace(found[2], report="COMPARISON: None.")
    summary = prepare_set(TinySet(root, found), out, workers=1)
    studies = read_studies(out / "studies.parquet")
    assert studies["study_id"].to_list() == ["s1", "s2", "s3"]
    assert studies["label"].to_list() == ["abnormal", "normal", "uncertain"]
    assert studies["sentences"].list.len().to_list()[1:] == [0, 0]
    assert studies["sentences"][0].to_list()[0]["prompt"]
    assert studies["report"].to_list() == [REPORT, "COMPARISON: None.", ""]
    assert studies["age_years"].to_list() == [61.0, None, None]
    assert summary.sentences == studies["sentences"].list.len().sum()
    entries = skipped(out)
    assert [(row, name) for row, name, _ in entries] == [(4, "s2")]
    assert entries[0][2].startswith("kept without sentences: ")
    assert "COMPARISON" not in (out / "skipped.csv").read_text()
    assert not list(out.glob(".*"))


def test_reports_in_another_language_are_kept_unread(root, out):
    prepare_set(TinySet(root, records(root, "Sin hallazgos."), language="es"), out)
    studies = read_studies(out / "studies.parquet")
    assert studies["report"][0] == "Sin hallazgos."
    assert studies["sentences"].list.len().sum() == 0
    assert studies["label"][0] == "abnormal"
    assert not skipped(out)


def test_missing_images_are_left_out_and_listed(root, out):
    found = records(root)
    found[0].path.unlink()
    found[2].path.unlink()
    summary = prepare_set(TinySet(root, found), out)
    assert read_studies(out / "studies.parquet")["study_id"].to_list() == ["s1", "s3"]
    assert skipped(out) == [
        (2, "i1", "the image file is not there"),
        (4, "i3", "the image file is not there"),
    ]
    assert (summary.missing, summary.counts["images"]) == (2, 2)
    assert pl.read_csv(out / "labels.csv")["image_id"].to_list() == ["i2", "i4"]
    assert any("2 listed image(s) are not on disk" in note for note in summary.notes)


def test_doubles_and_contradictions_are_listed(root, out):
    found = records(root)
    film(root / "films" / "i5.png", 50)
    other = replace(found[0], image_id="i5", path=root / "films" / "i5.png", row=9)
    empty = FindingBox("Nodule", 1.0, 1.0, 0.0, 5.0)
    found[3] = replace(found[3], labels={"normal": 1, "Effusion": 1, "Nodule": 0}, boxes=(empty,))
    found += [
        replace(found[1], row=7),
        Skipped("t.csv", 8, "i9", "no view"),
        replace(other, patient_id="p9", split="test"),
        replace(other, report="Another report.", study_id="s2", patient_id="p2", split="validate", row=10),
        replace(other, report="A third report.", study_id="s2", patient_id="p2", image_id="i6", row=11),
    ]
    summary = prepare_set(TinySet(root, found), out, workers=1)
    assert skipped(out) == [
        (5, "i4", "kept, but whether it is normal is left open: normal, and yet with effusion"),
        (5, "i4", "a box for nodule has no size"),
        (7, "i2", "image id doubled (first in row 3)"),
        (8, "i9", "no view"),
        (9, "i5", "study s1 has another patient in a row before"),
        (11, "i6", "study s2 has another report in a row before"),
    ]
    assert summary.skipped == 6
    studies = read_studies(out / "studies.parquet")
    assert studies["report"].to_list() == ["", "Another report.", ""]
    assert studies["label"].to_list()[2] == "uncertain"
    assert (out / "labels.csv").read_text().splitlines()[4] == "i4,s3,p3,test,PA,,1,0"
    read_evaluation_folder(out)


def test_a_patient_in_two_splits_is_refused_unless_split_anew(root, out):
    found = records(root)
    found[3] = replace(found[3], patient_id="p2")
    with pytest.raises(DataError, match=r"1 patient\(s\) .* such as p2 in test, validate") as caught:
        prepare_set(TinySet(root, found), out)
    assert "--resplit" in caught.value.remedy
    assert not out.exists()
    prepare_set(TinySet(root, found), out, resplit=True)
    studies = read_studies(out / "studies.parquet")
    assert studies["split"].to_list() == [split_of("p1"), split_of("p2"), split_of("p2")]


def test_images_of_one_study_in_two_splits_are_a_leak(root, out):
    found = records(root)
    found[1] = replace(found[1], split="test")
    with pytest.raises(DataError, match="p1 in test, train"):
        prepare_set(TinySet(root, found), out)


def test_what_has_no_split_gets_that_of_its_patient(root, out):
    found = records(root)
    found[2] = replace(found[2], split="")
    found[3] = replace(found[3], split="", patient_id="p1")
    prepare_set(TinySet(root, found), out)
    assert read_studies(out / "studies.parquet")["split"].to_list() == ["train", split_of("p2"), "train"]


def test_nothing_usable_and_faults_of_a_reader_are_said(root, out, tmp_path):
    found = records(root)
    for record in found:
        record.path.unlink()
    with pytest.raises(DataError, match=r"4 are listed and not there.*i1: the image file is not there"):
        prepare_set(TinySet(root, found), out)
    for wrong, message in (
        (replace(found[0], image_id=" "), "an id is empty"),
        (replace(found[0], split="training"), "unknown split 'training'"),
        (replace(found[0], view="pa"), "unknown view 'pa'"),
        (replace(found[0], sex="f"), "unknown sex 'f'"),
        (replace(found[0], labels={"Other": 1}), "other labels than the first"),
    ):
        with pytest.raises(DataError, match=message):
            prepare_set(TinySet(root, [found[1], wrong]), out)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is no folder"):
        prepare_set(TinySet(root, found), tmp_path / "file")
    assert not out.exists()


def test_a_failed_run_leaves_the_files_of_the_one_before(root, out):
    prepare_set(TinySet(root, records(root)), out)
    before = {name: (out / name).read_bytes() for name in FILES}
    leaking = records(root)
    leaking[3] = replace(leaking[3], patient_id="p1")
    with pytest.raises(DataError, match="more than one split"):
        prepare_set(TinySet(root, leaking), out)
    assert {name: (out / name).read_bytes() for name in FILES} == before
    assert sorted(p.name for p in out.iterdir()) == sorted(FILES)


def test_labels_of_a_stopped_run_are_used_again(root, out, monkeypatch):
    reader = TinySet(root, records(root, REPORT))

    def stop(*_):
        raise KeyboardInterrupt

    asked = []

    def counting(jobs, *rest):
        asked.append(len(jobs))
        return run_batches(jobs, *rest)

    monkeypatch.setattr(report_labels, "run_batches", counting)
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "_put_into_place", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare_set(reader, out, workers=1)
    assert [path.name for path in out.iterdir()] == [".studies.parquet.parts"]
    prepare_set(reader, out, workers=1)
    assert asked == [1, 0]
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)


def test_two_runs_do_not_write_into_one_folder(root, out):
    with working_folder(out), pytest.raises(DataError, match="another process"):
        prepare_set(TinySet(root, records(root)), out)
    assert not out.exists()


def test_paths_inside_the_folder_become_relative(root):
    prepare_set(TinySet(root, records(root)), root)
    assert pl.read_parquet(root / "studies.parquet")["images"][0].to_list()[0]["path"] == "films/i1.png"
    assert read_evaluation_folder(root).images["train"][0].path == root / "films" / "i1.png"


def test_many_studies_are_written_in_order(root, out):
    first = records(root)[2]
    many = [
        replace(
            first,
            image_id=f"a{n}",
            study_id=f"s{n}",
            patient_id=f"p{n}",
            split="",
            report=REPORT if n % 3 else "",
        )
        for n in range(1203)
    ]
    summary = prepare_set(TinySet(root, many), out, workers=1)
    studies = read_studies(out / "studies.parquet")
    assert studies["study_id"].to_list() == [f"s{n}" for n in range(1203)]
    assert [bool(n) for n in studies["sentences"].list.len().to_list()] == [n % 3 != 0 for n in range(1203)]
    assert studies["label"].to_list() == ["abnormal" if n % 3 else "normal" for n in range(1203)]
    assert sum(summary.labels.values()) == 1203


def test_listings_are_forgotten_and_made_again(tmp_path):
    for folder in ("a", "b"):
        film(tmp_path / folder / "x.png")
    listings = FolderListings(most=1)
    for _ in range(2):
        assert listings.has(tmp_path / "a" / "x.png")
        assert not listings.has(tmp_path / "b" / "y.png")
        assert not listings.has(tmp_path / "none" / "x.png")
        assert not listings.has(tmp_path / "a")
