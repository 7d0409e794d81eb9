"""The results table of the page: headings, explanations, mean ± sd, and which value is the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from offclip.evaluation.ablation import ABLATION, summarise
from offclip.evaluation.report.runs import Key, key_of
from offclip.evaluation.run import COLUMNS

NAMES: dict[Key, str] = {key_of(variant): variant.name for variant in ABLATION}
Better = Literal["higher", "lower", ""]


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of the results table.

    Attributes:
        heading: For people.
        phrase: The heading inside a sentence.
        better: Which direction is good; empty for a reference value.
        explanation: One line.
    """

    heading: str
    phrase: str
    better: Better
    explanation: str


MEASURES: dict[str, Measure] = {
    "normal_auc": Measure(
        "Normal AUC, paper's prompt",
        "the normal AUC by the paper's prompt",
        "higher",
        "Normal against abnormal images by the logit of “There is no finding.”, the prompt of the paper.",
    ),
    "worst_prompt_normal_auc": Measure(
        "Normal AUC, worst prompt",
        "the worst-prompt normal AUC",
        "higher",
        "The lowest of five normal prompts, fixed beforehand: what a user gets with an unlucky wording.",
    ),
    "neg_max_finding_auc": Measure(
        "Normal AUC, −max finding",
        "the normal AUC by −max(finding)",
        "higher",
        "Normal against abnormal by minus the largest finding logit; no normal prompt is involved.",
    ),
    "abnormal_auc": Measure(
        "Finding AUC, all images",
        "the finding AUC",
        "higher",
        "Mean over findings, present against absent, over all images (the abnormal AUC).",
    ),
    "abnormal_auc_among_abnormals": Measure(
        "Finding AUC, abnormal images",
        "the finding AUC among abnormal images",
        "higher",
        "The same among abnormal images only: does the model tell findings from each other?",
    ),
    "fpr_at_95_sensitivity": Measure(
        "False alarms at 95 % sens.",
        "the false-alarm rate at 95 % sensitivity",
        "lower",
        "Share of normal images flagged when the threshold keeps 95 % of the abnormal validation images.",
    ),
    "false_findings_per_normal": Measure(
        "False findings per normal",
        "the number of false findings per normal image",
        "lower",
        "Findings called on a normal image at the Youden thresholds of the validation images.",
    ),
    "pointing_accuracy": Measure(
        "Pointing game",
        "the pointing accuracy",
        "higher",
        "Share of heat maps whose maximum lies in a box of that finding, averaged over findings.",
    ),
    "pointing_chance": Measure(
        "Pointing, by chance",
        "the chance level of pointing",
        "",
        "The same for a maximum put down at random: the level that the pointing game has to beat.",
    ),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of the table as it is shown."""

    mean: str
    spread: str
    best: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One variant of the table."""

    key: Key
    name: str
    seeds: int
    cells: tuple[Cell, ...]


def name_of(key: Key, names: Mapping[Key, str] = NAMES) -> str:
    """What a variant is called; an unknown one by its objective and filter.

    Example:
        >>> name_of(("offclip", True)), name_of(("siglip", True))
        ('OFF-CLIP', 'siglip + filtering')
    """
    return names.get(key, f"{key[0]} + filtering" if key[1] else key[0])


def show(value: float | None) -> str:
    """Three decimals, or "n/a" for a value that the data cannot give.

    Example:
        >>> show(0.98765), show(None), show(float("nan"))
        ('0.988', 'n/a', 'n/a')
    """
    return "n/a" if value is None or value != value else f"{value:.3f}"


def table_rows(table: pl.DataFrame, names: Mapping[Key, str] = NAMES) -> list[Row]:
    """One row a variant; the best mean of each column is marked, ties at three decimals together."""
    summary = list(summarise(table).iter_rows(named=True))
    best = {column: _best([row[column] for row in summary], MEASURES[column].better) for column in COLUMNS}
    rows = []
    for row in summary:
        key = (row["objective"], row["filter"])
        seeds = len(table.filter((pl.col("objective") == key[0]) & (pl.col("filter") == key[1])))
        cells = tuple(
            Cell(
                show(row[column]),
                "" if show(row[f"{column}_sd"]) == "n/a" else show(row[f"{column}_sd"]),
                show(row[column]) == best[column],
            )
            for column in COLUMNS
        )
        rows.append(Row(key, name_of(key, names), seeds, cells))
    return rows


def _best(values: Sequence[float | None], better: Better) -> str | None:
    """The best value as shown; None without a direction, or when there is nothing to choose between."""
    known = [value for value in values if show(value) != "n/a" and value is not None]
    if not better or len({show(value) for value in known}) < 2:
        return None
    return show(max(known) if better == "higher" else min(known))
