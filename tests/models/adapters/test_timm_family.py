"""Two towers under new projections: loaded by name, saved, trained, and looked into."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("timm", reason="needs 'offclip[timm]'")
pytest.importorskip("transformers", reason="needs 'offclip[hf]'")

from timm_small import SENTENCES, save_image, save_text

from offclip.data.loader import ImageRef, load_pixels
from offclip.data.study import read_studies
from offclip.errors import ConfigError
from offclip.grounding.gradients import grad_cam
from offclip.models.adapters.families import LoadOptions
from offclip.models.checkpoint import load_model, save_model
from offclip.models.names import load_by_name
from offclip.training import TrainConfig, train
from offclip.zeroshot.prompts import finding_prompt

SIZE = 64
KINDS = (("test_resnet", "bert"), ("test_vit", "t5"), ("test_mambaout", "modernbert"))
READ_ELSEWHERE = """
import sys, torch
from offclip.models.checkpoint import load_model
pixels, texts = torch.load(sys.argv[1])
for folder in sys.argv[2:]:
    model = load_model(folder)
    with torch.inference_mode():
        image, text = model.encode_image(pixels), model.embed_texts(texts)
        torch.save((model.similarity(image, text), model.heat_map(image, text)), f"{folder}/out.pt")
"""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Folder with both towers, name and model of every pair."""
    made = []
    for image, text in KINDS:
        folder = tmp_path_factory.mktemp(image)
        name = f"timm:{save_image(folder / 'image', image)}+hf:{save_text(folder / 'text', text)}"
        torch.manual_seed(0)
        made.append((folder, name, load_by_name(name, LoadOptions(image_size=SIZE))))
    return made


@pytest.fixture(scope="module", params=range(len(KINDS)), ids=[image for image, _ in KINDS])
def pair(request, pairs):
    """Name and model."""
    return pairs[request.param][1:]


def pixels(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def test_a_pair_says_that_it_is_untrained(pair, caplog):
    name, model = pair
    with caplog.at_level(logging.WARNING):
        load_by_name(name, LoadOptions(image_size=SIZE))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "random until it is trained" in caplog.text
    assert model.untrained
    assert not model.training
    assert model.config.source == name
    assert model.head.scale().item() == pytest.approx(10)
    assert model.head.bias.item() == 0
    assert [len(tower.fresh) for tower in model.towers().values()] == [1, 1]


@torch.inference_mode()
def test_logits_are_cosines_and_maps_their_parts(pair):
    _, model = pair
    image, text = model.encode_image(pixels()), model.embed_texts(SENTENCES)
    expected = 10 * F.cosine_similarity(image.pooled[:, None], text.pooled[None], dim=-1)
    logits, maps = model.similarity(image, text), model.heat_map(image, text)
    assert torch.allclose(logits, expected, atol=1e-5)
    assert maps.shape == (2, 3, *image.grid)
    if model.config.image["shape"]["layout"] != "tokens":
        cosines = maps.mean(dim=(2, 3)) / image.pooled.norm(dim=-1, keepdim=True)
        assert torch.allclose(10 * cosines, logits, atol=1e-4)


def test_grad_cam_finds_the_cells(pair):
    _, model = pair
    with torch.inference_mode():
        maps = grad_cam(model, model.cam_layer, pixels(), model.embed_texts(SENTENCES))
        grid = model.encode_image(pixels()).grid
    assert maps.shape == (2, 3, *grid)
    assert maps.amax(dim=(2, 3)).max() > 0


def test_saved_pairs_need_neither_tower_nor_hub(pairs, tmp_path):
    torch.save((pixels(), SENTENCES), tmp_path / "in.pt")
    saved = [tmp_path / folder.name for folder, _, _ in pairs]
    for (folder, _, model), own in zip(pairs, saved, strict=True):
        save_model(model, own)
        folder.rename(f"{folder}.gone")
    try:
        command = [sys.executable, "-c", READ_ELSEWHERE, str(tmp_path / "in.pt"), *map(str, saved)]
        subprocess.run(command, check=True, env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"})
    finally:
        for folder, _, _ in pairs:
            Path(f"{folder}.gone").rename(folder)
    for (_, _, model), own in zip(pairs, saved, strict=True):
        logits, maps = torch.load(own / "out.pt")
        with torch.inference_mode():
            image, text = model.encode_image(pixels()), model.embed_texts(SENTENCES)
            assert torch.equal(logits, model.similarity(image, text))
            assert torch.equal(maps, model.heat_map(image, text))
        assert json.loads((own / "card.json").read_text())["config"]["family"] == "timm"


def test_a_bad_size(pair):
    name, _ = pair
    with pytest.raises(ConfigError, match="70"):
        load_by_name(name, LoadOptions(image_size=70))


@pytest.mark.parametrize(("layers", "kept"), [("none", "project"), ("last-1", "blocks")])
def test_training_in_part_leaves_the_rest_alone(tmp_path, phantom, layers, kept):
    torch.manual_seed(0)
    image, text = save_image(tmp_path / "image", "test_efficientnet"), save_text(tmp_path / "text")
    name = f"timm:{image}+hf:{text}"
    config = TrainConfig(
        model=name, image_size=32, epochs=1, batch_size=32, image_layers=layers, text_layers="none", seed=3
    )
    model = train(phantom / "studies.parquet", config, tmp_path / "run")
    torch.manual_seed(3)
    before = load_by_name(name, LoadOptions(image_size=32)).state_dict()
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert any(kept in key for key in changed)
    assert not [key for key in changed if "conv_stem" in key or "encoder" in key]
    again = load_model(tmp_path / "run")
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in again.state_dict().items())


def test_after_training_the_normal_prompt_beats_the_findings(tmp_path, phantom):
    text = save_text(tmp_path / "text")
    config = TrainConfig(
        model=f"timm:test_resnet@random+hf:{text}@random",
        image_size=32,
        epochs=24,
        batch_size=32,
        learning_rate=3e-3,
        augment=False,
        precision="fp32",
    )
    model = train(phantom / "studies.parquet", config, tmp_path / "run")
    normal, abnormal = normal_margins(model, phantom)
    assert normal > 0
    assert normal > abnormal + 1


def normal_margins(model, phantom: Path) -> tuple[float, float]:
    """Logit of the normal prompt minus the mean of three findings, on normal and abnormal train films."""
    studies = read_studies(phantom / "studies.parquet").filter(pl.col("split") == "train")
    refs = [ImageRef(row[0]["image_id"], Path(row[0]["path"])) for row in studies["images"]]
    store, _ = load_pixels(refs, model.preprocess, workers=1)
    prompts = ["There is no finding.", *map(finding_prompt, ("pleural effusion", "pneumothorax", "nodule"))]
    with torch.inference_mode():
        image = model.encode_image(model.preprocess.normalise(torch.from_numpy(store.squares)))
        logits = model.similarity(image, model.embed_texts(prompts))
    margin = logits[:, 0] - logits[:, 1:].mean(dim=1)
    normal = torch.from_numpy((studies["label"] == "normal").to_numpy().copy())
    return float(margin[normal].mean()), float(margin[~normal].mean())
