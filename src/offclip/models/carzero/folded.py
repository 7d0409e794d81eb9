"""When folding pays: the cheaper of two exact ways, from the numbers of queries and entries and the geometry.

What is counted are multiply-adds of a layer; `benchmarks/carzero_scoring.py` holds that against the clock.
"""

from __future__ import annotations

from offclip.models.carzero.config import CarZeroConfig

# Folding works in smaller matrix products, which reach about this part of the speed of large ones.
_EFFICIENCY = 0.85


def fold_queries(queries: int, entries: int, config: CarZeroConfig) -> bool:
    """Whether the projections of keys and values of an image are put on the side of the sentences.

    Args:
        queries: Sentences that are put to the image.
        entries: Patches of the image, the global vector among them.
        config: The geometry.

    Example:
        >>> [fold_queries(number, 197, CarZeroConfig()) for number in (1, 17, 192, 1000)]
        [True, True, False, False]
    """
    width = config.width
    projected = 2 * entries * width * width + 2 * queries * entries * width
    folded = 2 * queries * width * width + 2 * config.fusion_heads * queries * entries * width
    return folded < projected * _EFFICIENCY


def fold_entries(entries: int, config: CarZeroConfig) -> bool:
    """Whether the projections of queries and output are put into the entries of a sentence, once for all.

    Args:
        entries: Of the longest sentence.
        config: The geometry.

    Example:
        >>> [fold_entries(number, CarZeroConfig()) for number in (5, 99, 500)]
        [True, True, False]
    """
    projected = 2 * config.width + 2 * entries
    return 2 * config.fusion_heads * entries < projected * _EFFICIENCY


def folded_bytes(sentences: int, entries: int, config: CarZeroConfig) -> int:
    """Memory of folded keys and values in float32."""
    return config.fusion_heads * projected_bytes(sentences, entries, config)


def projected_bytes(sentences: int, entries: int, config: CarZeroConfig) -> int:
    """Memory of projected keys and values in float32."""
    return 2 * 4 * config.fusion_layers * sentences * entries * config.width
