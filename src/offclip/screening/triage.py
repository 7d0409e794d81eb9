"""Cleared, not cleared, or unreadable: one row an image or a study."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from offclip.errors import ConfigError
from offclip.evaluation.cases import Cases
from offclip.evaluation.fusion import fuse_studies
from offclip.evaluation.normal.scores import normal_scores
from offclip.screening.operating_point import TriagePoint

CLEARED, NOT_CLEARED, UNREADABLE = "cleared", "not cleared", "unreadable"


def triage(cases: Cases, point: TriagePoint, unreadable: Mapping[str, str]) -> pl.DataFrame:
    """What the operating point says of every image or study.

    Args:
        cases: Scored images; their truth is not looked at.
        point: Of their model and prompts.
        unreadable: From the id of an image without scores, or that of its study, to the reason. A study with
            such an image is unreadable, whatever its other images say.

    Returns:
        Columns `image_id` or `study_id`, `triage`, `normal_score`, `findings` (those at or above their own
        thresholds) and `reason`; what is unreadable stands at the end.

    Raises:
        ConfigError: The point is one of studies whose fusion was learned, or its normal score is not there.
        DataError: The studies of the images are not known.
    """
    key = f"{point.unit}_id"
    if point.unit == "study" and len(cases):
        if point.fuse not in ("mean", "max"):
            raise ConfigError(
                f"{point.folder}: studies fused by {point.fuse!r}.", "Evaluate with mean or max."
            )
        cases = fuse_studies(cases, point.fuse, studies_known=True).cases
    readable = cases.select([row for row, one in enumerate(cases.ids) if one not in unreadable])
    scores = normal_scores(readable).get(point.score) if len(readable) else np.zeros(0)
    if scores is None:
        raise ConfigError(f"No normal score {point.score!r}.", "Score what the evaluation scored.")
    limits = np.array([point.thresholds.get(name, np.inf) for name in readable.findings])
    above = readable.scores >= limits
    found = ["; ".join(np.array(readable.findings, object)[row]) for row in above]
    left = list(unreadable)
    return pl.DataFrame(
        {
            key: [*readable.ids, *left],
            "triage": [CLEARED if score > point.threshold else NOT_CLEARED for score in scores]
            + [UNREADABLE] * len(left),
            "normal_score": [*scores.tolist(), *[None] * len(left)],
            "findings": [*found, *[None] * len(left)],
            "reason": [*[None] * len(readable), *(unreadable[one] for one in left)],
        },
        schema={key: pl.String, "triage": pl.String, "normal_score": pl.Float64}
        | {"findings": pl.String, "reason": pl.String},
    )
