"""Features of open_clip's towers: pooled as the library's own, cells and tokens in the joint space."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("open_clip", reason="needs 'offclip[openclip]'")

import open_clip_small as small

from offclip.errors import InputError
from offclip.grounding.gradients import grad_cam
from offclip.models.adapters.families import LoadOptions
from offclip.models.adapters.last_block import LOCAL
from offclip.models.names import load_by_name

GRIDS = {"vit": 4, "vit-mean": 4, "resnet": 2, "coca": 4, "convnext": 5}  # others: 10


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """A model by the name of its kind, and the library's own, each made once."""
    folders, made = {}, {}

    def load(name: str, local: str = "values"):
        if name not in folders:
            folders[name] = small.save(name, tmp_path_factory.mktemp("towers") / name)
        folder, own = folders[name]
        if (name, local) not in made:
            made[name, local] = load_by_name(f"open_clip:{folder}", LoadOptions(local=local))
        return made[name, local], own

    return load


def pixels_for(model, count: int = 2) -> Tensor:
    side = model.preprocess.size
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", small.MODELS)
@torch.no_grad()
def test_pooled_vectors_are_the_librarys_own(load, name):
    for local in LOCAL:
        model, own = load(name, local)
        pixels = pixels_for(model)
        image = model.encode_image(pixels)
        assert torch.equal(image.pooled, small.encode_image(own, pixels))
        side = GRIDS.get(name, 10)
        assert image.grid == (side, side)
        assert image.local.shape == (2, side * side, small.JOINT)
    ids, mask = model.tokenizer(small.SENTENCES)
    text = model.encode_text(ids, mask)
    assert (text.pooled - small.encode_text(own, ids)).abs().max() < 1e-6
    assert text.tokens.shape == (*ids.shape, small.JOINT)
    assert torch.equal(text.mask, mask.bool())


@pytest.mark.parametrize("name", small.MODELS)
@torch.no_grad()
def test_logits_are_the_librarys_own(load, name):
    model, own = load(name)
    pixels = pixels_for(model)
    ids, mask = model.tokenizer(small.SENTENCES)
    image, text = (
        F.normalize(x, dim=-1) for x in (small.encode_image(own, pixels), small.encode_text(own, ids))
    )
    expected = own.logit_scale.exp() * image @ text.T + (0 if own.logit_bias is None else own.logit_bias)
    found = model.similarity(model.encode_image(pixels), model.encode_text(ids, mask))
    assert (found - expected).abs().max() <= 1e-6 * max(1, float(expected.abs().max()))


@pytest.mark.parametrize("name", small.MODELS)
@torch.no_grad()
def test_cells_stand_row_by_row(load, name):
    """What is changed in one place is seen by the cell of that place most."""
    model, _ = load(name)
    pixels = torch.zeros(1, 3, model.preprocess.size, model.preprocess.size)
    before = model.encode_image(pixels)
    rows, columns = before.grid
    row, column, cell = 0, columns - 1, model.preprocess.size // rows
    there = (slice(row * cell, (row + 1) * cell), slice(column * cell, (column + 1) * cell))
    pixels[0, :, there[0], there[1]] = torch.randn(3, cell, cell, generator=torch.Generator().manual_seed(0))
    change = (model.encode_image(pixels).local - before.local).norm(dim=-1)[0]
    assert int(change.argmax()) == row * columns + column


@torch.no_grad()
def test_cells_of_a_transformer_are_its_projected_tokens(load):
    for name in ("vit", "vit-mean"):
        model, own = load(name, "tokens")
        pixels, visual = pixels_for(model), own.visual
        visual.output_tokens = True
        _, tokens = visual(pixels)
        visual.output_tokens = False
        tokens = (
            visual.ln_post(tokens) if name == "vit-mean" else tokens
        )  # there the norm comes after the mean
        assert torch.allclose(model.encode_image(pixels).local, tokens @ visual.proj, atol=1e-6)


@torch.no_grad()
def test_cells_of_a_mean_make_the_pooled_vector(load):
    """A linear head on a mean is the mean of the head on each cell."""
    model, _ = load("timm-mean", "tokens")
    trunk = model.image_tower.visual.trunk
    trunk.fc_norm, norm = torch.nn.Identity(), trunk.fc_norm
    image = model.encode_image(pixels_for(model))
    trunk.fc_norm = norm
    assert torch.allclose(image.local.mean(dim=1), image.pooled, atol=1e-5)


@torch.no_grad()
def test_cells_of_attentional_pooling_are_seen_alone(load):
    """One query or five, CoCa's pooler returns the same for one cell alone."""
    model, own = load("coca", "tokens")
    pixels, visual = pixels_for(model), own.visual
    hidden = visual.transformer(visual._embeds(pixels))[:, 1:]
    alone = visual.attn_pool(hidden.flatten(0, 1)[:, None])  # B*P queries D
    assert torch.allclose(alone[:, 0], alone[:, 3], atol=1e-6)
    expected = (visual.ln_post(alone[:, 0]) @ visual.proj).unflatten(0, (2, 16))
    assert torch.allclose(model.encode_image(pixels).local, expected, atol=1e-6)


@torch.no_grad()
def test_cells_of_siglips_pooling_are_values(load):
    model, own = load("siglip", "tokens")
    pixels, trunk = pixels_for(model), own.visual.trunk
    pool, cells = trunk.attn_pool, trunk.forward_features(pixels)[:, 1:]  # behind the register token
    values = pool.proj(pool.kv(cells)[..., cells.shape[-1] :])
    expected = own.visual.head(values + pool.mlp(pool.norm(values)))
    assert torch.allclose(model.encode_image(pixels).local, expected, atol=1e-6)


@torch.no_grad()
def test_cells_of_clips_resnet_are_what_even_attention_gathers(load):
    model, _ = load("resnet")
    pool = model.image_tower.visual.attnpool
    saved = {name: tensor.clone() for name, tensor in pool.state_dict().items()}
    pool.q_proj.weight.zero_()  # every cell, and the mean of all, gets the same attention
    pool.q_proj.bias.zero_()
    pool.positional_embedding[0] = pool.positional_embedding[1:].mean(dim=0)
    image = model.encode_image(pixels_for(model))
    pool.load_state_dict(saved)
    assert torch.allclose(image.local.mean(dim=1), image.pooled, atol=1e-6)


@torch.no_grad()
def test_cells_of_a_cnn_go_through_its_head_one_by_one(load):
    model, own = load("convnext")
    pixels, trunk = pixels_for(model), own.visual.trunk
    cells = trunk.forward_features(pixels).flatten(2).transpose(1, 2)
    norm = trunk.head.norm
    expected = F.layer_norm(cells, (cells.shape[-1],), norm.weight, norm.bias, norm.eps)
    expected = expected @ own.visual.head.proj.weight.T
    assert torch.allclose(model.encode_image(pixels).local, expected, atol=1e-5)


@torch.no_grad()
def test_ways_to_read_cells_differ(load):
    for name in ("vit", "biomedclip"):
        cells = [load(name, local)[0].encode_image(pixels_for(load(name)[0])).local for local in LOCAL]
        assert all((cells[one] - cells[other]).abs().max() > 1e-3 for one, other in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("name", small.MODELS)
def test_layer_of_grad_cam_has_an_effect_everywhere(load, name):
    model, _ = load(name)
    outputs = []
    handle = model.cam_layer.register_forward_hook(lambda *call: outputs.append(call[2]))
    image = model.encode_image(pixels_for(model))
    handle.remove()
    (output,) = outputs
    cells = image.grid[0] * image.grid[1]
    assert output.shape[2:] == image.grid if output.ndim == 4 else output.shape[1] >= cells
    (gradient,) = torch.autograd.grad(image.pooled.square().sum(), output)
    gradient = gradient.flatten(2).transpose(1, 2) if gradient.ndim == 4 else gradient[:, -cells:]
    assert (gradient.abs().amax(dim=-1) > 0).all()


@pytest.mark.parametrize("name", small.MODELS)
def test_heat_maps(load, name):
    model, _ = load(name)
    pixels, text = pixels_for(model), model.embed_texts(small.SENTENCES)
    image = model.encode_image(pixels)
    assert model.heat_map(image, text).shape == (2, 4, *image.grid)
    assert grad_cam(model, model.cam_layer, pixels, text).shape == (2, 4, *image.grid)


@pytest.mark.parametrize("name", ["vit", "coca", "siglip", "biomedclip"])
@torch.no_grad()
def test_padding_that_was_cut_off_changes_nothing(load, name):
    model, _ = load(name)
    ids, mask = model.tokenizer(["Clear.", "No finding."])
    used = int(mask.sum(dim=1).max())
    assert used < ids.shape[1]
    whole, cut = model.encode_text(ids, mask), model.encode_text(ids[:, :used], mask[:, :used])
    assert torch.allclose(cut.pooled, whole.pooled, atol=1e-6)
    assert cut.tokens.shape == (2, used, small.JOINT)
    assert torch.allclose(cut.tokens, whole.tokens[:, :used], atol=1e-6)


@torch.no_grad()
def test_tokens_are_in_the_joint_space(load):
    """The token that is pooled is the pooled vector."""
    model, _ = load("vit")
    ids, mask = model.tokenizer(small.SENTENCES)
    text = model.encode_text(ids, mask)
    assert torch.allclose(text.tokens[range(4), ids.argmax(dim=1)], text.pooled, atol=1e-6)
    for name, position in (("siglip", -1), ("biomedclip", 0)):
        text = load(name)[0].embed_texts(small.SENTENCES)
        assert torch.allclose(text.tokens[:, position], text.pooled, atol=1e-6)


def test_text_that_is_too_long(load):
    model, _ = load("vit")
    ids = torch.ones(1, small.CONTEXT + 1, dtype=torch.long)
    with pytest.raises(InputError, match="16 at most"):
        model.encode_text(ids, torch.ones_like(ids))


@pytest.mark.parametrize("name", small.MODELS)
def test_parts_for_tuning(load, name):
    model, own = load(name)
    towers = model.towers()
    layers = {"resnet": 4, "siglip": 9, "biomedclip": 6, "timm-mean": 8, "convnext": 4, "coca": 3}.get(
        name, 3
    )
    assert len(towers["image"].blocks) == layers
    assert len(towers["text"].blocks) == 2
    inside = set(model.image_tower.modules()) | set(model.text_tower.modules())
    assert set(towers["image"].blocks) | set(towers["text"].blocks) <= inside
    parameters = sum(parameter.numel() for parameter in model.parameters())
    library = own.visual.parameters(), own.text.parameters() if hasattr(own, "text") else ()
    if hasattr(own, "text"):
        assert parameters == sum(p.numel() for part in library for p in part) + 2
