"""Which sentences are judged: a stratified sample whose weights are known.

Within a stratum a sentence is drawn with a probability in proportion to how often the table has it, without
replacement, by a systematic pass over the sentences in random order (Madow 1949). Those so frequent that the
probability would reach 1 are taken for certain. The others all stand for the same number of sentences of the
table, so that plain proportions estimate the table and the intervals of proportions hold.

Nothing is drawn with a random generator: the order is that of salted hashes. The same table and design give
the same sample on every machine and version.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import polars as pl

from offclip.errors import ConfigError
from offclip.evaluation.audit.frame import Occurrence, count_sentences, find_occurrences
from offclip.reports.labels import Label

STRATIFY = ("label", "rule", "none")
WEIGH = ("occurrences", "sentences")
MOST = 5_000
_TOKEN = re.compile(
    r"offclip-audit-1 n=(\d{1,6}) seed=(\d{1,18}) stratify=([a-z]{1,20}) weigh=([a-z]{1,20}) "
    r"minimum=(\d{1,6}) sha256=([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Design:
    """How a sample is drawn.

    Attributes:
        n: Sentences to judge.
        seed: Another seed, other sentences.
        stratify: `"label"`, `"rule"` (the reason up to its colon) or `"none"`.
        weigh: What the estimate is about: `"occurrences"` counts a sentence as often as the table has it,
            `"sentences"` counts every different sentence once.
        minimum: Sentences of each stratum at least, as far as there are so many.

    Raises:
        ConfigError: A value is out of range.
    """

    n: int = 200
    seed: int = 0
    stratify: str = "label"
    weigh: str = "occurrences"
    minimum: int = 30

    def __post_init__(self) -> None:
        for name, value, known in (("stratify", self.stratify, STRATIFY), ("weigh", self.weigh, WEIGH)):
            if value not in known:
                raise ConfigError(f"{name} is {value!r}.", f"Known: {', '.join(known)}.")
        if not 1 <= self.n <= MOST:
            raise ConfigError(f"n is {self.n}.", f"Judge from 1 to {MOST:,} sentences.")
        if not 0 <= self.seed < 10**18 or not 0 <= self.minimum < 10**6:
            raise ConfigError(f"seed is {self.seed}, minimum is {self.minimum}.", "Give numbers from 0 on.")


@dataclass(frozen=True, slots=True)
class Stratum:
    """A part of the table that is sampled by itself.

    Attributes:
        name: A label, a rule, or `"all"`.
        units: Different sentences in it.
        size: Sentences in it, counted as the design weighs them.
        drawn: Sentences to judge.
        certain_size: The part of `size` that belongs to sentences drawn for certain.
    """

    name: str
    units: int
    size: int
    drawn: int
    certain_size: int


@dataclass(frozen=True, slots=True)
class Item:
    """A sentence of the sample.

    Attributes:
        id: Name of the sentence on the page and in files.
        stratum: Name of its stratum.
        label, reason: The labeller's.
        count: How often the table has it.
        probability: That it was drawn.
        seen: Its text, and where it stands.
    """

    id: str
    stratum: str
    label: Label
    reason: str
    count: int
    probability: float
    seen: Occurrence

    @property
    def rule(self) -> str:
        """The reason up to its colon."""
        return self.reason.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Sample:
    """What is to be judged.

    Attributes:
        design: How it was drawn.
        items: In the order of the page, which is random.
        strata: The parts of the table, largest first.
        sha256: Of the items and the strata; another table or another labelling has another one.
    """

    design: Design
    items: tuple[Item, ...]
    strata: tuple[Stratum, ...]
    sha256: str

    @property
    def token(self) -> str:
        """What a file of verdicts says about its sample; `parse_token` reads it."""
        d = self.design
        return (
            f"offclip-audit-1 n={d.n} seed={d.seed} stratify={d.stratify} weigh={d.weigh} "
            f"minimum={d.minimum} sha256={self.sha256}"
        )


def parse_token(token: str) -> tuple[Design, str] | None:
    """Return the design and the hash in a token, or None where it is none."""
    match = _TOKEN.fullmatch(token.strip())
    if match is None:
        return None
    n, seed, stratify, weigh, minimum, sha256 = match.groups()
    try:
        return Design(int(n), int(seed), stratify, weigh, int(minimum)), sha256
    except ConfigError:
        return None


def draw_sample(path: str | Path, design: Design) -> Sample:
    """Draw sentences of a study table.

    Args:
        path: The study table.
        design: How to draw.

    Raises:
        DataError: The file is no study table or holds no sentence.
    """
    frame = count_sentences(path, design.seed)
    by = {"label": pl.col("label"), "rule": pl.col("rule"), "none": pl.lit("all")}[design.stratify]
    size = pl.col("count") if design.weigh == "occurrences" else pl.lit(1, pl.Int64)
    frame = frame.with_columns(stratum=by, size=size)
    groups = frame.group_by("stratum").agg(pl.len().alias("units"), pl.col("size").sum())
    groups = groups.sort("size", "stratum", descending=[True, False])
    sizes, units = groups["size"].to_list(), groups["units"].to_list()
    strata, chosen = [], []
    for name, take, size_of, units_of in zip(
        groups["stratum"], allocate(design.n, sizes, units, design.minimum), sizes, units, strict=True
    ):
        part = frame.filter(pl.col("stratum") == name).sort("key")
        parts = part["size"].to_numpy()
        picked, probability = draw_proportional(parts, take, _fraction(design.seed, name))
        certain = int(parts[picked][probability == 1].sum())
        strata.append(Stratum(name, units_of, size_of, take, certain))
        chosen.append(part[picked].with_columns(probability=pl.Series(probability)))
    rows = pl.concat(chosen).sort("key").to_dicts()
    places = {row["key"]: (row["row"], row["position"]) for row in rows}
    seen = find_occurrences(path, places)
    items = tuple(
        Item(
            f"s{row['key']:016x}",  # the letter keeps a spreadsheet from reading a number
            row["stratum"],
            row["label"],
            seen[row["key"]].reason,
            row["count"],
            row["probability"],
            seen[row["key"]],
        )
        for row in rows
    )
    return Sample(design, items, tuple(strata), _sha256(items, strata))


def allocate(n: int, sizes: Sequence[int], units: Sequence[int], minimum: int) -> list[int]:
    """Share `n` among strata: in proportion to their sizes, but `minimum` each at least.

    Args:
        n: Sentences to judge.
        sizes: Sentences of each stratum.
        units: Different sentences of each stratum; no more can be drawn.
        minimum: Of each stratum, as far as `n` and `units` allow.

    Returns:
        How many to draw of each, `min(n, sum(units))` in all.

    Example:
        >>> allocate(100, [9000, 900, 100], [500, 90, 20], 10)
        [80, 10, 10]
        >>> allocate(10, [50, 50], [2, 50], 0)
        [2, 8]
    """
    wanted = min(n, sum(units))
    least = [min(minimum, n // len(sizes), unit) for unit in units]
    shares = [float(unit) for unit in units]
    if wanted < sum(units):
        # The multiplier of the sizes at which the bounded shares add up.
        low, high = 0.0, max(unit / size for unit, size in zip(units, sizes, strict=True))
        for _ in range(100):
            middle = (low + high) / 2
            shares = [
                min(max(size * middle, floor), unit)
                for size, floor, unit in zip(sizes, least, units, strict=True)
            ]
            low, high = (middle, high) if sum(shares) < wanted else (low, middle)
    counts = [int(share) for share in shares]
    while sum(counts) < wanted:  # the largest remainder first
        open_ones = [i for i in range(len(counts)) if counts[i] < units[i]]
        counts[max(open_ones, key=lambda i: (shares[i] - counts[i], -i))] += 1
    return counts


def draw_proportional(sizes: np.ndarray, n: int, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw units with probabilities in proportion to their sizes, without replacement.

    Args:
        sizes: (N,) positive sizes of the units, in random order.
        n: Units to draw, at most N.
        start: Where the systematic pass begins, in [0, 1).

    Returns:
        (n,) indices in order, and (n,) probabilities that each was drawn.

    Source:
        Madow, On the theory of systematic sampling II, Ann. Math. Stat. 20 (1949). In random order: Hartley
        and Rao, Sampling with unequal probabilities and without replacement, Ann. Math. Stat. 33 (1962).

    Example:
        >>> draw_proportional(np.array([100, 1, 1, 1, 1]), 3, 0.5)
        (array([0, 2, 4]), array([1. , 0.5, 0.5]))
    """
    probability = np.ones(len(sizes))
    certain = np.full(len(sizes), fill_value=n >= len(sizes))
    while not certain.all():
        rest = n - int(certain.sum())
        expected = rest * sizes / sizes[~certain].sum()
        more = ~certain & (expected >= 1)
        if not more.any():
            probability[~certain] = expected[~certain]
            break
        certain |= more
    loose = np.flatnonzero(~certain)
    points = start + np.arange(n - int(certain.sum()))
    steps = np.cumsum(probability[loose])
    hit = np.minimum(np.searchsorted(steps, points, side="right"), max(len(loose) - 1, 0))
    picked = np.sort(np.concatenate([np.flatnonzero(certain), loose[hit]])) if n else np.zeros(0, int)
    return picked, probability[picked]


def _fraction(seed: int, name: str) -> float:
    digest = blake2b(name.encode(), digest_size=6, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "big") / 2**48


def _sha256(items: Sequence[Item], strata: Sequence[Stratum]) -> str:
    content = [
        [[s.name, s.units, s.size, s.drawn, s.certain_size] for s in strata],
        [[i.id, i.stratum, i.label, i.reason, i.count, i.seen.text] for i in items],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
