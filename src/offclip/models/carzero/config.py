"""The geometry of CARZero; the defaults are those of the published weights."""

from __future__ import annotations

from dataclasses import dataclass

from offclip.errors import ConfigError


@dataclass(frozen=True, slots=True)
class CarZeroConfig:
    """Sizes of the three parts.

    Attributes:
        width: D, size of every vector; the same in all three parts, which have no projections between them.
        image_size: Side of the square input in pixels.
        patch_size: Side of a patch in pixels.
        image_layers, image_heads, image_hidden: Of the vision transformer.
        vocabulary_size: Word pieces.
        positions: Longest text that the text tower could take.
        text_layers, text_heads, text_hidden: Of BERT.
        summed_layers: How many of its last layers are added up.
        slots: Word slots of a text, zero vectors included; the global vector is a mean over all of them.
        fusion_layers, fusion_heads, fusion_hidden: Of the decoder.
        head_widths: Hidden widths of the head that gives the logit.

    Example:
        >>> CarZeroConfig().grid, CarZeroConfig.tiny().width
        ((14, 14), 32)
    """

    width: int = 768
    image_size: int = 224
    patch_size: int = 16
    image_layers: int = 12
    image_heads: int = 12
    image_hidden: int = 3072
    vocabulary_size: int = 28996
    positions: int = 512
    text_layers: int = 12
    text_heads: int = 12
    text_hidden: int = 3072
    summed_layers: int = 4
    slots: int = 97
    fusion_layers: int = 4
    fusion_heads: int = 4
    fusion_hidden: int = 1024
    head_widths: tuple[int, ...] = (1024, 512, 256)

    def __post_init__(self) -> None:
        for heads in ("image_heads", "text_heads", "fusion_heads"):
            if self.width % getattr(self, heads):
                raise ConfigError(
                    f"width {self.width} does not divide by {heads} {getattr(self, heads)}.",
                    "Choose a multiple.",
                )
        if self.image_size % self.patch_size:
            raise ConfigError(
                f"image_size {self.image_size} does not divide by patch_size {self.patch_size}.",
                "Choose a multiple.",
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Patches in (rows, columns)."""
        side = self.image_size // self.patch_size
        return side, side

    @classmethod
    def tiny(cls) -> CarZeroConfig:
        """The same model at a size for tests and for `offclip verify`: some 100,000 parameters."""
        return cls(
            width=32,
            image_size=64,
            image_layers=3,
            image_heads=4,
            image_hidden=64,
            vocabulary_size=1024,
            positions=64,
            text_layers=5,
            text_heads=4,
            text_hidden=64,
            slots=25,
            fusion_layers=4,
            fusion_heads=4,
            fusion_hidden=48,
            head_widths=(32, 24, 16),
        )
