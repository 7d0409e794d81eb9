"""The colours of the variants of an ablation."""

from __future__ import annotations

from collections.abc import Sequence

from offclip.evaluation.ablation import Variant
from offclip.evaluation.drawing.svg import PALETTE
from offclip.evaluation.report.runs import Key, key_of

# A variant has one colour on the whole page.
_KEYS: tuple[Key, ...] = (
    ("infonce", False),
    ("infonce", True),
    ("off-diagonal", False),
    ("offclip", True),
    ("multi-positive", True),
)
_OTHERS = ("#8c6bb1", "#7f6d5f", "#b8a500", "#3c9d9b", "#8a8f98")


def colours(variants: Sequence[Variant]) -> dict[Variant, str]:
    """One colour a variant, always the same for those of the ablation.

    Example:
        >>> colours([Variant("OFF-CLIP", "offclip", True), Variant("mine", "siglip", False)]).values()
        dict_values(['#0072b2', '#8c6bb1'])
    """
    known = dict(zip(_KEYS, PALETTE, strict=True))
    unknown = [variant for variant in variants if key_of(variant) not in known]
    extra = {variant: _OTHERS[number % len(_OTHERS)] for number, variant in enumerate(unknown)}
    return {variant: known.get(key_of(variant)) or extra[variant] for variant in variants}
