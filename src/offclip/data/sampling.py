"""What an epoch shows: one image and one sentence of every study, drawn at random."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from offclip.data.loader import PixelStore
from offclip.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True)
class Pairs:
    """Studies as indices into the pixels and into a list of unique texts.

    Attributes:
        texts: U unique texts.
        images: For each of N studies the rows of its images in the pixel store.
        sentences: For each study (K, 2) text indices: a sentence, and its prompt.
        normal: (N,) bool, the pair label is normal.
        uncertain: (N,) bool, the pair label is uncertain.
    """

    texts: tuple[str, ...]
    images: tuple[np.ndarray, ...]
    sentences: tuple[np.ndarray, ...]
    normal: np.ndarray
    uncertain: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True)
class Batch:
    """B pairs: rows of the pixel store, indices of texts, and the flags of the loss."""

    images: np.ndarray
    texts: np.ndarray
    normal: np.ndarray
    uncertain: np.ndarray


def make_pairs(studies: pl.DataFrame, store: PixelStore, *, filter_sentences: bool) -> Pairs:
    """Pairs every study that has a readable frontal image with its sentences.

    Args:
        studies: Rows of the study table, one split.
        store: The readable images.
        filter_sentences: Drop the normal sentences of abnormal reports (OFF-CLIP, sentence filtering).
            The pair label is the same with and without.

    Raises:
        DataError: No study is left.
    """
    position = store.position()
    texts: dict[str, int] = {}
    images, sentences, labels = [], [], []
    for row in studies.iter_rows(named=True):
        frontal = [image for image in row["images"] if image["view"] != "lateral"]
        rows = [position[image["image_id"]] for image in frontal if image["image_id"] in position]
        kept = [s for s in row["sentences"] if not filter_sentences or s["label"] == row["label"]]
        choices = [[texts.setdefault(s[part], len(texts)) for part in ("text", "prompt")] for s in kept]
        if rows and choices:
            images.append(np.array(rows))
            sentences.append(np.array(choices))
            labels.append(row["label"])
    if not images:
        raise DataError(
            "No study has both a readable frontal image and a sentence.", "Look into skipped.csv."
        )
    label = np.array(labels)
    return Pairs(tuple(texts), tuple(images), tuple(sentences), label == "normal", label == "uncertain")


class EpochSampler:
    """Batches of an epoch, a function of (seed, epoch) alone, so that a run can resume in the middle.

    Args:
        pairs: The studies.
        batch_size: Pairs a batch; an incomplete last batch is left out unless it is the only one.
        prompt_share: How often the prompt form of a sentence is shown instead of the sentence itself.
        seed: Another seed draws other images, sentences and orders.
    """

    def __init__(self, pairs: Pairs, batch_size: int, prompt_share: float = 0.5, seed: int = 0) -> None:
        if batch_size < 2:
            raise ConfigError(f"batch_size is {batch_size}.", "A contrastive loss needs at least 2 pairs.")
        if not 0 <= prompt_share <= 1:
            raise ConfigError(f"prompt_share is {prompt_share}.", "Choose a share between 0 and 1.")
        self.pairs = pairs
        self.batch_size = min(batch_size, len(pairs))
        self.prompt_share = prompt_share
        self.seed = seed

    def __len__(self) -> int:
        return len(self.pairs) // self.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yields the batches of an epoch from batch number `start` on."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.pairs))
        draws = rng.random((len(self.pairs), 3))
        for number in range(start, len(self)):
            members = order[number * self.batch_size : (number + 1) * self.batch_size]
            chosen = [self._draw(study, *draws[study]) for study in members]
            yield Batch(
                images=np.array([image for image, _ in chosen]),
                texts=np.array([text for _, text in chosen]),
                normal=self.pairs.normal[members],
                uncertain=self.pairs.uncertain[members],
            )

    def _draw(self, study: int, image: float, sentence: float, form: float) -> tuple[int, int]:
        images, sentences = self.pairs.images[study], self.pairs.sentences[study]
        texts = sentences[int(sentence * len(sentences))]
        return int(images[int(image * len(images))]), int(texts[int(form < self.prompt_share)])
