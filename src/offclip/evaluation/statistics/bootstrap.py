"""The patient-cluster bootstrap: one set of resamples, used for every number of a result."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from offclip.cores import available_cores
from offclip.errors import DataError, InputError
from offclip.evaluation.statistics.draws import Draws
from offclip.evaluation.statistics.resampled import Areas, Auprc, Descent, areas_of, descent

_TABLE_BYTES = 320 << 20  # weights as int32, for so many resamples at once as fit in here
_NARROWEST = 64  # fewer resamples side by side would spend their time on the way from stop to stop


@dataclass(frozen=True, slots=True)
class Resampling:
    """How the resamples are drawn.

    Attributes:
        resamples: Number of resamples.
        seed: Same seed, same patients and strata: same resamples, whatever the order of the rows.
        level: Confidence level of the percentile intervals.
    """

    resamples: int = 1000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 1 or not 0 < self.level < 1:
            raise InputError(
                f"{self.resamples} resamples, level {self.level}.", "Give at least 1, and 0 < level < 1."
            )


@dataclass(frozen=True, slots=True)
class AreaDraws:
    """One class, or the pooled cells of all.

    Attributes:
        auc: Area under the ROC curve.
        auprc: Area under the precision-recall curve.
    """

    auc: Draws
    auprc: Draws


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Resamples of the patients of N cases.

    Everything that is measured with one `Bootstrap` is measured on the same resamples, so that
    draws can be subtracted, averaged and compared.

    Attributes:
        resampling: How they were drawn.
        codes: (N,) row of `counts` of each case's patient.
        counts: (patients, R) uint8, how often each patient stands in each resample.

    Example:
        >>> b = Bootstrap.of(["p1", "p1", "p2", "p3"], resampling=Resampling(resamples=5))
        >>> b.counts.sum(axis=0).tolist(), b.weights.shape
        ([3, 3, 3, 3, 3], (4, 5))
        >>> b.auc(np.array([0.9, 0.8, 0.2, 0.1]), np.array([1, 1, 0, 0])).value
        1.0
    """

    resampling: Resampling
    codes: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(
        cls,
        clusters: Sequence[str] | np.ndarray,
        strata: np.ndarray | None = None,
        resampling: Resampling | None = None,
    ) -> Bootstrap:
        """Draws the resamples.

        Args:
            clusters: (N,) patient of each case.
            strata: (N,) whole numbers; a patient belongs to the largest of its cases, and as many patients
                of each stratum are drawn as there are. None: one stratum.
            resampling: How many, and with which seed.

        Raises:
            InputError: There is no case, or clusters and strata differ in length.
        """
        resampling = resampling or Resampling()
        names, codes = np.unique(np.asarray(clusters), return_inverse=True)
        codes = codes.reshape(-1)
        strata = np.zeros(len(codes), int) if strata is None else np.asarray(strata, int)
        if not len(codes) or strata.shape != codes.shape:
            raise InputError(
                f"{len(codes)} clusters and {len(strata)} strata.", "Give at least one case, and one of each."
            )
        return cls(resampling, codes, _draw(codes, len(names), strata, resampling))

    @property
    def weights(self) -> np.ndarray:
        """(N, R) uint8: how often each case stands in each resample."""
        return self.counts[self.codes]

    def auc(self, scores: np.ndarray, truth: np.ndarray) -> Draws:
        """AUC of one score; truth 1, 0 or NaN (left out).

        Raises:
            InputError: Shapes differ, or a score is not finite.
            DataError: There is no positive or no negative.
        """
        order = descent(scores, truth, self.codes)
        return self._drawn([order], "average-precision")[0].auc

    def areas(
        self,
        scores: np.ndarray,
        truth: np.ndarray,
        auprc: Auprc = "average-precision",
        *,
        pooled: bool = False,
    ) -> list[AreaDraws]:
        """Both areas of every class, on all cores.

        Args:
            scores: (N, C).
            truth: (N, C) 1, 0 or NaN (left out).
            auprc: Average precision, or the trapezoid of the peers.
            pooled: One more entry at the end, the micro-average: all cells as one class, each with the
                weight of its patient.

        Raises:
            InputError: Shapes differ, or a score is not finite.
            DataError: A class has no positive or no negative.
        """
        scores, truth = np.asarray(scores, np.float64), np.asarray(truth, np.float64)
        if scores.shape != truth.shape or scores.ndim != 2 or len(scores) != len(self.codes):
            raise InputError(
                f"scores {scores.shape}, labels {truth.shape}, {len(self.codes)} clusters.",
                "Give one row a case.",
            )
        columns = [(scores[:, c], truth[:, c], self.codes) for c in range(scores.shape[1])]
        if pooled:
            columns.append((scores.ravel(), truth.ravel(), np.repeat(self.codes, scores.shape[1])))
        with ThreadPoolExecutor(available_cores()) as pool:
            orders = list(pool.map(lambda column: descent(*column), columns))
        return self._drawn(orders, auprc)

    def pooled(self, scores: np.ndarray, truth: np.ndarray, auprc: Auprc = "average-precision") -> AreaDraws:
        """The micro-average alone: all cells (N, C) as one class; see `areas`."""
        width = np.shape(scores)[1]
        cells = Bootstrap(self.resampling, np.repeat(self.codes, width), self.counts)
        return cells.areas(np.reshape(scores, (-1, 1)), np.reshape(truth, (-1, 1)), auprc)[0]

    def mean(self, values: np.ndarray) -> Draws:
        """Mean over the cases of a number each, such as its false findings; NaN is left out.

        Example:
            >>> Bootstrap.of(["a", "b"]).mean(np.array([1.0, 3.0])).value
            2.0
        """
        values = np.asarray(values, np.float64)
        known = ~np.isnan(values)
        patients = len(self.counts)
        of_patients = np.stack(
            [
                np.bincount(self.codes, each, minlength=patients)
                for each in (np.where(known, values, 0), known)
            ]
        )
        total, cases = of_patients @ self.counts
        with np.errstate(invalid="ignore"):
            drawn = np.where(cases > 0, total / np.maximum(cases, 1), np.nan)
        return Draws(float(values[known].mean()) if known.any() else np.nan, drawn, self.resampling.level)

    def _drawn(self, orders: list[Descent], auprc: Auprc) -> list[AreaDraws]:
        """Areas of each order; every core takes its share of the resamples through all of them."""
        for order in orders:
            if not len(order.positives) or not len(order.negatives):
                raise DataError(
                    f"There are {len(order.positives)} positives and {len(order.negatives)} negatives.",
                    "Both are needed: take a larger split, or leave the class out.",
                )
        patients, resamples = self.counts.shape
        cores = available_cores()
        fair = min(-(-resamples // cores), _TABLE_BYTES // (4 * patients * cores))
        width = max(fair, _NARROWEST)
        found = [Areas(np.empty(resamples), np.empty(resamples)) for _ in orders]
        # The sample itself is walked as well, as one more resample that holds everybody once.
        once = np.ones((patients, 1), np.int32)

        def walk(start: int) -> None:
            part = slice(start, start + width)
            table = self.counts[:, part].astype(np.int32)
            for areas, order in zip(found, orders, strict=True):
                walked = areas_of(order, table, auprc)
                areas.auc[part], areas.auprc[part] = walked.auc, walked.auprc

        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(walk, range(0, resamples, width)))
            sample = list(pool.map(lambda order: areas_of(order, once, auprc), orders))
        level = self.resampling.level
        return [
            AreaDraws(
                Draws(float(of_sample.auc[0]), areas.auc, level),
                Draws(float(of_sample.auprc[0]), areas.auprc, level),
            )
            for of_sample, areas in zip(sample, found, strict=True)
        ]


def cluster_weights(
    clusters: Sequence[str] | np.ndarray, strata: np.ndarray | None, resampling: Resampling
) -> np.ndarray:
    """(N, R) uint8: how often each case stands in each resample; see `Bootstrap.of`.

    Example:
        >>> cluster_weights(["p1", "p1", "p2"], None, Resampling(resamples=4)).shape
        (3, 4)
    """
    return Bootstrap.of(clusters, strata, resampling).weights


def _draw(codes: np.ndarray, patients: int, strata: np.ndarray, resampling: Resampling) -> np.ndarray:
    of_patient = np.full(patients, strata.min())
    np.maximum.at(of_patient, codes, strata)
    members = [np.flatnonzero(of_patient == stratum) for stratum in np.unique(of_patient)]
    rng = np.random.default_rng(resampling.seed)
    counts = np.empty((resampling.resamples, patients), np.uint8)
    for row in counts:
        for chosen in members:
            drawn = rng.integers(len(chosen), size=len(chosen))
            row[chosen] = np.bincount(drawn, minlength=len(chosen))
    return np.ascontiguousarray(counts.T)
