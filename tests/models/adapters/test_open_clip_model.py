"""Models of open_clip as a whole: pixels, training, and a folder of ours in a process without the hub."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("open_clip", reason="needs 'offclip[openclip]'")

import open_clip
import open_clip_small as small
from safetensors.torch import load_file

from offclip.losses import OffClipLoss
from offclip.models.adapters.families import LoadOptions
from offclip.models.checkpoint import read_card, save_model
from offclip.models.names import load_by_name

AGAIN = """
import sys, torch
from safetensors.torch import save_file
from offclip.errors import CheckpointError
from offclip.models.checkpoint import load_model
from offclip.models.names import load_by_name
try:
    load_by_name("open_clip:hf-hub:org/name")
except CheckpointError as error:
    assert "org/name" in str(error) and "HF_HUB_OFFLINE is set" in str(error), error
else:
    raise SystemExit("there is no such model")
found = {}
for folder in sys.argv[1:-1]:
    model = load_model(folder)
    assert not model.training
    side = model.preprocess.size
    pixels = torch.linspace(-1, 1, 2 * 3 * side * side).view(2, 3, side, side)
    with torch.no_grad():
        image, text = model.encode_image(pixels), model.embed_texts(["There is no finding.", "Nodule!"])
        for name, value in {"logits": model.similarity(image, text), "local": image.local}.items():
            found[f"{folder} {name}"] = value.contiguous()
save_file(found, sys.argv[-1])
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: small.save(name, tmp_path_factory.mktemp("models") / name)[0] for name in small.MODELS}


def test_folder_of_ours_gives_the_same_bits_elsewhere(folders, tmp_path):
    """All originals are gone, and so is the hub: one process loads them all."""
    expected, resized = {}, {"biomedclip": 96, "vit": 48}
    for name, folder in folders.items():
        for size in {None, resized.get(name)}:
            original = shutil.copytree(folder, tmp_path / "original")
            model = load_by_name(f"open_clip:{original}", LoadOptions(image_size=size, local="tokens"))
            shutil.rmtree(original)
            saved = str(tmp_path / f"{name} {size}")
            save_model(model, saved)
            side = model.preprocess.size
            pixels = torch.linspace(-1, 1, 2 * 3 * side * side).view(2, 3, side, side)
            with torch.no_grad():
                image, text = (
                    model.encode_image(pixels),
                    model.embed_texts(["There is no finding.", "Nodule!"]),
                )
                expected[f"{saved} logits"] = model.similarity(image, text)
                expected[f"{saved} local"] = image.local
    saved = sorted({key.rpartition(" ")[0] for key in expected})
    out = str(tmp_path / "found.safetensors")
    surroundings = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}
    subprocess.run([sys.executable, "-c", AGAIN, *saved, out], check=True, env=surroundings, timeout=300)
    found = load_file(out)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


@pytest.mark.parametrize("name", small.MODELS)
def test_every_weight_learns(folders, name):
    model = load_by_name(f"open_clip:{folders[name]}").train()
    side = model.preprocess.size
    pixels = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(0))
    image, text = model.encode_image(pixels), model.embed_texts(small.SENTENCES)
    loss = OffClipLoss()(model.similarity(image, text), torch.tensor([True, False, True, False]))
    loss.backward()
    still = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not still
    gradients = [(name, parameter.grad) for name, parameter in model.named_parameters()]
    # A constant added to all keys changes no attention, and a bias of all logits no softmax.
    zero = [name for name, gradient in gradients if not gradient.abs().max() > 0]
    assert not [name for name in zero if not name.endswith((".k_proj.bias", "key.bias", "head.bias"))]


@pytest.mark.parametrize("name", ["vit", "vit-mean", "siglip"])
@pytest.mark.parametrize("shape", [(90, 61), (40, 77)])
def test_pixels_are_the_librarys_own(folders, name, shape):
    model = load_by_name(f"open_clip:{folders[name]}")
    own = open_clip.transform.PreprocessCfg(
        **open_clip.transform.merge_preprocess_dict(
            open_clip.transform.PreprocessCfg(size=model.preprocess.size), small.MODELS[name][1]
        )
    )
    grey = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    expected = open_clip.transform.image_transform_v2(own, is_train=False)(Image.fromarray(grey))
    square, _ = model.preprocess.fit(grey)
    found = model.preprocess.normalise(torch.from_numpy(square)[None])[0]
    assert (found - expected).abs().max() < 1e-6


def test_card_says_where_it_comes_from(folders, tmp_path):
    folder = shutil.copytree(folders["biomedclip"], tmp_path / "biomedclip")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    save_model(load_by_name(f"open_clip:{folder}"), tmp_path / "saved")
    card = read_card(tmp_path / "saved")
    assert (card["architecture"], card["licence"], card["max_tokens"]) == ("adapted", "mit", 32)
    assert card["config"]["family"] == "open_clip"
    assert card["config"]["source"] == f"open_clip:{folder}"
    assert str(folder) not in str(card["config"]["text"])
