"""Grounding of a whole folder: files, joins, refusals, and checks that tell real maps from others."""

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from torch import nn

from offclip.data.files import write_csv
from offclip.data.loader import ImageRef, load_pixels
from offclip.errors import ConfigError, DataError
from offclip.evaluation.grounding import ground, ground_model
from offclip.evaluation.grounding.run import write_grounding
from offclip.evaluation.grounding.tables import read_grounding_folder
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.grounding.localisation import contrast
from offclip.grounding.maps import heat_maps
from offclip.grounding.pointing import PointingRule, point
from offclip.grounding.regions import Box, union
from offclip.images.preprocess import Preprocess
from offclip.models import load_model
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import TINY_PROMPTS, make_prompts, make_weights
from offclip.models.carzero.model import CarZero
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures
from offclip.zeroshot.prompts import finding_prompt

FEW = Resampling(50)


class Bright(ClipModel):
    """Its map is the brightness of each cell of 8 pixels, its logit their mean."""

    def __init__(self, size=32):
        super().__init__()
        self.preprocess = Preprocess(size, mean=0.0, std=1.0)
        self.weight = nn.Parameter(torch.ones(1))

    def encode_image(self, pixels):
        cells = nn.functional.avg_pool2d(pixels, 8)
        return ImageFeatures(cells.flatten(1), cells.flatten(1).unsqueeze(-1), tuple(cells.shape[-2:]))

    def encode_text(self, input_ids, attention_mask):
        return TextFeatures(input_ids.float(), input_ids.float().unsqueeze(1), attention_mask.bool())

    def embed_texts(self, texts):
        return self.encode_text(torch.zeros(len(texts), 1), torch.ones(len(texts), 1))

    def similarity(self, image, text):
        return (image.pooled**2).mean(dim=1, keepdim=True).expand(-1, len(text.pooled))

    def heat_map(self, image, text):
        return image.pooled.unsqueeze(1).expand(-1, len(text.pooled), -1).unflatten(-1, image.grid)


@pytest.fixture
def spots(tmp_path, write_film):
    """Films with one bright spot, as large as a cell, and where it is: three as boxes, two as masks."""
    rows, boxes, masks = [], [], []
    for number, (x, y) in enumerate([(0, 0), (48, 16), (16, 32), (32, 48), (16, 16)]):
        film = np.full((64, 64), 20, np.uint8)
        film[y : y + 16, x : x + 16] = 240
        name = f"i{number}"
        write_film(tmp_path / f"{name}.png", film)
        rows.append((f"s{name}", f"p{number}", name, f"{name}.png", "PA", "test", "A spot."))
        if number in (1, 3):
            Image.fromarray(film > 128).save(tmp_path / f"{name}_mask.png")
            masks.append((name, "Spot", f"{name}_mask.png"))
            boxes.append((name, "spot", 0, 0, 4, 4))  # wrong, and not used: the mask says more
        else:
            boxes.append((name, "spot", x, y, 16, 16))
    boxes.append(("i0", "shadow", 40, 40, 16, 16))  # where the map is lowest
    columns = ["study_id", "patient_id", "image_id", "image_path", "view", "split", "report"]
    write_csv(pl.DataFrame(rows, schema=columns, orient="row"), tmp_path / "reports.csv")
    edges = ["image_id", "finding", "x", "y", "width", "height"]
    write_csv(pl.DataFrame(boxes, schema=edges, orient="row"), tmp_path / "boxes.csv")
    write_csv(
        pl.DataFrame(masks, schema=["image_id", "finding", "mask"], orient="row"), tmp_path / "masks.csv"
    )
    return tmp_path


def test_a_map_that_is_right_is_measured_as_right(spots, tmp_path):
    result = ground_model(Bright().eval(), read_grounding_folder(spots), resampling=FEW)
    spot, shadow = (result.methods["similarity"].per_class[name] for name in ("spot", "shadow"))
    assert (spot.hit.value, shadow.hit.value) == (1, 0)
    assert spot.hit.low == spot.hit.high == 1
    by_truth = {(r["image_id"], r["finding"]): r for r in result.table.iter_rows(named=True)}
    assert by_truth["i1", "spot"]["truth"] == "mask"
    assert by_truth["i1", "spot"]["hit"] == 1
    assert by_truth["i0", "spot"]["truth"] == "box"
    assert spot.miou.value > 0.5
    assert spot.cnr.value > 2
    assert shadow.cnr.value < 0
    assert spot.energy_chance == pytest.approx(1 / 16)
    assert result.methods["similarity"].cut_from == "cross-validation over patients"
    assert not result.skipped


def test_it_is_measured_map_by_map_as_the_pure_functions_do(finished_run, phantom, tmp_path):
    seen = []
    result = ground(
        finished_run, phantom, tmp_path / "out", resampling=FEW, on_progress=lambda *at: seen.append(at)
    )
    assert {what for what, *_ in seen} >= {"reading test", "measuring test", "measuring validate"}
    assert list(result.methods) == ["similarity", "grad-cam"]
    written = pl.read_csv(tmp_path / "out" / "grounding.csv")
    boxes = pl.read_csv(phantom / "boxes.csv")
    reports = pl.read_csv(phantom / "reports.csv").filter(pl.col("split") == "test")
    pairs = boxes.join(reports, on="image_id", how="semi").select("image_id", "finding").unique()
    assert len(written) == 2 * len(pairs)
    model = load_model(finished_run)
    chosen = pairs.sort("image_id", "finding").head(6)
    films = chosen["image_id"].unique(maintain_order=True).to_list()
    store, _ = load_pixels([ImageRef(i, phantom / "images" / f"{i}.png") for i in films], model.preprocess)
    for method in ("similarity", "grad-cam"):
        for image_id, finding in chosen.iter_rows():
            place = films.index(image_id)
            ((_, (heat,)),) = heat_maps(model, store, [place], [finding_prompt(finding)], method=method)
            own = boxes.filter((pl.col("image_id") == image_id) & (pl.col("finding") == finding))
            drawn = [Box(finding, *edges) for edges in own.select("x", "y", "width", "height").iter_rows()]
            pointed = point(heat, store.geometry[place], drawn)
            on_image = store.geometry[place].map_to_original(heat, outside=np.nan)
            measured = contrast(on_image, union(drawn, 32, 32))
            line = written.row(
                by_predicate=(pl.col("image_id") == image_id)
                & (pl.col("finding") == finding)
                & (pl.col("method") == method),
                named=True,
            )
            assert line["hit"] == pytest.approx(pointed.hit)
            assert line["chance"] == pytest.approx(pointed.chance)
            assert line["cnr"] == pytest.approx(measured.cnr, abs=1e-3)
            assert line["energy"] == pytest.approx(measured.energy, abs=1e-4)


def test_the_file_says_what_was_measured_and_how(finished_run, phantom, tmp_path):
    result = ground(
        finished_run, phantom, tmp_path / "out", methods=["grad-cam"], tolerance=0.1, rule="peer",
        resampling=FEW,
    )  # fmt: skip
    block = json.loads((tmp_path / "out" / "grounding.json").read_text())
    assert block["split"] == "test"
    assert block["rule"].startswith("top left corner")
    assert block["rule"].endswith("tolerance 0.1 of the longer side")
    assert {"grad-cam": block["grad-cam"], "rule": block["rule"]} == json.loads(json.dumps(result.block()))
    hit = block["grad-cam"]["hit"]
    assert hit["low"] <= hit["value"] <= hit["high"]
    by_finding = result.table.group_by("finding").agg(pl.col("hit").mean())
    assert hit["value"] == pytest.approx(by_finding["hit"].mean())
    assert block["grad-cam"]["threshold"]["from"] == "validation"
    assert pl.read_csv(tmp_path / "out" / "grounding_skipped.csv").is_empty()


def test_the_order_of_rows_changes_nothing(finished_run, phantom, own_phantom):
    table = pl.read_csv(own_phantom / "boxes.csv", infer_schema=False)
    write_csv(table.sample(fraction=1.0, shuffle=True, seed=1), own_phantom / "boxes.csv")
    one, other = (ground(finished_run, f, resampling=FEW) for f in (phantom, own_phantom))
    assert one.table.equals(other.table)
    assert one.block() == other.block()


def test_what_cannot_be_read_is_listed_and_the_rest_is_measured(spots):
    (spots / "i0.png").write_bytes(b"")
    Image.fromarray(np.ones((10, 10), bool)).save(spots / "i1_mask.png")
    with (spots / "boxes.csv").open("a") as file:
        file.write("i2,far away,900,900,5,5\n")
    result = ground_model(Bright().eval(), read_grounding_folder(spots), resampling=FEW)
    listed = {(s.id, s.reason) for s in result.skipped}
    assert any(i == "i0" and "0 bytes" in reason for i, reason in listed)
    assert any(i == "i1" and "10 x 10 pixels" in reason for i, reason in listed)
    assert any(i == "i2" and "far away: the region lies outside" in reason for i, reason in listed)
    assert set(result.methods["similarity"].per_class) == {"spot"}
    # Without its mask, the box of i1 is what there is.
    row = result.table.row(by_predicate=pl.col("image_id") == "i1", named=True)
    assert (row["truth"], row["hit"]) == ("box", 0)


def test_refusals_come_before_any_work(finished_run, phantom, tmp_path, spots):
    with pytest.raises(ConfigError, match="no heat map 'attention'"):
        ground(finished_run, phantom, methods=["attention"])
    with pytest.raises(ConfigError, match="Unknown rule"):
        ground(tmp_path / "no model", phantom, rule="corner")
    with pytest.raises(DataError, match="in the split 'holdout'") as caught:
        ground(finished_run, phantom, split="holdout")
    assert "validate" in caught.value.remedy
    for name in ("boxes.csv", "masks.csv"):
        table = pl.read_csv(spots / name)
        write_csv(table.head(0), spots / name)
    write_csv(
        pl.DataFrame(
            {"image_id": ["i0"], "finding": ["x"], "x": [90], "y": [9], "width": [3], "height": [3]}
        ),
        spots / "boxes.csv",
    )
    with pytest.raises(DataError, match=r"No map of the split 'test' can be measured. .* outside"):
        ground_model(Bright().eval(), read_grounding_folder(spots), resampling=FEW)


def test_shuffled_weights_tell_a_map_of_the_model_from_one_of_the_film(spots, phantom, tiny_model):
    """`Bright` looks at the film alone: its weight is used by nothing."""
    film = ground_model(
        Bright().eval(), read_grounding_folder(spots), sanity=True, faithfulness=True, resampling=FEW
    )
    found = film.sanity["similarity"]
    assert (found.verdict, found.spearman, found.ssim) == ("does not depend on the model", 1, 1)
    assert [stage.spearman for stage in found.cascade] == [1]
    data = read_grounding_folder(phantom)
    other = ground_model(tiny_model(), data, sanity=True, methods=["grad-cam"], resampling=FEW)
    assert other.sanity["grad-cam"].verdict == "depends on the model"
    assert other.sanity["grad-cam"].maps == min(32, other.methods["grad-cam"].overall.maps)
    assert len(other.sanity["grad-cam"].cascade) == 10
    assert other.block()["sanity"]["grad-cam"]["cascade"][0]["stage"] == "head"
    # The logit of Bright is what its map says, so the map is faithful.
    faithful = film.faithfulness["similarity"]
    assert faithful.insertion_rank.value > 0.9
    assert faithful.deletion_rank.value > 0.9
    assert faithful.insertion_gain.value > 0
    assert not math.isnan(film.block()["faithfulness"]["similarity"]["deletion_gain"]["low"])


def test_carzero_has_three_maps_and_does_not_see_the_border(spots):
    config = CarZeroConfig.tiny()
    model = CarZero.from_state_dict(make_weights(config, "grounding"), config)
    made = make_prompts("grounding", TINY_PROMPTS)
    model.embed_texts = lambda texts: model.encode_text(
        *(part[: len(texts)] for part in (made.input_ids, made.attention_mask, made.is_continuation))
    )
    with (spots / "boxes.csv").open("a") as file:
        file.write("i2,edge,0,0,64,3\n")  # CARZero cuts off 4 of 64 rows
    result = ground_model(model, read_grounding_folder(spots), resampling=FEW)
    assert list(result.methods) == ["attention", "gradient-attention", "grad-cam"]
    for method in result.methods.values():
        edge = method.per_class["edge"]
        assert (edge.hit.value, edge.chance, edge.miou, edge.energy) == (0, 0, None, None)
        spot = method.per_class["spot"]
        assert spot.miou is not None
        assert 0 < spot.energy.value < 1
    hidden = result.table.filter(pl.col("finding") == "edge")
    assert hidden["cnr"].null_count() == hidden["iou"].null_count() == 3


def test_a_full_disk_leaves_no_result_that_looks_whole(spots, tmp_path, full_disk):
    result = ground_model(Bright().eval(), read_grounding_folder(spots), resampling=FEW)
    full_disk("grounding.json")
    with pytest.raises(DataError, match="the disk is full"):
        write_grounding(result, tmp_path / "out", {})
    assert not (tmp_path / "out" / "grounding.json").exists()


def test_the_validate_split_does_not_choose_its_own_cuts(finished_run, phantom):
    result = ground(finished_run, phantom, split="validate", methods=["similarity"], resampling=FEW)
    assert result.methods["similarity"].cut_from == "cross-validation over patients"
    assert result.rule == PointingRule()
