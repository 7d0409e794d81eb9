"""The training loop: it learns, it is deterministic, and it says what it cannot train on."""

import json
import logging
import math

import numpy as np
import polars as pl
import pytest
import torch

from offclip.data.study import read_studies, write_studies
from offclip.errors import CheckpointError, ConfigError, DataError
from offclip.evaluation.early import early_metrics
from offclip.models import load_model
from offclip.training import loop, train
from offclip.training.augment import augment, make_augmentation
from offclip.training.config import OBJECTIVES, TrainConfig
from offclip.training.objectives import make_loss
from offclip.training.optimizer import learning_rate, make_optimizer


def weights(model) -> list[torch.Tensor]:
    return list(model.state_dict().values())


def equal(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


@pytest.fixture
def changed_table(studies, tmp_path):
    """Writes the phantom's table after a change."""

    def write(change):
        path = tmp_path / "table" / "studies.parquet"
        write_studies(change(studies), path)
        return path

    return write


def train_only(label: str):
    return lambda table: table.filter((pl.col("split") != "train") | (pl.col("label") == label))


def test_a_run_folder_describes_itself(finished_run, phantom, recipe):
    assert sorted(path.name for path in finished_run.iterdir()) == [
        "config.json", "environment.json", "metrics.jsonl", "model", "skipped.csv",
    ]  # fmt: skip
    assert json.loads((finished_run / "config.json").read_text())["config"] == recipe().as_dict() | {
        "learning_rate": 3e-3
    }
    environment = json.loads((finished_run / "environment.json").read_text())
    assert environment["torch"] == torch.__version__
    assert environment["studies"] == 82
    lines = [json.loads(line) for line in (finished_run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(math.isfinite(line["loss"]) and line["images_per_s"] > 0 for line in lines)
    assert all(
        0 <= line["validation_worst_prompt_normal_auc"] <= line["validation_normal_auc"] for line in lines
    )
    card = json.loads((finished_run / "model" / "card.json").read_text())
    assert card["training"]["recipe"]["objective"] == "offclip"


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains_with_a_finite_loss(phantom, recipe, tmp_path, objective):
    reports = []
    config = recipe(objective=objective, epochs=1, batch_size=40)
    train(phantom / "studies.parquet", config, tmp_path / "run", on_step=reports.append)
    assert [report.step for report in reports] == [1, 2]
    assert {report.steps for report in reports} == {2}
    assert all(math.isfinite(report.loss) and report.images_per_s > 0 for report in reports)


def test_the_loss_goes_down(phantom, recipe, tmp_path):
    config = recipe(objective="multi-positive", image_size=32, epochs=16, batch_size=40, augment=False)
    train(phantom / "studies.parquet", config, tmp_path / "run")
    lines = [
        json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert np.mean(lines[-3:]) < 0.9 * np.mean(lines[:3])


def test_the_same_seed_gives_the_same_weights_and_another_does_not(phantom, recipe, finished_run, tmp_path):
    first = load_model(finished_run)
    same = train(phantom / "studies.parquet", recipe(), tmp_path / "same")
    other = train(phantom / "studies.parquet", recipe(seed=1), tmp_path / "other")
    assert equal(first, same)
    assert not equal(first, other)


def test_the_random_state_outside_augmentation_stays(phantom):
    squares = torch.arange(2 * 32 * 32).remainder(256).to(torch.uint8).view(2, 32, 32)
    augmentation = make_augmentation()
    state = torch.random.get_rng_state()
    one, again, other = (augment(squares, augmentation, seed) for seed in ((0, 1, 2), (0, 1, 2), (0, 1, 3)))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.dtype == torch.uint8
    assert one.shape == squares.shape


def test_the_learning_rate_rises_then_falls_to_nothing():
    config = TrainConfig(learning_rate=0.1, warmup_share=0.2)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1 / 20)
    assert max(rates) == rates[19] == rates[20] == pytest.approx(0.1)
    assert rates[60] == pytest.approx(0.05)
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert 0 < rates[-1] < 1e-4
    assert all(0 < learning_rate(0, steps, config) <= 0.1 for steps in (1, 2, 3))


def test_only_matrices_decay(tiny_model, recipe):
    decayed, kept = make_optimizer(tiny_model(), recipe(weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.3, 0.0)
    assert all(p.ndim >= 2 for p in decayed["params"])
    assert all(p.ndim < 2 for p in kept["params"])


def test_off_clip_settings_reach_the_loss(recipe):
    logits, normal = torch.randn(6, 6), torch.tensor([1, 1, 0, 0, 0, 1]).bool()
    default = make_loss(recipe())(logits, normal)
    for change in (
        {"off_diagonal_weight": 9.0}, {"abnormal_weight": 9.0}, {"off_diagonal_bias": 2.0},
        {"cell_weighting": "mean"},
    ):  # fmt: skip
        assert make_loss(recipe(**change))(logits, normal) != default


def test_an_empty_train_split(changed_table, recipe, tmp_path):
    path = changed_table(lambda table: table.filter(pl.col("split") != "train"))
    with pytest.raises(DataError, match="the train split is empty") as caught:
        train(path, recipe(), tmp_path / "run")
    assert "--resplit" in caught.value.remedy


@pytest.mark.parametrize(
    ("label", "counts"), [("normal", "45 normal and 0"), ("abnormal", "0 normal and 37")]
)
@pytest.mark.parametrize("objective", ["offclip", "multi-positive"])
def test_one_label_only_is_refused_where_both_are_needed(
    changed_table, recipe, tmp_path, label, counts, objective
):
    with pytest.raises(DataError, match=f"{counts} abnormal studies.*{objective}"):
        train(changed_table(train_only(label)), recipe(objective=objective), tmp_path / "run")


def test_one_label_only_is_a_warning_for_infonce(changed_table, recipe, tmp_path, caplog):
    config = recipe(objective="infonce", epochs=1)
    with caplog.at_level(logging.WARNING):
        train(changed_table(train_only("normal")), config, tmp_path / "run")
    assert "45 normal and 0 abnormal" in caplog.text


def test_a_single_study_is_too_few(changed_table, recipe, tmp_path):
    path = changed_table(lambda table: pl.concat([t.head(1) for t in table.partition_by("split")]))
    with pytest.raises(DataError, match="only 1 study"):
        train(path, recipe(objective="infonce"), tmp_path / "run")


@pytest.mark.parametrize("spoil", ["no studies", "no images"])
def test_without_validation_studies_training_goes_on(changed_table, recipe, tmp_path, caplog, spoil):
    in_validate = pl.col("split") == "validate"
    change = {
        "no studies": lambda table: table.filter(~in_validate),
        "no images": lambda table: table.with_columns(
            images=pl.when(in_validate).then(pl.col("images").list.head(0)).otherwise("images")
        ),
    }[spoil]
    train(changed_table(change), recipe(epochs=1), tmp_path / "run", validate=early_metrics)
    assert "no early metrics" in caplog.text
    assert "validation" not in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_only_lateral_images(changed_table, recipe, tmp_path):
    def lateral(table):
        images = [[image | {"view": "lateral"} for image in row] for row in table["images"].to_list()]
        return table.with_columns(pl.Series("images", images, dtype=table.schema["images"]))

    with pytest.raises(DataError, match="no frontal image"):
        train(changed_table(lateral), recipe(), tmp_path / "run")


def test_unreadable_images_are_listed_and_training_goes_on(own_phantom, recipe, tmp_path):
    table = read_studies(own_phantom / "studies.parquet").filter(pl.col("split") == "train")
    films = [row[0] for row in table["images"].to_list()[:3]]
    (own_phantom / "images" / f"{films[0]['image_id']}.png").write_bytes(b"")
    (own_phantom / "images" / f"{films[1]['image_id']}.png").write_text("no image")
    (own_phantom / "images" / f"{films[2]['image_id']}.png").unlink()
    train(own_phantom / "studies.parquet", recipe(epochs=1), tmp_path / "run")
    skipped = pl.read_csv(tmp_path / "run" / "skipped.csv")
    assert skipped["id"].to_list() == [film["image_id"] for film in films]
    for reason, words in zip(skipped["reason"], ("0 bytes", "not an image", "does not exist"), strict=True):
        assert words in reason
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["studies"] == 79


def test_what_was_skipped_is_listed_even_when_nothing_is_left(own_phantom, recipe, tmp_path):
    table = read_studies(own_phantom / "studies.parquet")
    for split, row in table.select("split", "images").iter_rows():
        if split == "train":
            (own_phantom / "images" / f"{row[0]['image_id']}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"skipped\.csv"):
        train(own_phantom / "studies.parquet", recipe(), tmp_path / "run")
    assert len(pl.read_csv(tmp_path / "run" / "skipped.csv")) == 82


def test_a_missing_table(recipe, tmp_path):
    with pytest.raises(DataError, match=r"none\.parquet: no such file") as caught:
        train(tmp_path / "none.parquet", recipe(), tmp_path / "run")
    assert "offclip label" in caught.value.remedy
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", [{"model": "resnet"}, {"image_size": 30}])
def test_a_typing_error_does_not_claim_the_folder(phantom, recipe, tmp_path, change):
    with pytest.raises(ConfigError):
        train(phantom / "studies.parquet", recipe(**change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_stops_the_run(phantom, recipe, tmp_path, monkeypatch):
    class Lost(torch.nn.Module):
        def forward(self, logits, normal, **_):
            return logits.sum() * float("nan")

    monkeypatch.setattr(loop, "make_loss", lambda config: Lost())
    with pytest.raises(ConfigError, match="The loss is nan in step 1") as caught:
        train(phantom / "studies.parquet", recipe(), tmp_path / "run")
    assert "learning_rate" in caught.value.remedy
    with pytest.raises(CheckpointError, match="not finished"):
        load_model(tmp_path / "run")


@pytest.mark.parametrize(
    "change",
    [
        {"objective": "clip"},
        {"precision": "fp8"},
        {"epochs": 0},
        {"batch_size": 1},
        {"seed": -1},
        {"learning_rate": 0.0},
        {"lora_alpha": 0.0},
        {"lora_rank": 0},
        {"cache_chunk": -1},
        {"image_layers": "last-0"},
        {"image_layers": "some"},
        {"text_layers": "last-"},
        {"layer_decay": 0.0},
        {"layer_decay": 1.1},
        {"ema": 1.0},
        {"ema": -0.1},
        {"learning_rate": float("nan")},
        {"warmup_share": 1.5},
        {"prompt_share": -0.1},
        {"save_every_s": -1.0},
    ],
)
def test_recipes_out_of_range_are_refused(recipe, change):
    with pytest.raises(ConfigError, match=next(iter(change))) as caught:
        recipe(**change)
    assert caught.value.remedy
