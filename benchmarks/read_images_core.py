"""From a file to the tensor of a model on one core: the official way, and offclip's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom
import torch
from PIL import Image
from torch import Tensor

from offclip.images import ReadOptions, read
from offclip.images.preprocess import Preprocess

PREPROCESS = Preprocess.carzero()
_RESIZED = 256


@dataclass(frozen=True, slots=True)
class Times:
    """CPU-seconds of one way to read one file.

    Attributes:
        kind: Of the file.
        way: `"official"`, or `"offclip, "` and the policy.
        seconds: One entry a repetition.
    """

    kind: str
    way: str
    seconds: tuple[float, ...]

    @property
    def least(self) -> float:
        """The repetition that was disturbed least."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The repetition in the middle."""
        return statistics.median(self.seconds)


class DifferentError(Exception):
    """The two ways give different tensors."""


def official(path: Path) -> Tensor:
    """As the official code of CARZero and OFF-CLIP does it; (3, 224, 224) float32.

    DICOM: the stored values in float64, negative ones 0, divided by their maximum, cut to 8 bits. Other
    files: OpenCV's grey. Then the longer side becomes 256 by area means, black around it, the middle kept.
    """
    if path.suffix == ".dcm":
        values = np.maximum(pydicom.dcmread(path).pixel_array.astype(np.float64), 0)
        grey = (values / values.max() * 255.0).astype(np.uint8)
    else:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise FileNotFoundError(path)
    height, width = grey.shape[:2]
    share = _RESIZED / float(max(height, width))
    size = (int(width * share), _RESIZED) if height >= width else (_RESIZED, int(height * share))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    above, left = (_RESIZED - small.shape[0]) // 2, (_RESIZED - small.shape[1]) // 2
    rest = (_RESIZED - small.shape[0] - above, _RESIZED - small.shape[1] - left)
    square = np.pad(small, ((above, rest[0]), (left, rest[1])))
    cut = (_RESIZED - PREPROCESS.size) // 2
    box = (cut, cut, cut + PREPROCESS.size, cut + PREPROCESS.size)
    colour = np.array(Image.fromarray(square).convert("RGB").crop(box))
    pixels = torch.from_numpy(colour).permute(2, 0, 1).contiguous().float().div(255)
    return pixels.sub_(PREPROCESS.channel_means[0]).div_(PREPROCESS.channel_stds[0])


def ours(path: Path, options: ReadOptions) -> Tensor:
    """As offclip does it, in one process; (1, 224, 224) float32, the one channel of three that are equal."""
    film = read(path, options)
    square, _ = PREPROCESS.fit(film.pixels, film.grid.aspect)
    return PREPROCESS.normalise(torch.from_numpy(square)[None])[0]


def require_equal(path: Path, expected: Tensor, found: Tensor) -> None:
    """Refuses tensors that are not equal bit by bit.

    Raises:
        DifferentError: They differ.
    """
    if expected.dtype != found.dtype or not torch.equal(expected, found.expand_as(expected)):
        raise DifferentError(f"{path.name}: the policy 'carzero' gives another tensor than the official way.")


def measure_core(files: Sequence[tuple[str, Path]], repeats: int) -> list[Times]:
    """CPU-seconds of each way for each file, the ways taking turns.

    Args:
        files: Kind and path of each file.
        repeats: Repetitions, after one that does not count.

    Raises:
        DifferentError: The policy `"carzero"` does not give the official tensor.
    """
    found = []
    for kind, path in files:
        require_equal(path, official(path), ours(path, ReadOptions(policy="carzero")))
        ways: dict[str, Callable[[], Tensor]] = {
            "official": lambda path=path: official(path),
            "offclip, carzero": lambda path=path: ours(path, ReadOptions(policy="carzero")),
            "offclip, standard": lambda path=path: ours(path, ReadOptions(policy="standard")),
        }
        seconds = in_turns(list(ways.values()), repeats)
        found += [Times(kind, way, times) for way, times in zip(ways, seconds, strict=True)]
    return found


def in_turns(ways: Sequence[Callable[[], object]], repeats: int) -> list[tuple[float, ...]]:
    """CPU-seconds of this process for each way, `repeats` of them, one way after the other in each round."""
    for way in ways:
        way()
    rounds = []
    for _ in range(repeats):
        row = []
        for way in ways:
            begin = time.process_time()
            way()
            row.append(time.process_time() - begin)
        rounds.append(row)
    return list(zip(*rounds, strict=True))
