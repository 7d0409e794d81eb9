"""Models of transformers in a folder of ours, and in training."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from hf_small import KINDS, SENTENCES, SIDE, save
from torch.utils.checkpoint import checkpoint

from offclip.losses import OffClipLoss
from offclip.models.adapters.families import LoadOptions
from offclip.models.checkpoint import load_model, save_model
from offclip.models.names import load_by_name

PIXELS = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
SCORE = """
import sys, torch
from offclip.models.checkpoint import load_model
folder, out, *texts = sys.argv[1:]
pixels = torch.load(folder + "/pixels.pt")
logits = {}
with torch.inference_mode():
    for kind in torch.load(folder + "/kinds.pt"):
        model = load_model(f"{folder}/{kind}")
        logits[kind] = model.similarity(model.encode_image(pixels), model.embed_texts(texts))
torch.save(logits, out)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    place = tmp_path_factory.mktemp("hf")
    models = {kind: load_by_name(f"hf:{save(kind, place / kind)}") for kind in KINDS}
    shutil.rmtree(place)  # from here on there is no original
    return models


def test_a_saved_model_scores_bit_for_bit_the_same_without_the_original(models, tmp_path):
    for kind, model in models.items():
        save_model(model, tmp_path / kind)
    torch.save(PIXELS, tmp_path / "pixels.pt")
    torch.save(list(models), tmp_path / "kinds.pt")
    command = [sys.executable, "-c", SCORE, str(tmp_path), str(tmp_path / "logits.pt"), *SENTENCES]
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = torch.load(tmp_path / "logits.pt")
    with torch.inference_mode():
        for kind, model in models.items():
            loaded = load_model(tmp_path / kind)
            state = model.state_dict()
            assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
            assert torch.equal(found[kind], score(loaded)), kind
            # Where weights lie in memory decides which kernels are taken, and with them the last bit.
            torch.testing.assert_close(found[kind], score(model), rtol=1e-6, atol=5e-6)


def score(model):
    return model.similarity(model.encode_image(PIXELS), model.embed_texts(SENTENCES))


def test_another_image_size_is_kept(tmp_path):
    options = LoadOptions(image_size=48, local="tokens")
    model = load_by_name(f"hf:{save('vit+bert', tmp_path / 'pair')}", options)
    save_model(model, tmp_path / "saved")
    again, pixels = load_model(tmp_path / "saved"), torch.rand(1, 3, 48, 48)
    with torch.inference_mode():
        ours, theirs = again.encode_image(pixels), model.encode_image(pixels)
    assert ours.grid == (6, 6)
    torch.testing.assert_close(ours.pooled, theirs.pooled, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.local, theirs.local, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_step_reaches_every_parameter(models, kind, tmp_path):
    save_model(models[kind], tmp_path)
    model = load_model(tmp_path).train()
    logits = model.similarity(model.encode_image(PIXELS), model.embed_texts(SENTENCES))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    OffClipLoss()(logits, torch.tensor([True, False, False])).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    still = {n for n, p in model.named_parameters() if not p.grad.any()}
    # A shift of all logits changes no softmax: neither the bias nor that of keys has a gradient.
    assert all(name.endswith((".bias", "token_type_embeddings.weight")) for name in still), still
    torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0).step()
    assert all(not torch.equal(before[n], p) for n, p in model.named_parameters() if n not in still)


@pytest.mark.parametrize("kind", ["clip", "siglip", "vit+bert"])
def test_towers_name_their_layers(models, kind):
    towers = models[kind].towers()
    for tower in towers.values():
        assert len(tower.blocks) == 3
        assert not tower.fresh
        inside = {id(part) for part in tower.module.modules()}
        assert all(id(block) in inside for block in tower.blocks)


def test_checkpointed_layers_give_the_same_and_leave_nothing_behind(models):
    tower = models["clip"].image_tower
    with torch.no_grad():
        expected = tower(PIXELS)
    for block in tower.blocks:
        block.gradient_checkpointing = True
        block._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
    tower.train()
    image = tower(PIXELS)
    (image.pooled.sum() + image.local.sum()).backward()
    tower.eval()
    torch.testing.assert_close(image.local, expected.local, rtol=1e-6, atol=1e-6)
    assert not tower._last_layer


def test_threads_do_not_get_each_others_cells(models):
    tower = models["clip"].image_tower
    batches = [PIXELS * (one + 1) / 8 for one in range(8)]
    with torch.inference_mode():
        expected = [tower(batch).local for batch in batches]

    def cells(batch):
        with torch.inference_mode():  # a thread has its own mode
            return tower(batch).local

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(cells, batches * 4))
    for ours, theirs in zip(found, expected * 4, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
