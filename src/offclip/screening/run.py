"""Images or a table of scores in, a folder with scores and triage out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from offclip.data.files import Skipped, atomic_path, write_csv, write_skipped
from offclip.data.image_files import image_files
from offclip.data.stream import ImageRef
from offclip.errors import ConfigError, DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.scored.columns import ClassTable, canonical, read_class_table
from offclip.evaluation.scoring import kept_parts, load_for_scoring, measured_model, scoring_identity
from offclip.models.carzero.scoring import ScoringOptions
from offclip.models.checkpoint import INTENDED_USE
from offclip.screening.operating_point import TriagePoint
from offclip.screening.triage import triage
from offclip.version import __version__
from offclip.zeroshot.ensemble import PromptSet, score_prompt_set
from offclip.zeroshot.files import score_files
from offclip.zeroshot.prompts import FINDING_TEMPLATES, NORMAL_PROMPTS, finding_prompt
from offclip.zeroshot.words import NORMAL_CLASS

NOT_FINITE = "a score is missing or not finite"
_ABOUT, _TRIAGE = "screening.json", "triage.csv"


@dataclass(frozen=True, slots=True)
class Screening:
    """What a screening found.

    Attributes:
        cases: The images with scores; their truth is unknown.
        skipped: The images without, and why.
        triage: See `triage`; None without an operating point.
        document: The content of screening.json.
    """

    cases: Cases
    skipped: list[Skipped]
    triage: pl.DataFrame | None
    document: dict[str, Any]


def screen_images(
    name: str | Path,
    images: Sequence[str | Path],
    out: str | Path,
    *,
    point: TriagePoint | None = None,
    prompts: PromptSet | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Screening:
    """Scores image files with a model; stopped, the same call goes on.

    Args:
        name: Of the model, see `offclip.load`.
        images: Files and folders. The id of an image is its name, with its path below the folder.
        out: Folder for scores.csv, triage.csv, skipped.csv and screening.json.
        point: Where to clear; None for scores alone.
        prompts: What is asked; the findings of the operating point by the paper's sentence by default.
        on_progress: Called with (images done, images in all).

    Raises:
        ConfigError: The operating point is that of another model, of other prompts, or of studies.
        DataError: Two images have one id, no image can be read, or the disk is full.
        CheckpointError: The model cannot be loaded.
    """
    if point is not None and point.unit == "study":
        raise ConfigError(
            f"{point.folder}: an operating point of studies, and files do not say which belong together.",
            "Give --scores with a column study_id, or evaluate with --unit image.",
        )
    refs, skipped = _refs(images)
    scoring = ScoringOptions(precision=point.precision) if point and point.precision else None  # type: ignore[arg-type]
    model = load_for_scoring(name, scoring)
    findings = point.findings if point else prompts.findings if prompts else ()
    asked = (prompts or PromptSet.of(findings, templates=FINDING_TEMPLATES[:1])).for_findings(findings)
    about = measured_model(name, model)
    if point is not None:
        point.check_model(about["weights"], asked)
    with kept_parts(out) as keep:
        identity = scoring_identity(name, model, scoring)
        scores, bad = score_files(
            model, refs, asked.texts, keep=keep, identity=identity, on_progress=on_progress
        )
        logits = dict(zip(asked.classes, score_prompt_set(scores, asked).T, strict=True))
        cases = _unknown(
            scores.image_ids,
            asked.findings,
            _stacked([logits[name] for name in asked.findings], len(scores.image_ids)),
            {prompt: scores.of(prompt) for prompt in asked.normal},
        )
        return _written(cases, [*skipped, *bad], point, Path(out), about)


def screen_table(table: str | Path, out: str | Path, *, point: TriagePoint | None = None) -> Screening:
    """Takes scores that were made anywhere to the operating point.

    Args:
        table: Columns `image_id`, `study_id` where studies are cleared, then one a class.
        out: Folder for scores.csv, triage.csv, skipped.csv and screening.json.
        point: Chosen by `offclip evaluate --scores`; None for scores alone.

    Raises:
        ConfigError: The operating point is that of a model.
        DataError: The columns are others than those of the operating point, or the disk is full.
    """
    if point is not None and point.weights is not None:
        raise ConfigError(
            f"{point.folder}: chosen for {point.weights.get('name')}; a table does not say who made it.",
            "Give the model and the images; or evaluate a table with --scores, and give that folder.",
        )
    read = read_class_table(table)
    normal = [name for name in read.classes if canonical(name) == NORMAL_CLASS or name in NORMAL_PROMPTS]
    columns = {name: name for name in read.classes if name not in normal}
    if point is not None:
        columns = _columns(read, columns, normal, point)
    studies = read.keys.get("study_id")
    if point is not None and point.unit == "study" and (studies is None or None in studies):
        raise DataError(f"{read.path}: an image without study_id.", "Studies are cleared; name them.")
    cases = _unknown(
        read.image_ids,
        tuple(columns),
        _stacked([read.classes[name] for name in columns.values()], len(read.image_ids)),
        {name: read.classes[name] for name in normal},
        tuple(one or "" for one in studies) if studies else None,
    )
    return _written(cases, [], point, Path(out), {"scores": str(table)})


def _refs(images: Sequence[str | Path]) -> tuple[list[ImageRef], list[Skipped]]:
    refs: dict[str, ImageRef] = {}
    skipped: list[Skipped] = []
    for place in images:
        for file in image_files(place):
            if isinstance(file, Skipped):
                skipped.append(Skipped(file.source, file.row, file.id or file.source, file.reason))
            elif file.data is not None:
                skipped.append(Skipped(str(file.path), 0, file.name, "inside an archive; unpack it"))
            elif file.name in refs:
                raise DataError(
                    f"{refs[file.name].path} and {file.path} have one id, {file.name}.",
                    "Give the folder above both, or rename one.",
                )
            else:
                refs[file.name] = ImageRef(file.name, file.path)
    if not refs:
        raise DataError(
            f"No image file in {', '.join(map(str, images)) or 'nothing'}.", "Give files or folders."
        )
    return list(refs.values()), skipped


def _columns(
    table: ClassTable, columns: dict[str, str], normal: Sequence[str], point: TriagePoint
) -> dict[str, str]:
    """From the findings of the operating point to the columns of the table."""
    spelt = {canonical(name): name for name in point.findings}
    spelt |= {finding_prompt(name): name for name in point.findings}
    fits = {spelt.get(canonical(name)) or spelt.get(name) or name: name for name in columns}
    ours, theirs = {*fits, *normal}, {*point.findings, *point.normal}
    if ours != theirs:
        raise DataError(
            f"{table.path}: other columns than the operating point of {point.folder} was chosen with. "
            f"Missing: {', '.join(sorted(theirs - ours)) or 'none'}. "
            f"Unknown: {', '.join(sorted(ours - theirs)) or 'none'}.",
            "Give the same columns to both.",
        )
    return {name: fits[name] for name in point.findings}


def _stacked(columns: Sequence[np.ndarray], rows: int) -> np.ndarray:
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0))


def _unknown(
    ids: Sequence[str],
    findings: Sequence[str],
    scores: np.ndarray,
    normal: dict[str, np.ndarray],
    studies: Sequence[str] | None = None,
) -> Cases:
    """Cases of which nobody knows the truth."""
    return Cases.of(
        ids,
        findings,
        scores,
        np.full(scores.shape, np.nan),
        normal=np.full(len(ids), np.nan),
        study_ids=studies,
        normal_scores=normal,
    )


def _written(
    cases: Cases, skipped: list[Skipped], point: TriagePoint | None, out: Path, about: dict[str, Any]
) -> Screening:
    scored = np.isfinite([*cases.scores.T, *cases.normal_scores.values()]).all(axis=0)
    source = str(about.get("scores") or about.get("model"))
    skipped = skipped + [Skipped(source, 0, cases.ids[row], NOT_FINITE) for row in np.flatnonzero(~scored)]
    units = dict(zip(cases.ids, cases.study_ids, strict=True)) if point and point.unit == "study" else {}
    cases = cases.select(np.flatnonzero(scored))
    unreadable = {units.get(entry.id, entry.id): entry.reason for entry in skipped}
    found = triage(cases, point, unreadable) if point else None
    document = {
        "offclip": __version__,
        "intended_use": INTENDED_USE,
        **about,
        "operating_point": point.document() if point else None,
        "images": len(cases) + len(skipped),
        "unreadable_images": len(skipped),
        "triage": dict(found["triage"].value_counts().iter_rows()) if found is not None else None,
    }
    for name in (_ABOUT, _TRIAGE):  # of an earlier screening
        (out / name).unlink(missing_ok=True)
    columns = dict(cases.normal_scores) | dict(zip(cases.findings, cases.scores.T, strict=True))
    ids = {"image_id": cases.ids} | ({"study_id": cases.study_ids} if units else {})
    write_csv(pl.DataFrame(ids | columns), out / "scores.csv")
    write_skipped(out / "skipped.csv", skipped)
    if found is not None:
        write_csv(found, out / _TRIAGE)
    with atomic_path(out / _ABOUT) as temporary:  # the last, so that it says that all is there
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return Screening(cases, skipped, found, document)
