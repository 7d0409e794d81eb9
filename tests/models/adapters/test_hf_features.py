"""Features, logits, tokens, cells and pixels of models of transformers: equal to the library's own."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hf_small import KINDS, SENTENCES, SIDE, own_model, own_tokens, save, transformers
from PIL import Image
from torch import Tensor

from offclip.errors import ConfigError, InputError
from offclip.grounding.gradients import grad_cam
from offclip.models.adapters.families import LoadOptions
from offclip.models.names import load_by_name

PIXELS = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def folder(kind):
        return made.get(kind) or made.setdefault(kind, save(kind, tmp_path_factory.mktemp("hf") / kind))

    return folder


@functools.cache
@torch.inference_mode(False)
def load(folder, **options):
    return load_by_name(f"hf:{folder}", LoadOptions(**options))


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("kind", KINDS)
def test_features_logits_and_tokens_are_the_librarys_own(folder, kind):
    model, own = load(folder(kind)), own_model(folder(kind))
    ids, mask = model.tokenizer(SENTENCES)
    given = {"input_ids": ids}
    if kind != "siglip":
        given = own_tokens(folder(kind), SENTENCES)
        assert torch.equal(ids, given["input_ids"])
        assert torch.equal(mask, given["attention_mask"])
    image, text = model.encode_image(PIXELS), model.encode_text(ids, mask)
    output = own(pixel_values=PIXELS, **given)
    close(image.pooled, own.get_image_features(pixel_values=PIXELS).pooler_output)
    close(text.pooled, own.get_text_features(**given).pooler_output)
    close(model.similarity(image, text), output.logits_per_image)
    assert image.local.shape == (2, image.grid[0] * image.grid[1], model.config.embed_dim)
    assert model.heat_map(image, text).shape == (2, 3, *image.grid)
    # The vector of a text is that of one of its tokens: the first, the last, or the end of the text.
    where = {"clip": mask.sum(1) - 1, "metaclip_2": mask.sum(1) - 1, "clip-eos-2": ids.argmax(1)}
    where |= {"siglip": torch.full((3,), -1)}
    close(text.tokens[range(3), where.get(kind, torch.zeros(3, dtype=torch.long))], text.pooled)


@torch.inference_mode()
def test_scale_above_100_and_bias_of_siglip_are_kept(folder):
    model = load(folder("siglip"))
    assert model.head.scale().item() == pytest.approx(np.exp(4.7), rel=1e-6)
    assert model.head.bias.item() == -7.25


@torch.inference_mode()
@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_padding_may_be_cut_off(folder, kind):
    model = load(folder(kind))
    ids, mask = model.tokenizer(["no.", "there is no"])
    longest = int(mask.sum(1).max())
    whole, cut = model.encode_text(ids, mask), model.encode_text(ids[:, :longest], mask[:, :longest])
    close(cut.pooled, whole.pooled)
    close(cut.tokens, whole.tokens[:, :longest])
    assert kind != "siglip" or ids.shape[1] > longest  # its processor pads to the full length


@torch.inference_mode()
def test_cells_of_clip_go_through_its_norm_and_projection(folder):
    model, own = load(folder("clip"), local="tokens"), own_model(folder("clip"))
    hidden = own.vision_model(PIXELS).last_hidden_state
    expected = own.visual_projection(own.vision_model.post_layernorm(hidden[:, 1:]))
    close(model.encode_image(PIXELS).local, F.normalize(expected, dim=-1))


@torch.inference_mode()
def test_cells_of_siglip_are_what_its_head_takes_from_each(folder):
    model, own = load(folder("siglip"), local="tokens"), own_model(folder("siglip"))
    head = own.vision_model.head
    hidden = own.vision_model(PIXELS).last_hidden_state  # behind the norm
    attention = head.attention  # of one key it takes the value
    value = F.linear(hidden, attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2])
    value = attention.out_proj(value)
    expected = value + head.mlp(head.layernorm(value))
    close(model.encode_image(PIXELS).local, F.normalize(expected, dim=-1))


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["vit+bert", "deit+bert"])
def test_cells_of_a_vit_go_through_its_pooler(folder, kind):
    model, own = load(folder(kind), local="tokens"), own_model(folder(kind))
    hidden = own.vision_model(PIXELS).last_hidden_state[:, -16:]  # behind the norm
    expected = own.visual_projection(torch.tanh(own.vision_model.pooler.dense(hidden)))
    close(model.encode_image(PIXELS).local, F.normalize(expected, dim=-1))


@torch.inference_mode()
def test_cells_of_a_swin_add_up_to_the_pooled_vector(folder):
    image = load(folder("swin+bert")).encode_image(PIXELS)
    close(image.local.mean(1), image.pooled)


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["clip", "siglip", "vit+bert", "dinov2+bert"])
def test_the_way_cells_are_read_changes_the_cells_alone(folder, kind):
    tokens, values = (load(folder(kind), local=how).encode_image(PIXELS) for how in ("tokens", "values"))
    assert torch.equal(tokens.pooled, values.pooled)
    assert (tokens.local - values.local).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_the_logit_depends_on_all_cells_of_the_cam_layer(folder, kind):
    model, kept = load(folder(kind)), []
    hook = model.cam_layer.register_forward_hook(lambda *call: kept.append(call[2]))
    image, text = model.encode_image(PIXELS), model.embed_texts(["no"])
    hook.remove()
    (gradient,) = torch.autograd.grad(model.similarity(image, text).sum(), kept[0])
    assert (gradient[:, -image.local.shape[1] :].abs().sum(-1) > 0).all()
    assert grad_cam(model, model.cam_layer, PIXELS, text).shape == (2, 1, *image.grid)


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["clip", "siglip", "vit+bert"])
def test_another_image_size_is_what_the_library_interpolates(folder, kind):
    model, own = load(folder(kind), image_size=48), own_model(folder(kind))
    pixels = F.interpolate(PIXELS, 48)
    expected = own.get_image_features(pixel_values=pixels, interpolate_pos_encoding=True).pooler_output
    image = model.encode_image(pixels)
    close(image.pooled, expected)
    assert model.preprocess.size == 48
    assert image.grid == (6, 6)


def test_sizes_that_no_patch_fits_and_other_shapes_are_refused(folder):
    with pytest.raises(ConfigError, match="own 32, or a multiple of 8"):
        load(folder("clip"), image_size=50)
    with pytest.raises(ConfigError, match="dinov2"):
        load(folder("dinov2+bert"), image_size=48)
    model = load(folder("clip"))
    for shape in ((2, 3, 32, 48), (2, 3, 48, 48), (2, 1, 32, 32), (3, 32, 32)):
        with pytest.raises(InputError, match=r"\(images, 3, 32, 32\)"):
            model.encode_image(torch.zeros(shape))


@pytest.mark.parametrize(
    ("kind", "shape"), [("clip", (50, 41)), ("siglip", (41, 50)), ("vit+bert", (70, 30))]
)
def test_pixels_are_those_of_the_librarys_processor(folder, kind, shape):
    film = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    preprocess = load(folder(kind)).preprocess
    ours = preprocess.normalise(torch.from_numpy(preprocess.fit(film)[0])[None])
    own = transformers.AutoImageProcessor.from_pretrained(folder(kind), backend="pil")
    theirs = own(Image.fromarray(film).convert("RGB"), return_tensors="pt")["pixel_values"]
    close(ours, theirs)
