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
from offclip.models.checkpoint import CARD, model_folder
from offclip.models.identity import about_model, state_hash
from offclip.models.interface import ClipModel
from offclip.models.names import load_by_name, read_name
from offclip.zeroshot.ensemble import PromptSet
from offclip.zeroshot.files import score_files
from offclip.zeroshot.linter import lint_prompts
from offclip.zeroshot.score import Scores


def load_for_scoring(name: str | Path, scoring: ScoringOptions | None = None) -> ClipModel:
    """Loads a model by its name, with the options of scoring that CARZero has.

    Raises:
        ConfigError: There are options, and the model is no CARZero; or the name means nothing.
        CheckpointError: The model cannot be loaded.
    """
    model = load_by_name(name)
    if scoring is None:
        return model
    if not isinstance(model, CarZero):
        raise ConfigError(f"{name}: no CARZero, so it has no options of scoring.", "Leave them out.")
    return with_options(model, scoring)


def measured_model(name: str | Path, model: ClipModel) -> dict[str, Any]:
    """What results say of a model: `model`, the folder or the name, and `weights`, see `about_model`."""
    folder = read_name(name).folder
    return {"model": str(folder or name), "weights": about_model(model, str(name), folder)}


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


def scoring_identity(name: str | Path, model: ClipModel, scoring: ScoringOptions | None) -> str:
    """What scores depend on beside prompts and files.

    The card of a folder holds the hashes of weights and tokenizer; another library's model is hashed here.
    """
    folder = read_name(name).folder
    if folder is not None:
        known = (model_folder(folder) / CARD).read_bytes()
    else:
        known = f"{name} {state_hash(model)} {model.preprocess} {model.tokenizer.to_json()}".encode()
    return hashlib.sha256(known).hexdigest() + (scoring.precision if scoring else "")


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
