"""Plain sentences written from the numbers, so that they are true whatever the numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from offclip.evaluation.ablation import BASELINE, FULL_METHOD
from offclip.evaluation.report.runs import Key, key_of
from offclip.evaluation.report.table import MEASURES, name_of, show
from offclip.evaluation.run import COLUMNS

SMALL = 0.01
TOLD = ("worst_prompt_normal_auc", "abnormal_auc")
FILTERED: Key = (BASELINE.objective, True)


@dataclass(frozen=True, slots=True)
class Change:
    """One measure of one variant beside that of another.

    Attributes:
        measure: Column of the results table.
        before, after: Means over the seeds.
        spread: The larger of the two standard deviations over seeds; 0 with one seed.
    """

    measure: str
    before: float
    after: float
    spread: float

    @property
    def small(self) -> bool:
        """Under 0.01 or under the spread over seeds: not to be read as a difference."""
        return abs(self.after - self.before) < max(SMALL, self.spread)

    @property
    def verdict(self) -> Literal["better", "worse", "same"]:
        """What the change means, direction of the measure included."""
        if self.small:
            return "same"
        return (
            "better" if (self.after > self.before) == (MEASURES[self.measure].better == "higher") else "worse"
        )

    @property
    def words(self) -> str:
        """The change in words.

        Example:
            >>> Change("abnormal_auc", 0.862, 0.932, 0.02).words
            'raised the finding AUC from 0.862 to 0.932'
        """
        phrase, numbers = MEASURES[self.measure].phrase, f"{show(self.before)} to {show(self.after)}"
        if self.small:
            return f"changed {phrase} little ({numbers})"
        return f"{'raised' if self.after > self.before else 'lowered'} {phrase} from {numbers}"


def change(table: pl.DataFrame, before: Key, after: Key, measure: str) -> Change | None:
    """The change of one measure between two variants; None where either has no value."""
    values = [
        table.filter((pl.col("objective") == key[0]) & (pl.col("filter") == key[1]))[measure]
        .drop_nulls()
        .to_numpy()
        for key in (before, after)
    ]
    if not all(len(value) for value in values):
        return None
    spread = max(float(value.std(ddof=1)) if len(value) > 1 else 0.0 for value in values)
    return Change(measure, float(values[0].mean()), float(values[1].mean()), spread)


def ingredient_sentences(table: pl.DataFrame) -> list[str]:
    """What filtering did, what the OFF-CLIP loss did on top of it, and what got worse on the way.

    A variant that is not in the table is not written about.

    Args:
        table: Columns `objective`, `filter`, `seed` and those of the results table.
    """
    full = key_of(FULL_METHOD)
    sentences = [
        _told(
            table,
            "Filtering the training sentences, with the loss left as it is,",
            key_of(BASELINE),
            FILTERED,
        ),
        _told(table, "The OFF-CLIP loss, on top of filtering,", FILTERED, full),
        _worse(table, key_of(BASELINE), full),
    ]
    return [sentence for sentence in sentences if sentence]


def headline_sentence(table: pl.DataFrame) -> str:
    """What the two big numbers say."""
    found = change(table, key_of(BASELINE), key_of(FULL_METHOD), "worst_prompt_normal_auc")
    if found is None:
        return ""
    full, baseline = FULL_METHOD.name, BASELINE.name
    if found.small:
        return (
            f"Here {full} and {baseline} hardly differ: the gap is under 0.01 or under the spread over seeds."
        )
    if found.verdict == "worse":
        return f"Here {full} does worse than {baseline}."
    margin = max(SMALL, found.spread)
    if found.after < 0.5 + margin:
        return f"{full} does better than {baseline}, but hardly better than a coin, if at all."
    if found.before < 0.5 - margin:
        return (
            f"With an unlucky wording {baseline} takes abnormal images for the more normal ones, "
            f"more often than not; {full} does not."
        )
    return f"{full} does better than {baseline}."


def _told(table: pl.DataFrame, subject: str, before: Key, after: Key) -> str:
    found = [c for measure in TOLD if (c := change(table, before, after, measure))]
    return f"{subject} {_joined([c.words for c in found])}." if found else ""


def _worse(table: pl.DataFrame, before: Key, after: Key) -> str:
    """What the full method costs against the baseline; empty when nothing does."""
    found = [c for m in COLUMNS if MEASURES[m].better and (c := change(table, before, after, m))]
    worse = [
        f"{MEASURES[c.measure].phrase} ({show(c.before)} to {show(c.after)})"
        for c in found
        if c.verdict == "worse"
    ]
    if not worse:
        return ""
    return f"What got worse from {name_of(before)} to {name_of(after)}: {_joined(worse)}."


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
