"""A set of sentences that is ready to be compared with images: what depends on them alone is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from torch import Tensor

from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.encoding import groups_by_length
from offclip.models.carzero.entries import text_entries
from offclip.models.carzero.fast import FastFusion, Folded, Projected, Queries
from offclip.models.carzero.folded import fold_entries, folded_bytes, projected_bytes
from offclip.models.interface import TextFeatures

_LARGEST_PART = 256


class Kept(Enum):
    """What is kept of a sentence as a memory, from the fastest to the smallest."""

    FOLDED = "folded"
    PROJECTED = "projected"
    ENTRIES = "entries"


@dataclass(frozen=True, slots=True)
class Part:
    """Sentences of about one length.

    Attributes:
        rows: (M,) which sentences of the set.
        entries: (M, N, D) normed.
        bias: (M, N), see `fusion.Memory`.
        memory: What is kept beside the entries.
    """

    rows: Tensor
    entries: Tensor
    bias: Tensor
    memory: Folded | Projected | None

    def __len__(self) -> int:
        return len(self.rows)

    def ready(self, fusion: FastFusion, rows: slice) -> Folded | Projected:
        """Some of the sentences, ready to be asked."""
        if self.memory is None:
            return fusion.project(self.entries[rows], self.bias[rows])
        return self.memory.select(rows)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """T sentences, both as queries and as memories.

    Attributes:
        queries: For the direction in which sentences look into images.
        parts: The memories, short sentences first, so that they carry no padding of long ones.
        kept: What the parts keep.
    """

    queries: Queries
    parts: tuple[Part, ...]
    kept: Kept

    def __len__(self) -> int:
        return len(self.queries)


def prompt_set(
    fusion: FastFusion, text: TextFeatures, config: CarZeroConfig, memory: int, kept: Kept | None = None
) -> PromptSet:
    """Prepares sentences.

    Args:
        fusion: The decoder.
        text: The encoded sentences.
        config: The geometry.
        memory: Bytes that keys and values may take. The fastest form that fits is kept; if none does, keys
            and values are made anew for every batch of images.
        kept: Insists on a form.
    """
    words = text.mask.sum(dim=1)
    groups = groups_by_length(words, _LARGEST_PART)
    sizes = [(len(rows), int(words[rows].max()) + 2) for rows in groups]
    kept = kept or _affordable(sizes, config, memory)
    parts = []
    for rows, (_, entries) in zip(groups, sizes, strict=True):
        longest = entries - 2
        some = TextFeatures(text.pooled[rows], text.tokens[rows, :longest], text.mask[rows, :longest])
        parts.append(_part(fusion, rows, *text_entries(some, config.slots), kept))
    return PromptSet(fusion.queries(text.pooled), tuple(parts), kept)


def _affordable(sizes: list[tuple[int, int]], config: CarZeroConfig, memory: int) -> Kept:
    worth_it = fold_entries(max(entries for _, entries in sizes), config)
    if worth_it and sum(folded_bytes(*size, config) for size in sizes) <= memory:
        return Kept.FOLDED
    fits = sum(projected_bytes(*size, config) for size in sizes) <= memory
    return Kept.PROJECTED if fits else Kept.ENTRIES


def _part(fusion: FastFusion, rows: Tensor, entries: Tensor, bias: Tensor, kept: Kept) -> Part:
    entries = fusion.normed(entries)
    memory: Folded | Projected | None = None
    if kept is Kept.FOLDED:
        memory = fusion.fold(entries, bias)
    elif kept is Kept.PROJECTED:
        memory = fusion.project(entries, bias)
    return Part(rows, entries, bias, memory)
