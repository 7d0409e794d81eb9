"""How well the labeller agrees with a reader, and two readers with each other, for the whole table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from offclip.errors import DataError
from offclip.evaluation.audit.intervals import (
    Cell,
    combine,
    confusion,
    effective_size,
    kappa_interval,
)
from offclip.evaluation.audit.sampling import Item, Sample, Stratum
from offclip.evaluation.audit.verdicts import Verdict, VerdictFile
from offclip.evaluation.statistics.estimate import Estimate, wilson
from offclip.reports.labels import Label

LABELS: tuple[Label, ...] = get_args(Label)
# Of each judged sentence the two labels that are compared.
Codes = Mapping[str, tuple[Label, Label]]


@dataclass(frozen=True, slots=True)
class GroupAgreement:
    """Agreement on a part of the table.

    Attributes:
        name: A stratum, a label or a rule.
        share: Its part of the table; estimated, where it is no stratum.
        judged: Sentences judged.
        agreed: Of these, with the labeller's label.
        agreement: For all sentences of this part of the table; None where none was judged.
    """

    name: str
    share: float
    judged: int
    agreed: int
    agreement: Estimate | None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A sentence on which the labeller was corrected."""

    item: Item
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Agreement:
    """What one reader's verdicts say about the labeller.

    Attributes:
        reader: Who judged; may be empty.
        judged: Sentences judged.
        missing: Sentences of the sample without a verdict, taken as missing at random.
        overall: Share of the table's sentences on which labeller and reader agree.
        kappa: Cohen's, for the table; None where it is not defined.
        counts: Labeller's label (rows) by verdict (columns), sentences judged; in the order of `LABELS`.
        shares: The same as shares of the table.
        covered: Share of the table in strata of which something was judged; the estimates are about these.
        strata, labels, rules: Agreement by part.
        disagreements: In the order of the page.
    """

    reader: str
    judged: int
    missing: int
    overall: Estimate
    kappa: Estimate | None
    counts: np.ndarray
    shares: np.ndarray
    covered: float
    strata: tuple[GroupAgreement, ...]
    labels: tuple[GroupAgreement, ...]
    rules: tuple[GroupAgreement, ...]
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True, slots=True)
class ReaderAgreement:
    """Agreement of two readers, for the table.

    Attributes:
        readers: Names of the readers.
        judged: Sentences that both judged.
        overall: Share of the table's sentences on which they agree.
        kappa: Cohen's; None where it is not defined.
        counts: Verdict of the first (rows) by that of the second (columns); in the order of `LABELS`.
        disputed: Sentences with both verdicts.
    """

    readers: tuple[str, str]
    judged: int
    overall: Estimate
    kappa: Estimate | None
    counts: np.ndarray
    disputed: tuple[tuple[Item, Verdict, Verdict], ...]


def measure(sample: Sample, file: VerdictFile) -> Agreement:
    """Compare the labeller with a reader.

    Args:
        sample: The sample that was judged.
        file: The verdicts; see `VerdictFile.check_sample`.

    Returns:
        Estimates for the whole table, with 95 % confidence intervals.
    """
    judged = [item for item in sample.items if item.id in file.verdicts]
    codes: Codes = {item.id: (item.label, file.verdicts[item.id].label) for item in judged}
    cells = _cells(sample, codes)
    flat = [cell for part in cells.values() for cell in part]
    weights = _weights(sample, judged)
    by_label = _by(judged, codes, weights, lambda item: item.label)
    disagreements = tuple(Disagreement(i, file.verdicts[i.id]) for i in judged if len(set(codes[i.id])) > 1)
    strata = tuple(_stratum(s, sample, judged, codes, cells.get(s.name, [])) for s in sample.strata)
    return Agreement(
        reader=file.reader,
        judged=len(judged),
        missing=len(sample.items) - len(judged),
        overall=_overall(flat),
        kappa=kappa_interval(flat, len(LABELS), seed=sample.design.seed),
        counts=_counts(codes.values()),
        shares=confusion(flat, len(LABELS)),
        covered=sum(cell.share for cell in flat),
        strata=strata,
        # Strata that are labels have exact shares and need no effective sizes.
        labels=strata if sample.design.stratify == "label" else by_label,
        rules=_by(judged, codes, weights, lambda item: item.rule),
        disagreements=disagreements,
    )


def compare_readers(sample: Sample, first: VerdictFile, second: VerdictFile) -> ReaderAgreement:
    """Compare two readers on the sentences that both judged.

    Raises:
        DataError: No sentence was judged by both.
    """
    both = [item for item in sample.items if item.id in first.verdicts and item.id in second.verdicts]
    if not both:
        raise DataError(
            f"{first.path} and {second.path} have no judged sentence in common.",
            "Let both readers judge the same page.",
        )
    codes: Codes = {i.id: (first.verdicts[i.id].label, second.verdicts[i.id].label) for i in both}
    flat = [cell for part in _cells(sample, codes).values() for cell in part]
    return ReaderAgreement(
        readers=(first.reader or first.path.name, second.reader or second.path.name),
        judged=len(both),
        overall=_overall(flat),
        kappa=kappa_interval(flat, len(LABELS), seed=sample.design.seed),
        counts=_counts(codes.values()),
        disputed=tuple(
            (i, first.verdicts[i.id], second.verdicts[i.id]) for i in both if len(set(codes[i.id])) > 1
        ),
    )


def _size(item: Item, sample: Sample) -> int:
    return item.count if sample.design.weigh == "occurrences" else 1


def _cells(sample: Sample, codes: Codes) -> dict[str, list[Cell]]:
    """The judged sentences of each stratum: those drawn for certain, and the others."""
    total = sum(stratum.size for stratum in sample.strata)
    cells: dict[str, list[Cell]] = {}
    for stratum in sample.strata:
        drawn = [item for item in sample.items if item.stratum == stratum.name]
        certain, loose = (
            [item for item in drawn if (item.probability == 1) == wanted] for wanted in (True, False)
        )
        parts = [(stratum.certain_size, certain), (stratum.size - stratum.certain_size, loose)]
        parts = [(size, items) for size, items in parts if size]
        if len(parts) == 2 and not all(any(item.id in codes for item in items) for _, items in parts):
            parts = [(stratum.size, drawn)]  # one half was not judged at all: the other stands for both
        made = []
        for size, items in parts:
            judged = [item for item in items if item.id in codes]
            if judged:
                pairs = [[LABELS.index(label) for label in codes[item.id]] for item in judged]
                weights = [_size(item, sample) / item.probability for item in judged]
                complete = len(judged) == len(items) and all(item.probability == 1 for item in items)
                made.append(Cell(size / total, np.array(pairs), np.array(weights), complete))
        if made:
            cells[stratum.name] = made
    return cells


def _overall(cells: Sequence[Cell]) -> Estimate:
    return combine([(cell.share, cell.agreement) for cell in cells])


def _stratum(
    stratum: Stratum,
    sample: Sample,
    judged: Sequence[Item],
    codes: Codes,
    cells: Sequence[Cell],
) -> GroupAgreement:
    own = [codes[item.id] for item in judged if item.stratum == stratum.name]
    return GroupAgreement(
        stratum.name,
        stratum.size / sum(s.size for s in sample.strata),
        len(own),
        sum(label == verdict for label, verdict in own),
        _overall(cells) if cells else None,
    )


def _weights(sample: Sample, judged: Sequence[Item]) -> dict[str, float]:
    """How many sentences of the table each judged one stands for, scaled to the size of its stratum."""
    raw = {item.id: _size(item, sample) / item.probability for item in judged}
    sums: dict[str, float] = {}
    for item in judged:
        sums[item.stratum] = sums.get(item.stratum, 0.0) + raw[item.id]
    sizes = {stratum.name: stratum.size for stratum in sample.strata}
    return {item.id: raw[item.id] * sizes[item.stratum] / sums[item.stratum] for item in judged}


def _by(
    judged: Sequence[Item],
    codes: Codes,
    weights: Mapping[str, float],
    name_of: Callable[[Item], str],
) -> tuple[GroupAgreement, ...]:
    """Agreement by a property that is no stratum: weighted share, Wilson with Kish's effective size."""
    total = sum(weights.values())
    groups: dict[str, list[Item]] = {}
    for item in judged:
        groups.setdefault(name_of(item), []).append(item)
    made = []
    for name, items in groups.items():
        w = np.array([weights[item.id] for item in items])
        agree = np.array([codes[item.id][0] == codes[item.id][1] for item in items])
        estimate = wilson(float(np.average(agree, weights=w)), effective_size(w))
        made.append(GroupAgreement(name, float(w.sum() / total), len(items), int(agree.sum()), estimate))
    return tuple(sorted(made, key=lambda group: (-group.share, group.name)))


def _counts(codes) -> np.ndarray:
    table = np.zeros((len(LABELS), len(LABELS)), int)
    for row, column in codes:
        table[LABELS.index(row), LABELS.index(column)] += 1
    return table
