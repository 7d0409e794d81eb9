"""Measures reading: raw DICOM to tensor on one core, each transfer syntax, prefetching, and memory.

    python benchmarks/read_images.py [--quick]

Films of 3000 x 2500 pixels and 12 bits, drawn as phantoms with noise, are written in every format to a
folder for the time being; that takes 0.3 GB. HTJ2K is measured where imagecodecs is installed, which alone
writes it. Prints Markdown tables. CPU-seconds, the least of them above all, depend little on what else the
machine does; images a second and waiting depend on it much. Exits with 1 if the policy `carzero` does not
give the tensor of the official code bit by bit, or is not twice as fast as that from a raw DICOM file.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import torch

from offclip.cores import available_cores
from offclip.errors import OffclipError

try:
    from read_images_core import DifferentError, Times, measure_core
    from read_images_films import NoEncoderError, dicom_kinds, film, raster_kinds, write_dicom
    from read_images_flow import Memory, Rate, Wait, measure_memory, measure_rates, measure_waits, models
except ImportError as error:
    sys.exit(f"{error}. Install the extra 'dicom': pip install 'offclip[dicom]'.")

REQUIRED = 2.0
PARTS = ("core", "syntaxes", "waiting", "memory")
CORE_PACKAGES = ("numpy", "opencv-python-headless", "pillow", "torch")
PACKAGES = (*CORE_PACKAGES, "pydicom", "python-gdcm", "pyjpegls", "pylibjpeg-openjpeg")
WORKERS = (1, 2)
_RAW = "raw DICOM, 12 bits"


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes:
        shape: Rows and columns of a film.
        repeats: Repetitions on one core.
        seconds: About, for each rate.
        start_seconds: For each process of a pool to start.
        distinct: Different films.
        fed: Images for a model.
        streamed: Films while memory is watched.
    """

    shape: tuple[int, int] = (3000, 2500)
    repeats: int = 25
    seconds: float = 2.0
    start_seconds: float = 3.0
    distinct: int = 4
    fed: int = 64
    streamed: int = 200


QUICK = Size(repeats=7, seconds=0.3, distinct=2, fed=32, streamed=40)


def machine() -> str:
    """What this was measured on."""
    processor = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.is_file():
        names = [
            line.split(":")[1].strip() for line in about.read_text().splitlines() if "model name" in line
        ]
        processor = names[0] if names else processor
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    cores = f"{available_cores()} cores, load {_load()} at the start"
    return f"{processor}; {cores}; {platform.system()}, Python {platform.python_version()}; {versions}."


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def core_table(times: Sequence[Times]) -> str:
    """Markdown: least and median CPU time, and how much faster than the official way."""
    rows = [["file", "way", "CPU ms, least", "CPU ms, median", "times as fast, least", "median"]]
    for found in times:
        base = _official(times, found.kind)
        ratios = [f"{base.least / found.least:.2f}", f"{base.median / found.median:.2f}"]
        rows.append([found.kind, found.way, _ms(found.least), _ms(found.median), *ratios])
    return _markdown(rows)


@dataclasses.dataclass(frozen=True, slots=True)
class Gain:
    """How many times as fast as the official way raw DICOM is read under the policy `carzero`.

    Attributes:
        least: By the least CPU times.
        median: By the medians, which feel more of what else the machine does.
    """

    least: float
    median: float


def gain(times: Sequence[Times]) -> Gain:
    """The gain for raw DICOM."""
    ours = next(found for found in times if (found.kind, found.way) == (_RAW, "offclip, carzero"))
    base = _official(times, _RAW)
    return Gain(base.least / ours.least, base.median / ours.median)


def rate_table(rates: Sequence[Rate], missing: Sequence[tuple[str, str]]) -> str:
    """Markdown: one row a sort of file."""
    rows = [
        ["file", "MB", "CPU ms, least", "CPU ms, median", "images/s here", *(f"{n} proc." for n in WORKERS)]
    ]
    for rate in rates:
        pools = [f"{rate.pools[count]:.1f}" for count in WORKERS]
        cells = [f"{rate.megabytes:.2f}", _ms(rate.least), _ms(rate.median), f"{rate.alone:.1f}"]
        rows.append([rate.kind, *cells, *pools])
    rows += [[kind, f"not measured: {why}", *[""] * (len(rows[0]) - 2)] for kind, why in missing]
    return _markdown(rows)


def wait_table(waits: Sequence[Wait]) -> str:
    """Markdown: one row a model and way."""
    rows = [["model", "reading", "images", "images/s", "model ms an image", "waiting", "after first batch"]]
    for wait in waits:
        shares = [f"{wait.share:.1%}", f"{wait.later_share:.1%}"]
        cells = [str(wait.images), f"{wait.per_second:.2f}", _ms(wait.model_seconds)]
        rows.append([wait.model, wait.way, *cells, *shares])
    return _markdown(rows)


def memory_table(memories: Sequence[tuple[str, Memory]]) -> str:
    """Markdown: MiB."""
    rows = [["reading", "before", "this process, peak", "largest decoder, after a tenth", "at the end"]]
    for way, memory in memories:
        values = (memory.before, memory.parent, memory.early, memory.worker)
        rows.append([way, *("-" if value is None else f"{value:,.0f}" for value in values)])
    return _markdown(rows)


def _official(times: Sequence[Times], kind: str) -> Times:
    return next(found for found in times if (found.kind, found.way) == (kind, "official"))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _say(*parts: str) -> None:
    print("\n\n".join(parts), end="\n\n", flush=True)


def run(folder: Path, size: Size, parts: Iterable[str]) -> Gain | None:
    """Writes the films, measures, prints; the gain for raw DICOM, None if not measured.

    Raises:
        DifferentError: The tensors differ.
        OffclipError: A file is refused, or a process does not start.
    """
    films = [film(size.shape, number) for number in range(size.distinct)]
    raw = [folder / f"raw{number}.dcm" for number in range(size.distinct)]
    for path, stored in zip(raw, films, strict=True):
        write_dicom(stored, path)
    raster: dict[str, list[Path]] = {}
    for kind in raster_kinds():
        raster[kind.name] = [folder / f"{number}.{kind.suffix}" for number in range(size.distinct)]
        for path, stored in zip(raster[kind.name], films, strict=True):
            kind.write(stored, path)
    shape = f"{size.shape[0]} x {size.shape[1]}"
    found = None
    if "core" in parts:
        times = measure_core([(_RAW, raw[0]), *((k, p[0]) for k, p in raster.items())], size.repeats)
        found = gain(times)
        _say(
            f"## File to tensor on one core ({shape}, {size.repeats} repetitions in turns)",
            core_table(times),
            "The tensors of `official` and `offclip, carzero` are equal bit by bit.",
        )
    if "syntaxes" in parts:
        files: list[tuple[str, list[Path]]] = []
        missing: list[tuple[str, str]] = []
        for kind in dicom_kinds():
            paths = [folder / f"{number}.{kind.suffix}" for number in range(min(2, size.distinct))]
            try:
                for path, stored in zip(paths, films, strict=False):
                    kind.write(stored, path)
            except NoEncoderError as error:
                missing.append((kind.name, str(error)))
            else:
                files.append((kind.name, paths))
        files += raster.items()
        rates = list(measure_rates(files, WORKERS, size.seconds, size.start_seconds))
        _say(f"## Files to squares ({shape}, policy standard)", rate_table(rates, missing))
    if "waiting" in parts:
        kinds = [raw, raster["PNG, 8 bits"]]
        mixed = [kinds[i % 2][i // 2 % size.distinct] for i in range(size.fed)]
        waits = [
            wait
            for name, model in models().items()
            for wait in measure_waits(name, model, mixed, min(8, size.fed), WORKERS)
        ]
        _say(f"## How long a model waits (one thread; half raw DICOM, half PNG, {shape})", wait_table(waits))
    if "memory" in parts:
        ways = {0: "official, serial"} | {n: f"offclip, {n} process{'es' if n > 1 else ''}" for n in WORKERS}
        memories = [(way, _memory_apart(raw, size.streamed, count)) for count, way in ways.items()]
        _say(f"## Peak memory in MiB ({size.streamed} raw DICOM films, {shape})", memory_table(memories))
    return found


def _memory_apart(paths: Sequence[Path], images: int, workers: int) -> Memory:
    """`measure_memory` in a process of its own, so that its memory is its own."""
    command = [sys.executable, __file__, "--measure-memory", str(images), str(workers), *map(str, paths)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Memory(**json.loads(done.stdout))


def main() -> int:
    """Runs the benchmark; exit status 1 where the tensors differ or reading is too slow."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and films")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--shape", type=int, nargs=2, default=Size().shape, help="rows and columns of a film")
    parser.add_argument("--folder", type=Path, help="where the films go for the time being")
    parser.add_argument("--measure-memory", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if options.measure_memory:
        images, workers, *paths = options.measure_memory
        memory = measure_memory([Path(path) for path in paths], int(images), int(workers))
        print(json.dumps(dataclasses.asdict(memory)))
        return 0
    size = dataclasses.replace(QUICK if options.quick else Size(), shape=tuple(options.shape))
    _say(machine())
    begin = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            found = run(Path(folder), size, options.parts)
    except (DifferentError, OffclipError) as error:
        print(error, file=sys.stderr)
        return 1
    _say(f"Load {_load()} at the end; {(time.perf_counter() - begin) / 60:.1f} minutes.")
    if found is None:
        return 0
    passed = found.median >= REQUIRED
    print(
        f"Raw DICOM is read {found.least:.2f} times as fast as the official way by the least CPU times, "
        f"{found.median:.2f} times by the medians; {REQUIRED:g} times is demanded."
    )
    result = {"benchmark": "read_images", "raw_dicom_gain": round(found.median, 2), "passed": passed}
    print(json.dumps(result))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
