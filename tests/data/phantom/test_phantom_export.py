"""The exported folder: bytes, columns, resuming, and every refusal."""

import errno
import json
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from offclip.data.phantom import FINDINGS, phantom_case, write_phantom
from offclip.errors import ConfigError, DataError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "export"
    return folder, write_phantom(folder, n=150, seed=2, size=48)


def test_bytes_do_not_depend_on_the_number_of_workers(written, tmp_path):
    folder, _ = written
    done = []
    write_phantom(tmp_path / "two", n=150, seed=2, size=48, workers=2, on_progress=done.append)
    assert contents(tmp_path / "two") == contents(folder)
    assert done == [64, 128, 150]


def test_a_larger_phantom_begins_with_the_smaller_one(written, tmp_path):
    folder, _ = written
    write_phantom(tmp_path / "few", n=20, seed=2, size=48)
    few, many = contents(tmp_path / "few"), contents(folder)
    pictures = [name for name in few if name.endswith(".png")]
    assert len(pictures) == 20
    assert all(few[name] == many[name] for name in pictures)
    assert many["reports.csv"].startswith(few["reports.csv"])


def test_tables_have_their_columns_and_join_by_id(written):
    folder, summary = written
    reports = pl.read_csv(folder / "reports.csv")
    labels = pl.read_csv(folder / "labels.csv")
    boxes = pl.read_csv(folder / "boxes.csv")
    assert reports.columns == ["study_id", "patient_id", "image_id", "image_path", "view", "split", "report"]
    assert labels.columns == ["image_id", "normal", *FINDINGS]
    assert boxes.columns == ["image_id", "finding", "side", "zone", "severity", "x", "y", "width", "height"]
    assert reports["image_id"].to_list() == labels["image_id"].to_list()
    assert set(boxes["image_id"]) == set(labels.filter(pl.col("normal") == 0)["image_id"])
    assert len(boxes) == sum(int(labels[name].sum()) for name in FINDINGS)
    assert (labels["normal"] == (labels.select(FINDINGS).sum_horizontal() == 0)).all()
    assert summary.studies == 150
    assert summary.normal == int(labels["normal"].sum())
    assert summary.findings == {name: int(labels[name].sum()) for name in FINDINGS}
    assert summary.patients == reports["patient_id"].n_unique() < 150


def test_files_hold_what_the_case_holds(written):
    folder, _ = written
    reports = pl.read_csv(folder / "reports.csv")
    for index in (0, 77, 149):
        case = phantom_case(2, index, 48)
        row = reports.row(index, named=True)
        assert row["report"] == case.report
        assert row["patient_id"] == case.patient_id
        image = cv2.imread(str(folder / row["image_path"]), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(image, case.image)


def test_no_patient_is_in_two_splits(written):
    reports = pl.read_csv(written[0] / "reports.csv")
    assert reports.group_by("patient_id").agg(pl.col("split").n_unique())["split"].max() == 1
    assert set(reports["split"]) == {"train", "validate", "test"}


def test_the_readme_says_that_it_is_synthetic(written):
    text = (written[0] / "README.txt").read_text()
    assert "synthetic data" in text
    assert "n=150, seed=2, size=48, style='icu'" in text


def test_a_second_run_mends_and_skips(written, tmp_path):
    folder = tmp_path / "again"
    write_phantom(folder, n=10, size=48)
    before = contents(folder)
    pictures = sorted((folder / "images").iterdir())
    pictures[0].unlink()
    pictures[1].write_bytes(pictures[1].read_bytes()[:40])
    pictures[2].write_bytes(b"")
    (folder / "boxes.csv").unlink()
    summary = write_phantom(folder, n=10, size=48)
    assert summary.skipped == 7
    assert contents(folder) == before


@pytest.mark.parametrize("change", [{"n": 11}, {"seed": 1}, {"size": 64}, {"style": "neutral"}])
def test_other_parameters_in_the_same_folder_are_refused(tmp_path, change):
    write_phantom(tmp_path / "x", n=2, size=32)
    before = contents(tmp_path / "x")
    with pytest.raises(DataError, match="other parameters") as caught:
        write_phantom(tmp_path / "x", **{"n": 2, "size": 32, **change})
    assert caught.value.remedy
    assert contents(tmp_path / "x") == before


def test_a_folder_with_something_else_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        write_phantom(tmp_path, n=2, size=32)
    assert contents(tmp_path) == {"thesis.txt": b"mine"}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="is a file"):
        write_phantom(tmp_path / "file", n=2, size=32)


def test_a_broken_parameter_file_is_refused(tmp_path):
    (tmp_path / "phantom.json").write_text("{")
    with pytest.raises(DataError, match=r"phantom\.json cannot be read"):
        write_phantom(tmp_path, n=2, size=32)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"n": 0}, "0 studies"),
        ({"n": 1_000_001}, "1000001 studies"),
        ({"n": 2, "size": 16}, "16 pixels"),
        ({"n": 2, "size": 4096}, "4096 pixels"),
        ({"n": 2, "style": "poem"}, "poem"),
        ({"n": 2, "seed": -3}, "-3"),
        ({"n": 2, "workers": 0}, "worker"),
        ({"n": 2, "fractions": (0.5, 0.5, 0.5)}, "fractions"),
        ({"n": 2, "fractions": (1.2, -0.1, -0.1)}, "fractions"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, arguments, word):
    with pytest.raises(ConfigError, match=word) as caught:
        write_phantom(tmp_path / "x", **arguments)
    assert caught.value.remedy
    assert not (tmp_path / "x").exists()


def test_a_full_disk_names_the_file_and_leaves_no_half_file(tmp_path, monkeypatch):
    real = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if ".png" in path.name:
            real(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match=r"S000000_.*png could not be written: No space left") as caught:
        write_phantom(tmp_path / "x", n=2, size=32)
    assert "space" in caught.value.remedy
    assert list((tmp_path / "x" / "images").iterdir()) == []
    monkeypatch.undo()
    assert write_phantom(tmp_path / "x", n=2, size=32).studies == 2


def test_an_all_normal_phantom_has_an_empty_table_of_boxes(tmp_path):
    seed = next(s for s in range(20) if not phantom_case(s, 0, 32).findings)
    write_phantom(tmp_path / "x", n=1, seed=seed, size=32)
    assert len(pl.read_csv(tmp_path / "x" / "boxes.csv")) == 0
    assert json.loads((tmp_path / "x" / "phantom.json").read_text())["n"] == 1
