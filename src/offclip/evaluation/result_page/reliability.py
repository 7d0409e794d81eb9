"""How well probabilities hold, as `results.json` says it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from offclip.evaluation.result_page.reading import Node
from offclip.evaluation.statistics.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases of about one predicted probability, and the share of them that is positive; bounds may be NaN."""

    predicted: float
    observed: float
    count: int
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibrated score.

    Attributes:
        method: Such as `"platt"`.
        origin: Where it was fitted.
        ece, ece_before: Expected calibration error after and before.
        ece_expected: What chance gives a perfectly calibrated score.
        binning: How the cases were put into bins.
        bins: In the order of the predicted probability; empty ones are left out.
    """

    method: str
    origin: str
    ece: Estimate | None
    ece_before: Estimate | None
    ece_expected: float | None
    binning: str
    bins: tuple[Bin, ...]


def read_calibration(node: Node | None) -> Calibration | None:
    """Reads a `calibration` of `results.json`.

    Raises:
        DataError: A value has a wrong type.
    """
    if node is None:
        return None
    bins = []
    for entry in node.nodes("bins"):
        predicted, observed, count = entry.number("predicted"), entry.number("observed"), entry.count("count")
        if predicted is not None and observed is not None and count:
            low, high = entry.number("low"), entry.number("high")
            if low is None or high is None:
                low = high = math.nan
            bins.append(Bin(predicted, observed, count, low, high))
    bins.sort(key=lambda b: b.predicted)
    return Calibration(
        node.text("method"),
        node.text("from"),
        node.estimate("ece"),
        node.estimate("ece_before"),
        node.number("ece_expected_if_calibrated"),
        node.text("binning"),
        tuple(bins),
    )
