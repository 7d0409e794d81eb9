"""The grounding benchmark: its exports of real sets, its references, and that it goes on where it was."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from xray_modules import DATA, load

from offclip.data.files import write_csv
from offclip.evaluation.grounding import ground_model
from offclip.evaluation.grounding.tables import read_grounding_folder
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.images.preprocess import Preprocess

script, sets, references = load("grounding"), load("grounding_sets"), load("grounding_references")


@pytest.fixture
def covid(tmp_path, write_film):
    """Three films in the layout of covid_chestxray, two of them with a mask."""
    data = tmp_path / "covid"
    for name in "abc":
        write_film(data / "images" / f"{name}.png", np.tile(np.arange(0, 240, 8, np.uint8), (20, 1)))
    (data / "finding_masks").mkdir()
    for name, columns in (("a", slice(0, 10)), ("b", slice(20, 30))):
        covered = np.zeros((20, 30), bool)
        covered[5:15, columns] = True
        Image.fromarray(covered).save(data / "finding_masks" / f"{name}.png")
    films = [(f"images/{name}.png", n, "AP Supine") for n, name in enumerate("abc")]
    write_csv(
        pl.DataFrame(films, schema=["image", "patient_id", "view"], orient="row"), data / "metadata.csv"
    )
    masks = [
        ("images/a.png", "Ground Glass Opacities", "finding_masks/a.png"),
        ("images/b.png", "Consolidation", "finding_masks/b.png"),
    ]
    write_csv(
        pl.DataFrame(masks, schema=["image", "label", "mask"], orient="row"), data / "finding_masks.csv"
    )
    return data


def test_masks_of_covid_become_a_folder(covid, tmp_path):
    data = read_grounding_folder(sets.export_covid(covid, tmp_path / "out", least=1))
    assert {i.ref.image_id: i.findings for i in data.images["test"]} == {
        "images/a.png": ("opacity",),
        "images/b.png": ("consolidation",),
    }
    assert [i.patient_id for i in data.images["test"]] == ["covid0", "covid1"]


def test_boxes_of_nih_become_a_folder(tmp_path, write_film):
    data = tmp_path / "nih"
    for name in "xy":
        write_film(data / "images" / f"{name}.jpg")
    films = [("images/x.jpg", "211", "AP"), ("images/y.jpg", "212", "PA")]
    write_csv(
        pl.DataFrame(films, schema=["image", "patient_id", "view"], orient="row"), data / "metadata.csv"
    )
    boxes = [("images/x.jpg", "Lung Opacity", 1, 2, 3, 4), ("images/x.jpg", "Effusion", 5, 6, 7, 8)]
    write_csv(
        pl.DataFrame(boxes, schema=["image", "label", "x", "y", "w", "h"], orient="row"), data / "boxes.csv"
    )
    (image,) = read_grounding_folder(sets.export_nih(data, tmp_path / "out", least=1)).images["test"]
    assert image.findings == ("opacity", "pleural effusion")
    assert (image.boxes[0].width, image.boxes[0].height) == (3, 4)
    assert image.ref.path == data / "images" / "x.jpg"


@pytest.mark.skipif(not (DATA / "nih_chestxray14").is_dir(), reason="the real films are not here")
def test_the_real_sets_are_as_large_as_they_say(tmp_path):
    nih = read_grounding_folder(sets.export_nih(DATA / "nih_chestxray14", tmp_path / "nih", least=1))
    assert (len(nih.images["test"]), sum(len(i.boxes) for i in nih.images["test"])) == (81, 128)
    covid = read_grounding_folder(sets.export_covid(DATA / "covid_chestxray", tmp_path / "covid", least=1))
    assert (len(covid.images["test"]), sum(len(i.masks) for i in covid.images["test"])) == (44, 60)
    assert not nih.skipped + covid.skipped
    frequent = read_grounding_folder(sets.export_nih(DATA / "nih_chestxray14", tmp_path / "nih"))
    assert {f for i in frequent.images["test"] for f in i.findings} == {"opacity", "pneumonia"}


def test_a_constant_reference_scores_its_chance_and_the_edges_see_edges(covid, tmp_path):
    data = read_grounding_folder(sets.export_covid(covid, tmp_path / "out", least=1))
    reference = references.Reference(references.constant, Preprocess(64)).eval()
    (found,) = ground_model(reference, data, resampling=Resampling(20)).methods.values()
    assert found.overall.hit.value == pytest.approx(found.overall.chance)
    assert found.overall.energy.value == pytest.approx(found.overall.energy_chance)
    pixels = torch.zeros(1, 1, 64, 64)
    pixels[..., 20:] = 1
    assert references.edges(pixels)[0].argmax(dim=1).tolist() == [2] * 8
    assert references.middle(pixels)[0].argmax() in (27, 28, 35, 36)


def test_a_stopped_benchmark_goes_on_where_it_was(covid, finished_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sets.export_covid, "__defaults__", (1,))
    demo, out = tmp_path / "demo", tmp_path / "out"
    shutil.copytree(finished_run, demo / "runs" / "offclip-filter-seed0")
    arguments = [
        "grounding.py",
        str(demo),
        "--covid",
        str(covid),
        "--nih",
        str(tmp_path / "no"),
        "--out",
        str(out),
    ]
    monkeypatch.setattr("sys.argv", arguments)
    (demo / "runs" / "infonce-filter-seed0").mkdir()
    assert script.main() == 0
    printed = capsys.readouterr().out
    assert "nih: not given or not there" in printed
    assert "infonce-filter-seed0: not finished" in printed
    for who in (
        "OFF-CLIP | similarity | 1 | 2 |",
        "OFF-CLIP | grad-cam",
        "shuffled weights",
        "edges of the film",
    ):
        assert who in printed
    table = (out / "tables.md").read_text()
    written = out / "covid" / "offclip-filter-seed0" / "grounding.json"
    block = json.loads(written.read_text())
    block["similarity"]["chance"] = 0.777
    written.write_text(json.dumps(block))
    assert script.main() == 0
    assert ".777" in (out / "tables.md").read_text()  # read, and not measured again
    written.write_text(json.dumps(block | {"weights": "others"}))
    assert script.main() == 0
    assert (out / "tables.md").read_text() == table


def test_a_folder_without_runs_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["grounding.py", str(tmp_path)])
    assert script.main() == 2
    assert "no runs" in capsys.readouterr().err


def test_cells_of_the_tables_are_short():
    assert script._mean_sd([0.25, 0.35]) == ".300 ± .071"
    assert script._mean_sd([-0.5]) == "-.500"
    assert script._mean_sd([None]) == "-"
    assert script._mean_sd([1.234, None]) == "1.23"
