"""Many files: images a second by number of processes, how long a model waits, and how much memory."""

from __future__ import annotations

import itertools
import os
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from offclip.data.stream import ImageRef, SquareStream
from offclip.errors import ImageError
from offclip.images import ReadOptions
from offclip.images.pool import DecoderPool
from offclip.models.image_tower import CompactImageTower
from read_images_core import PREPROCESS, official, ours

CARZERO = ReadOptions(policy="carzero")


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast one sort of file is read.

    Attributes:
        kind: Of the file.
        megabytes: Mean size of a file.
        least: CPU-seconds of an image, file to tensor, in this process; the least.
        median: The same; the median.
        alone: Images a second in this process.
        pools: Images a second by number of processes.
    """

    kind: str
    megabytes: float
    least: float
    median: float
    alone: float
    pools: dict[int, float]


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a model waited for its images.

    Attributes:
        model: Its name.
        way: How the files were read.
        images: In all.
        per_second: Images a second.
        model_seconds: Time of the model for an image.
        share: Of the elapsed time in which the model waited.
        later_share: The same without the first batch, before which processes start.
    """

    model: str
    way: str
    images: int
    per_second: float
    model_seconds: float
    share: float
    later_share: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak memory in MiB.

    Attributes:
        before: Of this process, before the first file.
        parent: Of this process at the end.
        early: Of the largest decoding process after a tenth of the files; None without one.
        worker: The same at the end.
    """

    before: float
    parent: float
    early: float | None = None
    worker: float | None = None


def measure_rates(
    files: Sequence[tuple[str, Sequence[Path]]], workers: Sequence[int], seconds: float, start_seconds: float
) -> Iterator[Rate]:
    """Reads each sort of file in this process and in pools of processes.

    Args:
        files: Kinds, and the paths of each; read again and again.
        workers: Sizes of the pools.
        seconds: About how long each measurement takes.
        start_seconds: How long each process of a pool has to start.

    Raises:
        ImageError: A file is refused.
    """
    options = ReadOptions()
    pools = {count: DecoderPool(count, options, PREPROCESS) for count in workers}
    try:
        for count, pool in pools.items():
            _start_all(pool, files[0][1], count * start_seconds)
        for kind, paths in files:
            ours(paths[0], options)
            begin, cpu = time.perf_counter(), []
            while len(cpu) < 3 or time.perf_counter() - begin < seconds:
                before = time.process_time()
                ours(paths[len(cpu) % len(paths)], options)
                cpu.append(time.process_time() - before)
            alone = len(cpu) / (time.perf_counter() - begin)
            rates = {count: _rate(pool, count, paths, len(cpu)) for count, pool in pools.items()}
            size = sum(path.stat().st_size for path in paths) / len(paths)
            yield Rate(kind, size / 1e6, min(cpu), statistics.median(cpu), alone, rates)
    finally:
        for pool in pools.values():
            pool.close()


def _start_all(pool: DecoderPool, paths: Sequence[Path], seconds: float) -> None:
    """Reads until the pool has had reason and time to start all its processes."""
    begin = time.perf_counter()
    for _ in _decoded(pool, itertools.cycle(paths)):
        if time.perf_counter() - begin > seconds:
            return


def _rate(pool: DecoderPool, count: int, paths: Sequence[Path], images: int) -> float:
    some = itertools.islice(itertools.cycle(paths), 2 * count)
    for _ in _decoded(pool, some):  # the first file of a kind loads its decoder
        pass
    images *= count
    begin = time.perf_counter()
    for _ in _decoded(pool, itertools.islice(itertools.cycle(paths), images)):
        pass
    return images / (time.perf_counter() - begin)


def _decoded(pool: DecoderPool, paths: Iterator[Path]) -> Iterator[None]:
    for result in pool.map(paths):
        if isinstance(result, ImageError):
            raise result
        yield


class VisionTransformer(nn.Module):
    """The shape of ViT-B/16 with random weights: 12 layers, 12 heads, 768 wide, 197 tokens."""

    def __init__(self, layers: int = 12, width: int = 768, patch: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, patch, patch)
        layer = nn.TransformerEncoderLayer(
            width, width // 64, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.start = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 1, S, S) -> (B, width)."""
        tokens = self.patches(pixels).flatten(2).transpose(1, 2)  # B D h w -> B P D
        return self.layers(torch.cat([self.start.expand(len(tokens), -1, -1), tokens], dim=1))[:, 0]


def models() -> dict[str, nn.Module]:
    """The models that are fed."""
    return {"compact": CompactImageTower().eval(), "ViT-B/16": VisionTransformer().eval()}


def measure_waits(
    name: str, model: nn.Module, paths: Sequence[Path], batch_size: int, workers: Sequence[int]
) -> Iterator[Wait]:
    """Feeds a model: serially in its own process, officially and by offclip, and from a stream."""
    with torch.inference_mode():
        model(torch.zeros(batch_size, 1, PREPROCESS.size, PREPROCESS.size))
        ways: dict[str, Callable[[Path], Tensor]] = {
            "official, serial": lambda path: official(path)[:1],  # the models take one channel
            "offclip, serial": lambda path: ours(path, CARZERO),
        }
        for way, read_one in ways.items():
            yield _serial(name, way, model, read_one, paths, batch_size)
        for count in workers:
            yield _streamed(name, model, paths, batch_size, count)


def _serial(
    name: str,
    way: str,
    model: nn.Module,
    read_one: Callable[[Path], Tensor],
    paths: Sequence[Path],
    batch_size: int,
) -> Wait:
    waits, begin = [], time.perf_counter()
    for start in range(0, len(paths), batch_size):
        asked = time.perf_counter()
        batch = torch.stack([read_one(path) for path in paths[start : start + batch_size]])
        waits.append(time.perf_counter() - asked)
        model(batch)
    elapsed = time.perf_counter() - begin
    return _wait(name, way, len(paths), elapsed, sum(waits), waits[0])


def _streamed(name: str, model: nn.Module, paths: Sequence[Path], batch_size: int, workers: int) -> Wait:
    images = [ImageRef(str(number), path) for number, path in enumerate(paths)]
    stream = SquareStream(images, PREPROCESS, batch_size, CARZERO, workers)
    first = 0.0
    for batch in stream:
        if batch.skipped:
            raise ImageError(batch.skipped[0].reason)
        first = first or stream.waited_seconds
        model(PREPROCESS.normalise(torch.from_numpy(batch.squares)))
    way = f"offclip, {workers} process{'es' if workers > 1 else ''}"
    return _wait(name, way, len(paths), stream.elapsed_seconds, stream.waited_seconds, first)


def _wait(name: str, way: str, images: int, elapsed: float, waited: float, first: float) -> Wait:
    model_seconds = (elapsed - waited) / images
    later = (waited - first) / (elapsed - first) if elapsed > first else 0.0
    return Wait(name, way, images, images / elapsed, model_seconds, waited / elapsed, later)


def measure_memory(paths: Sequence[Path], images: int, workers: int) -> Memory:
    """Peak memory of this process and of its decoding processes while many films are read.

    Args:
        paths: Films, read again and again.
        images: How many in all.
        workers: Decoding processes; 0 reads the official way in this process.
    """
    before = own_peak()
    some = list(itertools.islice(itertools.cycle(paths), images))
    if workers == 0:
        for path in some:
            official(path)
        return Memory(before, own_peak())
    refs = [ImageRef(str(number), path) for number, path in enumerate(some)]
    early = peak = 0.0
    done = 0
    for batch in SquareStream(refs, PREPROCESS, min(16, images), CARZERO, workers):
        done += len(batch.image_ids)
        peak = max([peak, *children_peaks()])
        early = early or (peak if done >= images / 10 else 0.0)
    return Memory(before, own_peak(), early, peak)


def own_peak() -> float:
    """Peak memory of this process in MiB."""
    return _peak_of("self") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux


def children_peaks() -> list[float]:
    """Peak memory of each child that runs, in MiB; none where there is no /proc."""
    listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [_peak_of(child) for children in listed for child in children.read_text().split()]


def _peak_of(process: str) -> float:
    """In MiB, 0 where there is no /proc. `getrusage` would count what the parent had at the start, too."""
    status = Path(f"/proc/{process}/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.is_file() else None
    return int(found[1]) / 1024 if found else 0.0
