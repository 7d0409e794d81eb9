"""A whole evaluation of a model on a public set, as a protocol says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl

from offclip.evaluation.evaluated import evaluate_cases
from offclip.evaluation.overlays import films_of
from offclip.evaluation.pointing import SCHEMA
from offclip.evaluation.progress import OnProgress
from offclip.evaluation.protocol_cases import images_by_split, prompts_of, protocol_cases, with_prompts
from offclip.evaluation.protocols.truth.read import read_protocol_data
from offclip.evaluation.run import Evaluation, model_maps, write_evaluation
from offclip.evaluation.scoring import (
    kept_parts,
    load_for_scoring,
    measured_model,
    prompt_remarks,
    score_splits,
    scoring_identity,
)
from offclip.evaluation.settings import Settings
from offclip.models.carzero.scoring import ScoringOptions
from offclip.zeroshot.ensemble import PromptSet


def evaluate_protocol(
    model_path: str | Path,
    root: str | Path,
    out: str | Path | None = None,
    *,
    settings: Settings,
    prompts: PromptSet | None = None,
    scoring: ScoringOptions | None = None,
    pages: bool = True,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Evaluates a model on a public set as a protocol says.

    Args:
        model_path: A run or model folder, or any other name of a model, see `offclip.load`.
        root: The folder that the publishers' tree was downloaded to.
        out: Where the results go; None writes nothing.
        settings: Their protocol says what is measured.
        prompts: In place of those of the protocol; the name and hash of the protocol say so.
        scoring: How a CARZero model scores.
        pages: Write the page, the tables and the cards beside the numbers.
        on_progress: Called with (what, done, all).

    Raises:
        ConfigError: The protocol is for no set, or `scoring` is given and the model is no CARZero.
        DataError: A table of the set is missing, or no image of it is on disk.
        CheckpointError: The model cannot be loaded.
    """
    if prompts is not None:
        settings = dataclasses.replace(settings, protocol=with_prompts(settings.protocol, prompts))
    protocol = settings.protocol
    model = load_for_scoring(model_path, scoring)
    data = read_protocol_data(protocol, Path(root))
    asked = prompts_of(protocol)
    images = images_by_split(data)
    with kept_parts(out) as keep:
        identity = scoring_identity(model_path, model, scoring)
        scores, unreadable = score_splits(model, images, asked.texts, keep, identity, on_progress)
        cases = protocol_cases(protocol, data, asked, scores["test"])
        validated = scores.get("validate")
        validation = protocol_cases(protocol, data, asked, validated) if validated else None
        studies = dict(zip((i.image_id for i in data.images), data.study_ids, strict=True))
        films = films_of(images["test"], studies)
        evaluated = evaluate_cases(
            cases, validation, settings, films=films, notes=data.notes, on_progress=on_progress
        )
        result = Evaluation(
            None, pl.DataFrame(schema=SCHEMA), scores["test"], [*data.skipped, *unreadable], evaluated
        )
        evaluated.document["run"] |= {
            **measured_model(model_path, model),
            "data": str(root),
            "split": protocol.split,
            "precision": scoring.precision if scoring else None,
            "protocol_fingerprint": data.fingerprint,
        }
        evaluated.document["prompts"] = prompt_remarks(model, asked)
        if out is not None:
            overlays = model_maps(model, result, images["test"], asked, data.boxes)
            write_evaluation(result, Path(out), overlays, pages=pages)
    return result
