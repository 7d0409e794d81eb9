"""Wrong sentence labels on purpose, and what they do to the labels of the reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl

from offclip.data.study import check_studies
from offclip.errors import ConfigError
from offclip.reports import Label, pair_label

FLIPPED: dict[str, Label] = {"normal": "abnormal", "abnormal": "normal"}


@dataclass(frozen=True, slots=True)
class Damage:
    """What the flips did to a study table; shares between 0 and 1, NaN of an empty group.

    Attributes:
        sentences: Sentences with a flipped label.
        normal_pairs: Normal studies that are not normal any more.
        abnormal_pairs: Abnormal studies that are not abnormal any more.
        kept: Sentences that filtering keeps and that are flipped.
        abnormal_kept: The same among the studies that are called abnormal.
    """

    sentences: float
    normal_pairs: float
    abnormal_pairs: float
    kept: float
    abnormal_kept: float


def flip_sentences(studies: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Flips normal and abnormal sentences at random and recomputes the labels of the pairs.

    Every sentence of every study is drawn for itself. A sentence that is flipped at one share is flipped at
    every larger one with the same seed, so that the levels differ by the added flips alone. Uncertain
    sentences stay, and so do the texts and prompts: it is the labels that are wrong.

    Args:
        studies: A study table.
        share: Share of the sentences to flip, 0 to 1.
        seed: Of the draws.

    Returns:
        The table with other sentence labels and study labels; the same rows in the same order.

    Raises:
        ConfigError: The share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"{share} is no share of sentences.", "Choose a number between 0 and 1.")
    rng = np.random.default_rng(seed)
    sentences, labels = [], []
    for row in studies["sentences"].to_list():
        draws = rng.random(len(row))
        noisy = [
            {**s, "label": FLIPPED[s["label"]]} if draw < share and s["label"] in FLIPPED else s
            for s, draw in zip(row, draws, strict=True)
        ]
        sentences.append(noisy)
        labels.append(pair_label(s["label"] for s in noisy))
    table = studies.with_columns(
        pl.Series("sentences", sentences, dtype=studies.schema["sentences"]),
        pl.Series("label", labels, dtype=pl.String),
    )
    return check_studies(table)


def damage(clean: pl.DataFrame, noisy: pl.DataFrame) -> Damage:
    """Compares two tables of the same studies in the same order; the clean one is taken as the truth."""
    pairs = list(zip(clean["label"].to_list(), noisy["label"].to_list(), strict=True))
    all_sentences, kept, abnormal_kept = [], [], []
    for label, flips in _flips(clean, noisy):
        all_sentences += [wrong for _, wrong in flips]
        of_study = [wrong for now, wrong in flips if now == label]
        kept += of_study
        abnormal_kept += of_study if label == "abnormal" else []
    return Damage(
        sentences=_share(all_sentences),
        normal_pairs=_share([now != "normal" for was, now in pairs if was == "normal"]),
        abnormal_pairs=_share([now != "abnormal" for was, now in pairs if was == "abnormal"]),
        kept=_share(kept),
        abnormal_kept=_share(abnormal_kept),
    )


def _flips(clean: pl.DataFrame, noisy: pl.DataFrame) -> Iterator[tuple[Label, list[tuple[str, bool]]]]:
    """For each study its noisy label, and for each sentence its noisy label and whether that is wrong."""
    columns = (clean["sentences"].to_list(), noisy["sentences"].to_list(), noisy["label"].to_list())
    for before, after, label in zip(*columns, strict=True):
        yield (
            cast(Label, label),
            [(b["label"], a["label"] != b["label"]) for a, b in zip(before, after, strict=True)],
        )


def _share(wrong: list[bool]) -> float:
    return float(np.mean(wrong)) if wrong else float("nan")
