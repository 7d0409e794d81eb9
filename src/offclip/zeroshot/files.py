"""Many image files against every prompt, a part at a time: bounded memory, and a stop loses one part."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from offclip.data.files import Skipped, atomic_path
from offclip.data.stream import ImageRef, stream_squares
from offclip.errors import DataError
from offclip.images.preprocess import Preprocess
from offclip.models.interface import ClipModel
from offclip.zeroshot.score import Scores, image_scorer

PART = 2048  # images that a stop may lose
BATCH = 256


def score_files(
    model: ClipModel,
    images: Sequence[ImageRef],
    prompts: Sequence[str],
    *,
    keep: Path | None = None,
    identity: str = "",
    part: int = PART,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Scores, list[Skipped]]:
    """Reads and scores image files; one that cannot be read is listed and has no scores.

    Args:
        model: In evaluation mode.
        images: N files.
        prompts: T different sentences.
        keep: Folder that keeps finished parts, so that the same call goes on after a stop; whoever calls
            removes it in the end.
        identity: What else the scores depend on, such as a hash of the weights; parts of another identity,
            other prompts or other files are not used.
        part: Images at a time.
        on_progress: Called with (images done, images in all).

    Returns:
        The scores in the order of `images`, and the files that were left out.

    Raises:
        DataError: No image can be read, or the disk is full.
    """
    parts: list[Scores] = []
    skipped: list[Skipped] = []
    score = image_scorer(model, prompts)
    for start in range(0, len(images), part):
        chosen = images[start : start + part]
        file = keep / f"{_key(identity, prompts, chosen)}.npz" if keep else None
        found = _read(file, prompts) if file and file.is_file() else None
        if found is None:
            count = (
                (lambda done, before=start: on_progress(before + done, len(images))) if on_progress else None
            )
            found = _score(score, model.preprocess, chosen, prompts, count)
            if file:
                _write(file, *found)
        parts.append(found[0])
        skipped += found[1]
        if on_progress:
            on_progress(start + len(chosen), len(images))
    filled = [scores for scores in parts if scores.image_ids]
    if not filled:
        first = f" The first: {skipped[0].reason}" if skipped else ""
        raise DataError(f"None of {len(images)} images can be read.{first}", "Check the paths in the table.")
    return Scores(
        tuple(image_id for scores in filled for image_id in scores.image_ids),
        tuple(prompts),
        np.concatenate([scores.logits for scores in filled]),
        np.concatenate([scores.embeddings for scores in filled]),
    ), skipped


def _score(
    score: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    preprocess: Preprocess,
    images: Sequence[ImageRef],
    prompts: Sequence[str],
    on_progress: Callable[[int], None] | None,
) -> tuple[Scores, list[Skipped]]:
    """One part: decoded in other processes while the model works."""
    ids: list[str] = []
    found = []
    skipped: list[Skipped] = []
    for batch in stream_squares(images, preprocess, min(BATCH, len(images))):
        skipped += batch.skipped
        if batch.image_ids:
            ids += batch.image_ids
            found.append(score(batch.squares))
        if on_progress:
            on_progress(len(ids) + len(skipped))
    if not found:
        nothing = np.zeros((0, len(prompts)), np.float32)
        return Scores((), tuple(prompts), nothing, nothing), skipped
    logits, embeddings = zip(*found, strict=True)
    return Scores(tuple(ids), tuple(prompts), np.concatenate(logits), np.concatenate(embeddings)), skipped


def _key(identity: str, prompts: Sequence[str], images: Sequence[ImageRef]) -> str:
    files = [(image.image_id, str(image.path), _size(image.path)) for image in images]
    text = json.dumps([identity, list(prompts), files])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _write(file: Path, scores: Scores, skipped: Sequence[Skipped]) -> None:
    buffer = io.BytesIO()
    about = json.dumps({"ids": scores.image_ids, "skipped": [asdict(entry) for entry in skipped]})
    np.savez(buffer, about=np.array(about), logits=scores.logits, embeddings=scores.embeddings)
    with atomic_path(file) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _read(file: Path, prompts: Sequence[str]) -> tuple[Scores, list[Skipped]] | None:
    """A part; None where the file is damaged: it is made again."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            scores = Scores(tuple(about["ids"]), tuple(prompts), stored["logits"], stored["embeddings"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    return scores, [Skipped(**entry) for entry in about["skipped"]]
