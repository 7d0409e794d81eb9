"""Scores that were made anywhere, with labels: the same measures, intervals and pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from offclip.evaluation.evaluated import Evaluated, evaluate_cases
from offclip.evaluation.outputs import write_evaluated
from offclip.evaluation.scored import read_scored
from offclip.evaluation.settings import Settings


def evaluate_scores(
    scores: str | Path,
    labels: str | Path,
    out: str | Path | None = None,
    settings: Settings | None = None,
    *,
    split: str | None = None,
    allow_missing: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Evaluated:
    """Measures a table of scores against a table of labels.

    Args:
        scores: Columns `image_id`, optionally `study_id` and `patient_id`, then one a class.
        labels: The same, with 1, 0 or blank; optionally `split`, `view`, `age`, `sex`, `source`.
        out: Where the results go; None writes nothing.
        settings: How scores are measured.
        split: What is reported where the labels have a column split; rows of `validate` set thresholds.
        allow_missing: Leave out images and classes that only one file has.
        on_progress: Called with (what, done, all).

    Raises:
        DataError: A file is unusable, the two do not fit each other, or nothing can be measured.
        ConfigError: The protocol needs classes that are not there.
    """
    settings = settings or Settings()
    scored = read_scored(scores, labels, split=split, allow_missing=allow_missing)
    evaluated = evaluate_cases(
        scored.cases,
        scored.validation,
        settings,
        studies_known=scored.studies_known,
        notes=(*scored.left_out, *scored.notes),
        on_progress=on_progress,
    )
    evaluated.document["run"] |= {"scores": str(scores), "labels": str(labels), "split": split}
    if out is not None:
        write_evaluated(evaluated, Path(out))
    return evaluated
