"""Heat maps of adapted models: through the one interface, and where the film is, whatever its shape."""

import dataclasses
import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from offclip.data.loader import PixelStore
from offclip.errors import ConfigError
from offclip.grounding.gradients import grad_cam
from offclip.grounding.maps import heat_maps, map_method, map_methods, maps_of_image
from offclip.grounding.pointing import Box, point
from offclip.grounding.sanity import randomise, stages
from offclip.images.preprocess import Preprocess
from offclip.models.adapters.adapted import AdaptedClip, AdaptedConfig, ImageTower, TextTower
from offclip.models.adapters.last_block import LOCAL, last_block_cells
from offclip.models.interface import ImageFeatures, TextFeatures
from offclip.models.names import load_by_name
from offclip.models.tokenizer import TextTokenizer

PATCH = 8
MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
PREPROCESS = {
    "letterbox": Preprocess(96, mean=MEAN, std=STD),
    "carzero": Preprocess(112, geometry="carzero", mean=MEAN, std=STD),
    "crop": Preprocess(96, geometry="crop", resample="bicubic", resized=104, mean=MEAN, std=STD),
    "squash": Preprocess(96, geometry="squash", resample="bilinear", mean=MEAN, std=STD),
}


class BrightTower(ImageTower):
    """A cell is how bright it is, beside a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(PATCH)
        self.weight = nn.Parameter(torch.ones(1))

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return (self.pool,)

    @property
    def cam_layer(self) -> nn.Module:
        return self.pool

    def forward(self, pixels: Tensor) -> ImageFeatures:
        maps = self.pool(pixels) * self.weight
        bright = maps.mean(dim=1).flatten(1)  # B 3 h w -> B P
        local = torch.stack([bright, torch.ones_like(bright)], dim=-1)
        return ImageFeatures(local.mean(dim=1), local, (maps.shape[2], maps.shape[3]))


class VitBlock(nn.Module):
    """With the names of open_clip; it returns a tuple, as layers of transformers 4 do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x)), None


class Visual(nn.Module):
    """The parameters of a vision transformer, in the order in which open_clip names them."""

    def __init__(self, prefix: int, width: int, size: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(1, max(prefix, 1), width)[:, :prefix])
        self.positions = nn.Parameter(torch.randn(1, (size // PATCH) ** 2, width) * 0.1)
        self.proj = nn.Parameter(torch.randn(width, width) / width**0.5)
        self.conv1 = nn.Conv2d(3, width, PATCH, PATCH)
        self.resblocks = nn.ModuleList(VitBlock(width) for _ in range(3))
        self.ln_post = nn.LayerNorm(width)


class VitTower(ImageTower):
    """A vision transformer with `prefix` tokens before the patches; without one the patches are averaged."""

    def __init__(self, prefix: int = 1, local: str = "values", width: int = 16, size: int = 96) -> None:
        super().__init__()
        self.prefix, self.local = prefix, local
        self.visual = Visual(prefix, width, size)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return tuple(self.visual.resblocks)

    @property
    def cam_layer(self) -> nn.Module:
        return self.visual.resblocks[-2]

    def forward(self, pixels: Tensor) -> ImageFeatures:
        visual = self.visual
        maps = visual.conv1(pixels)
        x = maps.flatten(2).transpose(1, 2) + visual.positions
        x = torch.cat([visual.first.expand(len(x), -1, -1), x], dim=1)
        *before, last = visual.resblocks
        for block in before:
            x, _ = block(x)
        tokens, _ = last(x)
        tokens = visual.ln_post(tokens) @ visual.proj
        cells = visual.ln_post(last_block_cells(last, x, self.local)) @ visual.proj
        pooled = tokens[:, 0] if self.prefix else tokens.mean(dim=1)
        return ImageFeatures(pooled, cells[:, self.prefix :], (maps.shape[2], maps.shape[3]))


class WordTower(TextTower):
    """A sentence is a fixed vector: the first axis, or what its ids say."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.word = nn.Embedding(vocabulary, width)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return (self.word,)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        tokens = self.word(input_ids)
        return TextFeatures(tokens.mean(dim=1), tokens, attention_mask.bool())


def adapted(tower: ImageTower, preprocess: Preprocess, width: int, along_first: bool = False) -> AdaptedClip:
    tokenizer = TextTokenizer.fit(["There is a nodule.", "There is no finding."] * 2)
    words = WordTower(width, tokenizer.vocabulary_size)
    if along_first:
        nn.init.zeros_(words.word.weight)
        words.word.weight.data[:, 0] = 1.0
    config = AdaptedConfig("test", "test", width)
    return AdaptedClip(config, tower, words, preprocess, tokenizer, log_scale=2.0).eval()


def vit(prefix: int = 1, local: str = "values", geometry: str = "letterbox") -> AdaptedClip:
    torch.manual_seed(prefix)
    preprocess = dataclasses.replace(PREPROCESS[geometry], size=96, resized=None)
    return adapted(VitTower(prefix, local), preprocess, 16)


def cell_size(geometry):
    """Height and width of a cell in pixels of the film."""
    return PATCH * geometry.height / geometry.inner_height, PATCH * geometry.width / geometry.inner_width


def spot(shape, y, x, radius):
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return (250 * np.exp(-(((rows - y) ** 2 + (columns - x) ** 2) / radius**2))).astype(np.uint8)


@pytest.mark.parametrize("method", ["similarity", "grad-cam"])
@pytest.mark.parametrize("geometry", PREPROCESS)
@pytest.mark.parametrize("shape", [(300, 500), (500, 300), (250, 250)])
def test_a_bright_spot_is_found_where_it_is(method, geometry, shape):
    preprocess = PREPROCESS[geometry]
    model = adapted(BrightTower(), preprocess, 2, along_first=True)
    record = preprocess.fit(np.zeros(shape, np.uint8))[1]
    visible = record.visible
    rows, columns = cell_size(record)
    for share_y, share_x in ((0.3, 0.25), (0.5, 0.5), (0.7, 0.75), (0.25, 0.7)):
        y, x = visible.y + share_y * visible.height, visible.x + share_x * visible.width
        film = spot(shape, y, x, 1.5 * max(rows, columns))
        (found,) = maps_of_image(model, film, ["There is a nodule."], method)
        assert found.shape == shape
        row, column = np.unravel_index(np.nanargmax(found), shape)
        assert abs(row + 0.5 - y) <= 0.6 * rows + 1
        assert abs(column + 0.5 - x) <= 0.6 * columns + 1

        square, record = preprocess.fit(film)
        store = PixelStore(("a",), square[None], (record,))
        ((_, (heat_map,)),) = heat_maps(model, store, [0], ["There is a nodule."], method=method)
        reach = (0.6 * rows + 1, 0.6 * columns + 1)
        box = Box("nodule", x - reach[1], y - reach[0], 2 * reach[1], 2 * reach[0])
        assert point(heat_map, record, [box]).hit == 1


@pytest.mark.parametrize("geometry", PREPROCESS)
@pytest.mark.parametrize("shape", [(300, 500), (500, 300)])
def test_pixels_that_the_model_was_not_shown_have_no_value(geometry, shape):
    preprocess = PREPROCESS[geometry]
    model = adapted(BrightTower(), preprocess, 2, along_first=True)
    shown = preprocess.fit(np.zeros(shape, np.uint8))[1].visible
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    seen = (rows >= shown.y) & (rows <= shown.y + shown.height)
    seen &= (columns >= shown.x) & (columns <= shown.x + shown.width)
    assert seen.all() == (geometry in ("letterbox", "squash"))
    for method in map_methods(model):
        (found,) = maps_of_image(model, np.full(shape, 200, np.uint8), ["There is a nodule."], method)
        assert np.array_equal(np.isfinite(found), seen)


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_every_adapted_model_has_both_maps_on_its_grid(prefix):
    model = vit(prefix)
    assert list(map_methods(model)) == ["similarity", "grad-cam"]
    pixels = torch.rand(10, 3, 96, 96, generator=torch.Generator().manual_seed(1)) * 4 - 2
    with torch.inference_mode():
        text = model.embed_texts(["There is a nodule.", "There is no finding."])
        for method in map_methods(model):
            found = map_method(model, method)(pixels, text)
            assert found.shape == (10, 2, 12, 12)
            assert found.std() > 1e-5
    with pytest.raises(ConfigError, match="It has: similarity, grad-cam"):
        map_method(model, "attention")


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_grad_cam_of_tokens_agrees_with_differences(prefix):
    """Without autograd: a channel is raised at all tokens of the grid at once, and cosines are watched."""
    model = vit(prefix).double()
    layer, step, shift = model.cam_layer, 1e-4, torch.zeros(1)
    pixels = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(2)).double() * 4 - 2
    with torch.no_grad():
        text = model.embed_texts(["There is a nodule."])
    found = grad_cam(model, layer, pixels, text)[0, 0]
    seen = []

    def raised(module, inputs, output):
        seen.append(output[0])
        return (output[0] + shift, None)

    def cosine():
        pooled = model.encode_image(pixels).pooled[0]
        return nn.functional.cosine_similarity(pooled, text.pooled[0], dim=0) * torch.tensor(2.0).exp()

    handle = layer.register_forward_hook(raised)
    with torch.no_grad():
        cosine()
        cells = seen[0][0, -144:]
        weights = torch.zeros(16, dtype=torch.float64)
        for channel in range(16):
            shift = torch.zeros_like(seen[0])
            shift[:, -144:, channel] = step
            up = cosine()
            shift = -shift
            weights[channel] = (up - cosine()) / (2 * step) / 144
    handle.remove()
    expected = (cells @ weights).clamp(min=0).view(12, 12)
    assert expected.max() > 1e-6
    assert torch.allclose(found.double(), expected, atol=1e-4 * float(expected.max()))


def test_grad_cam_of_a_last_block_that_runs_twice_is_that_of_its_first_run():
    """Cells read off as tokens run the last block again; the logit depends on its first run alone."""
    model, other = vit(prefix=0, local="tokens"), vit(prefix=0, local="values")
    pixels = torch.rand(3, 3, 96, 96, generator=torch.Generator().manual_seed(3)) * 4 - 2
    with torch.no_grad():
        text = model.embed_texts(["There is a nodule."])
    twice, once = (grad_cam(m, m.image_tower.blocks[-1], pixels, text) for m in (model, other))
    assert twice.max() > 1e-6
    assert torch.allclose(twice, once, atol=1e-6)


@pytest.mark.parametrize("shape", [(300, 500), (500, 300)])
@pytest.mark.parametrize("geometry", ["letterbox", "crop", "squash"])
def test_what_changes_on_the_film_changes_the_map_there(shape, geometry):
    model = vit(geometry=geometry)
    rng = np.random.default_rng(0)
    film = rng.integers(0, 200, shape).astype(np.uint8)
    record = model.preprocess.fit(film)[1]
    rows, columns = cell_size(record)
    before = maps_of_image(model, film, ["There is a nodule."])[0]
    shown = record.visible
    for share_y, share_x in ((0.2, 0.3), (0.5, 0.6), (0.8, 0.15)):
        y, x = shown.y + share_y * shown.height, shown.x + share_x * shown.width
        changed = film.copy()
        changed[
            round(y - rows / 2) : round(y + rows / 2), round(x - columns / 2) : round(x + columns / 2)
        ] = 255
        moved = abs(maps_of_image(model, changed, ["There is a nodule."])[0] - before)
        row, column = np.unravel_index(np.nanargmax(moved), shape)
        assert abs(row + 0.5 - y) <= rows
        assert abs(column + 0.5 - x) <= columns
        far = np.nanmedian(moved)
        assert np.nanmax(moved) > 5 * far  # the blocks before the last mix the cells


@pytest.mark.parametrize("local", LOCAL)
def test_every_way_to_read_cells_leaves_the_logits_alone(local):
    model, other = vit(local=local), vit(local="tokens")
    pixels = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        text = model.embed_texts(["There is a nodule."])
        image, expected = model.encode_image(pixels), other.encode_image(pixels)
        assert torch.equal(model.similarity(image, text), other.similarity(expected, text))
        assert torch.equal(image.local, expected.local) == (local == "tokens")


def test_weights_of_an_adapted_model_go_from_the_logit_to_the_pixels():
    model = vit()
    names = [name for name, _ in stages(model)]
    assert names[:2] == ["head", "text_tower"]
    assert names[2:] == [
        "image_tower.visual.proj",
        "image_tower.visual.ln_post",
        "image_tower.visual.resblocks.2",
        "image_tower.visual.resblocks.1",
        "image_tower.visual.resblocks.0",
        "image_tower.visual.conv1",
        "image_tower.visual.positions",
        "image_tower.visual.first",
    ]
    assert sum(len(tensors) for _, tensors in stages(model)) == len(list(model.parameters()))
    few = dict(randomise(model, 0, 4).named_parameters())
    for name, weights in model.named_parameters():
        kept = torch.equal(weights, few[name])
        late = name.endswith((".proj", "word.weight")) or "ln_post" in name
        assert kept != late or weights.unique().numel() == 1


# Small random models, saved by the three libraries.
OPEN_CLIP = ("vit", "vit-mean", "resnet", "siglip", "convnext")
HUGGING_FACE = ("clip", "siglip", "vit+bert", "dinov2+bert", "swin+bert")
TIMM = ("test_vit", "test_vit4", "test_resnet")
SMALL = [("open_clip", name) for name in OPEN_CLIP]
SMALL += [("hf", name) for name in HUGGING_FACE] + [("timm", name) for name in TIMM]


def saved_small(family: str, kind: str, folder: Path) -> str:
    """The name of a model that its own library saved."""
    if family == "open_clip":
        pytest.importorskip("open_clip", reason="needs 'offclip[openclip]'")
        importlib.import_module("open_clip_small").save(kind, folder)
        return f"open_clip:{folder}"
    pytest.importorskip("transformers", reason="needs 'offclip[hf]'")
    if family == "hf":
        importlib.import_module("hf_small").save(kind, folder)
        return f"hf:{folder}"
    pytest.importorskip("timm", reason="needs 'offclip[timm]'")
    small = importlib.import_module("timm_small")
    small.save_image(folder / "image", kind)
    small.save_text(folder / "text")
    return f"timm:{folder / 'image'}+hf:{folder / 'text'}"


@pytest.fixture(scope="module", params=SMALL, ids=lambda pair: "-".join(pair))
def small(request, tmp_path_factory) -> AdaptedClip:
    """In evaluation mode."""
    torch.manual_seed(0)
    family, kind = request.param
    name = saved_small(family, kind, tmp_path_factory.mktemp("small") / "model")
    model = load_by_name(name)
    assert isinstance(model, AdaptedClip)
    return model


def test_small_models_have_both_maps_on_the_film(small):
    for shape in ((60, 100), (100, 60)):
        film = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
        shown = small.preprocess.fit(film)[1].visible
        rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
        seen = (rows >= shown.y) & (rows <= shown.y + shown.height)
        seen &= (columns >= shown.x) & (columns <= shown.x + shown.width)
        for method in ("similarity", "grad-cam"):
            (found,) = maps_of_image(small, film, ["There is no finding."], method)
            assert np.array_equal(np.isfinite(found), seen)
    assert list(map_methods(small)) == ["similarity", "grad-cam"]


def test_grad_cam_of_small_models_depends_on_image_and_sentence(small):
    """A layer behind which only the pooled token counts would give zero."""
    side = small.preprocess.size
    pixels = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        text = small.embed_texts(["There is no finding.", "Nodule."])
        # The map is the positive part, so a sentence and its opposite: one of them must raise something.
        pairs = ((text.pooled, -text.pooled), (text.tokens, text.tokens), (text.mask, text.mask))
        both = TextFeatures(*(torch.cat(pair) for pair in pairs))
        found = map_method(small, "grad-cam")(pixels, both)
    assert found.ndim == 4
    assert found.shape[:2] == (4, 4)
    assert found.amax(dim=(2, 3)).max(dim=1).values.min() > 0
    assert (found[0] - found[1]).abs().max() > 0
    assert (found[:, [0, 2]] - found[:, [1, 3]]).abs().max() > 0


def test_stages_of_small_models_are_all_weights_from_the_last_block_on(small):
    names = [name for name, _ in stages(small)]
    assert len(names) == len(set(names))
    assert sum(len(tensors) for _, tensors in stages(small)) == len(list(small.parameters()))
    place = {id(weights): n for n, (_, tensors) in enumerate(stages(small)) for weights in tensors}
    order = [max(place[id(w)] for w in block.parameters()) for block in small.image_tower.blocks]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == len(order)


def test_a_changed_patch_changes_its_cell_most(small):
    """Through patches that do not overlap, with a last block that does not mix."""
    if small.config.local != "values" or not vision_patches(small):
        pytest.skip("a CNN, or windows that are merged: its cells see their neighbours")
    side = small.preprocess.size
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        text = small.embed_texts(["There is no finding."])
        before = map_method(small)(pixels, text)[0, 0]
        rows, columns = before.shape
        hits = []
        for row, column in ((0, 0), (0, columns - 1), (rows - 1, 1), (rows // 2, columns // 2)):
            changed = pixels.clone()
            tall, wide = side // rows, side // columns
            changed[..., row * tall : (row + 1) * tall, column * wide : (column + 1) * wide] = 3.0
            moved = (map_method(small)(changed, text)[0, 0] - before).abs()
            hits.append(int(moved.argmax()) == row * columns + column)
    assert sum(hits) >= 3  # the blocks before the last do mix


def vision_patches(model: AdaptedClip) -> bool:
    """Whether the first layer is a convolution whose patches do not overlap, and whose grid stays."""
    stem = next(m for m in model.image_tower.modules() if isinstance(m, nn.Conv2d))
    grid = model.preprocess.size // stem.stride[0]
    with torch.no_grad():
        shown = model.encode_image(torch.zeros(1, 3, model.preprocess.size, model.preprocess.size))
    return stem.kernel_size == stem.stride and shown.grid == (grid, grid)
