"""Export of a phantom as a folder of images, reports, labels and boxes, as a hospital would hand it over."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from offclip.data.phantom.case import PhantomCase, check_arguments, phantom_case
from offclip.data.phantom.findings import FINDINGS
from offclip.data.phantom.streams import DEFAULT_FRACTIONS
from offclip.errors import ConfigError, DataError

_CHUNK = 64
_MOST = 1_000_000  # study ids have six digits
_FORMAT = 1
PARAMETERS = "phantom.json"

_README = """Synthetic chest radiographs: synthetic data, no patient was imaged.

{n} studies, {size} x {size} pixels, report style '{style}', seed {seed}, drawn by offclip's phantom.
Made again with:
  python -c "from pathlib import Path; from offclip.data.phantom import write_phantom; {call}"

images/<image_id>.png  8-bit grey
reports.csv   study_id, patient_id, image_id, image_path, view, split, report
labels.csv    image_id, normal (1 if there is no finding), then 1 or 0 for each finding
boxes.csv     image_id, finding, side, zone, severity (0 to 1), x, y, width, height in pixels of the image
phantom.json  the parameters of this folder
"""


@dataclass(frozen=True, slots=True)
class PhantomSummary:
    """What was written.

    Attributes:
        folder: Where.
        studies, patients, normal: How many studies, patients, and studies without a finding.
        skipped: Images that were there already.
        splits: Number of studies in each split.
        findings: Number of studies with each finding.
    """

    folder: Path
    studies: int
    patients: int
    normal: int
    skipped: int
    splits: dict[str, int]
    findings: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Parameters:
    """What determines the bytes of a folder."""

    n: int
    seed: int
    size: int
    style: str
    fractions: tuple[float, float, float]
    format: int = _FORMAT


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Table rows of consecutive studies."""

    reports: list[dict[str, Any]]
    labels: list[dict[str, Any]]
    boxes: list[dict[str, Any]]
    skipped: int


def write_phantom(
    out: Path,
    n: int,
    seed: int = 0,
    size: int = 256,
    style: str = "icu",
    workers: int = 1,
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    on_progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Write a phantom of ``n`` studies to a folder.

    The bytes do not depend on the number of workers. A run that was stopped can be repeated with the same
    parameters: sound images are kept. Nothing that is not the phantom's own is touched.

    Args:
        out: The folder; new, empty, or that of an earlier run with the same parameters.
        n: Number of studies, 1 to 1,000,000.
        seed: Seed of the phantom, not negative.
        size: Side of the images in pixels, 32 to 2048.
        style: Style of the reports, ``icu`` or ``neutral``.
        workers: Number of processes.
        fractions: Shares of the patients in train, validate and test.
        on_progress: Called with the number of studies done so far.

    Raises:
        ConfigError: An argument is out of range.
        DataError: The folder holds something else, or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     summary = write_phantom(Path(folder) / "phantom", n=3, size=32)
        >>> summary.studies, sum(summary.splits.values())
        (3, 3)
    """
    check_arguments(seed, size, style, fractions)
    if not 1 <= n <= _MOST:
        raise ConfigError(f"A phantom of {n} studies cannot be written.", f"Choose 1 to {_MOST:,} studies.")
    if workers < 1:
        raise ConfigError(f"{workers} worker processes cannot work.", "Give 1 or more workers.")
    out = Path(out)
    parameters = _Parameters(n, seed, size, style, tuple(float(f) for f in fractions))  # type: ignore[arg-type]
    _claim(out, parameters)
    chunks: list[_Chunk] = []
    for chunk in _chunks(out, parameters, workers):
        chunks.append(chunk)
        if on_progress is not None:
            on_progress(sum(len(done.reports) for done in chunks))
    return _write_tables(out, parameters, chunks)


def _claim(out: Path, parameters: _Parameters) -> None:
    """Refuse a folder that is not ours to write to; then mark it as ours."""
    text = json.dumps(asdict(parameters), indent=2) + "\n"
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file.", "Give the path of a new folder.")
    marker = out / PARAMETERS
    if marker.exists():
        if _read(marker) != json.loads(text):
            raise DataError(
                f"{out} holds a phantom with other parameters.",
                "Give a new folder, or remove that phantom yourself.",
            )
    elif out.exists() and any(out.iterdir()):
        raise DataError(f"{out} is not empty and holds no phantom.", "Give a new or an empty folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(marker, text.encode())  # first of all, so that a stopped run is recognised
        (out / "images").mkdir(exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{out} cannot be created: {error.strerror}.", "Choose a folder that you may write to."
        ) from error


def _read(marker: Path) -> object:
    try:
        return json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{marker} cannot be read: {error}", "Give a new folder.") from error


def _chunks(out: Path, parameters: _Parameters, workers: int) -> Iterator[_Chunk]:
    """Chunks of rows in the order of the studies, images written on the way."""
    work = partial(_write_images, out, parameters)
    starts = range(0, parameters.n, _CHUNK)
    if workers == 1 or len(starts) == 1:
        yield from map(work, starts)
        return
    with ProcessPoolExecutor(min(workers, len(starts)), get_context("spawn"), _one_thread) as pool:
        yield from pool.map(work, starts)


def _one_thread() -> None:
    """A worker process uses one core."""
    cv2.setNumThreads(1)


def _write_images(out: Path, parameters: _Parameters, start: int) -> _Chunk:
    chunk = _Chunk([], [], [], 0)
    skipped = 0
    for index in range(start, min(start + _CHUNK, parameters.n)):
        case = phantom_case(parameters.seed, index, parameters.size, parameters.style, parameters.fractions)
        path = out / "images" / f"{case.image_id}.png"
        if _is_sound(path, case.image):
            skipped += 1
        else:
            _write(path, cv2.imencode(".png", case.image)[1].tobytes())
        _add_rows(chunk, case)
    return _Chunk(chunk.reports, chunk.labels, chunk.boxes, skipped)


def _is_sound(path: Path, image: np.ndarray) -> bool:
    """Whether a file already holds exactly this image."""
    if not path.is_file():
        return False
    data = np.frombuffer(path.read_bytes(), np.uint8)
    found = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    return found is not None and np.array_equal(found, image)


def _add_rows(chunk: _Chunk, case: PhantomCase) -> None:
    chunk.reports.append(
        {
            "study_id": case.study_id,
            "patient_id": case.patient_id,
            "image_id": case.image_id,
            "image_path": f"images/{case.image_id}.png",
            "view": case.view,
            "split": case.split,
            "report": case.report,
        }
    )
    names = {finding.name for finding in case.findings}
    marks = {name: int(name in names) for name in FINDINGS}
    chunk.labels.append({"image_id": case.image_id, "normal": int(case.normal), **marks})
    for box in case.boxes:
        chunk.boxes.append(
            {
                "image_id": case.image_id,
                "finding": box.finding.name,
                "side": box.finding.side,
                "zone": box.finding.zone,
                "severity": round(box.finding.severity, 4),
                "x": round(box.x, 3),
                "y": round(box.y, 3),
                "width": round(box.width, 3),
                "height": round(box.height, 3),
            }
        )


_BOX_SCHEMA = {
    "image_id": pl.String,
    "finding": pl.String,
    "side": pl.String,
    "zone": pl.String,
    **dict.fromkeys(("severity", "x", "y", "width", "height"), pl.Float64),
}


def _write_tables(out: Path, parameters: _Parameters, chunks: list[_Chunk]) -> PhantomSummary:
    reports = pl.DataFrame([row for chunk in chunks for row in chunk.reports])
    labels = pl.DataFrame([row for chunk in chunks for row in chunk.labels])
    boxes = pl.DataFrame([row for chunk in chunks for row in chunk.boxes], schema=_BOX_SCHEMA)
    for name, table in (("reports.csv", reports), ("labels.csv", labels), ("boxes.csv", boxes)):
        _write(out / name, table.write_csv().encode())
    given = asdict(parameters)
    arguments = ", ".join(f"{key}={value!r}" for key, value in given.items() if key != "format")
    readme = _README.format(call=f"write_phantom(Path('phantom'), {arguments})", **given)
    _write(out / "README.txt", readme.encode())
    splits = reports["split"].to_list()
    return PhantomSummary(
        folder=out,
        studies=len(reports),
        patients=reports["patient_id"].n_unique(),
        normal=int(labels["normal"].sum()),
        skipped=sum(chunk.skipped for chunk in chunks),
        splits={name: splits.count(name) for name in ("train", "validate", "test")},
        findings={name: int(labels[name].sum()) for name in FINDINGS},
    )


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        remedy = "Check the folder and its permissions, then run the same command again."
        if error.errno == errno.ENOSPC:
            remedy = "Free some space or choose another disk, then run the same command again."
        raise DataError(f"{path} could not be written: {error.strerror}.", remedy) from error
