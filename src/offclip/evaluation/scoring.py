"""A model scores the images of an evaluation, and goes on where it was stopped."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from offclip.data.files import Skipped
from offclip.data.loader import ImageRef
from offclip.errors import ConfigError
from offclip.evaluation.progress import OnProgress, named
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.precision import with_options
from offclip.models.carzero.scoring import ScoringOptions
from offclip.models.checkpoint import CARD, load_model, model_folder
from offclip.models.interface import ClipModel
from offclip.zeroshot.ensemble import PromptSet
from offclip.zeroshot.files import score_files
from offclip.zeroshot.linter import lint_prompts
from offclip.zeroshot.score import Scores


def load_for_scoring(model_path: str | Path, scoring: ScoringOptions | None) -> ClipModel:
    """Loads a model, with the options of scoring that CARZero has.

    Raises:
        ConfigError: There are options, and the model is no CARZero.
        CheckpointError: The model cannot be loaded.
    """
    model = load_model(model_path)
    if scoring is None:
        return model
    if not isinstance(model, CarZero):
        raise ConfigError(f"{model_path}: no CARZero, so it has no options of scoring.", "Leave them out.")
    return with_options(model, scoring)


def score_splits(
    model: ClipModel,
    images: Mapping[str, Sequence[ImageRef]],
    texts: Sequence[str],
    keep: Path | None,
    identity: str,
    on_progress: OnProgress | None,
) -> tuple[dict[str, Scores], list[Skipped]]:
    """Scores the images of every split; a folder `keep` makes it resumable, see `score_files`."""
    scores, skipped = {}, []
    for name, refs in images.items():
        tell = named(on_progress, f"scoring {name}")
        scores[name], bad = score_files(model, refs, texts, keep=keep, identity=identity, on_progress=tell)
        skipped += bad
    return scores, skipped


def scoring_identity(model_path: str | Path, scoring: ScoringOptions | None) -> str:
    """What scores depend on beside prompts and files; the card holds the hash of the weights."""
    card = (model_folder(model_path) / CARD).read_bytes()
    return hashlib.sha256(card).hexdigest() + (scoring.precision if scoring else "")


@contextmanager
def kept_parts(out: str | Path | None) -> Iterator[Path | None]:
    """A folder for parts of the scoring, removed when all went well."""
    if out is None:
        yield None
        return
    keep = Path(out) / "unfinished"
    yield keep
    shutil.rmtree(keep, ignore_errors=True)


def prompt_remarks(model: ClipModel, asked: PromptSet) -> list[dict[str, Any]]:
    """Prompts that the linter warns of."""
    found: dict[str, list[str]] = {}
    for warning in lint_prompts(asked.prompts, tokenizer=model.tokenizer):
        found.setdefault(warning.prompt, []).append(f"{warning.code}: {warning.message}")
    return [{"prompt": prompt, "warnings": warnings} for prompt, warnings in found.items()]
