"""Everything that decides what a training run does."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, get_args

from offclip.errors import ConfigError
from offclip.losses import Weighting

OBJECTIVES = ("infonce", "siglip", "off-diagonal", "offclip", "multi-positive")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A training recipe; the defaults were chosen on validation phantoms (docs/results.md).

    Attributes:
        objective: One of `OBJECTIVES`.
        filter_sentences: Drop the normal sentences of abnormal reports.
        model: Name in the model registry.
        image_size: Side of the square input in pixels.
        epochs: Passes over the training studies.
        batch_size: Pairs a step.
        learning_rate: Peak of the warm-up and cosine schedule.
        weight_decay: Of AdamW, on matrices only.
        warmup_share: Share of the steps in which the rate rises.
        prompt_share: How often a sentence is shown in its prompt form.
        augment: Small random rotations, shifts, scalings and exposures of the training images.
        mask_identical: Leave cells whose two sentences are the same, word for word, out of the loss.
        off_diagonal_weight: w_off of OFF-CLIP.
        abnormal_weight: w_abn of OFF-CLIP.
        off_diagonal_bias: Added to the logits inside the off-diagonal term.
        cell_weighting: What the cells of the off-diagonal term weigh (`off_diagonal_loss`).
        precision: `fp32`, `bf16` (mixed), or `auto`: bf16 where the machine multiplies it in hardware.
        seed: Of the weights, the order, the draws and the augmentation.
        save_every_s: Seconds between two saved states.

    Example:
        >>> TrainConfig(objective="infonce", filter_sentences=False).batch_size
        64
    """

    objective: str = "offclip"
    filter_sentences: bool = True
    model: str = "compact"
    image_size: int = 64
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_share: float = 0.1
    prompt_share: float = 0.5
    augment: bool = True
    mask_identical: bool = False
    off_diagonal_weight: float = 4.0
    abnormal_weight: float = 0.5
    off_diagonal_bias: float = -1.0
    cell_weighting: Weighting = "blocks"
    precision: str = "auto"
    seed: int = 0
    save_every_s: float = 60.0

    def __post_init__(self) -> None:
        for name, known in (
            ("objective", OBJECTIVES),
            ("precision", PRECISIONS),
            ("cell_weighting", get_args(Weighting)),
        ):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"Unknown {name} {getattr(self, name)!r}.", f"Choose one of: {', '.join(known)}."
                )
        for name, low in (("epochs", 1), ("batch_size", 2), ("seed", 0), ("save_every_s", 0)):
            if getattr(self, name) < low:
                raise ConfigError(f"{name} is {getattr(self, name)}.", f"Choose at least {low}.")
        if not self.learning_rate > 0:
            raise ConfigError(
                f"learning_rate is {self.learning_rate}.", "Choose a positive number, such as 1e-3."
            )
        for name in ("weight_decay", "off_diagonal_weight", "abnormal_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}.", "Choose a finite number, at least 0.")
        if not math.isfinite(self.off_diagonal_bias):
            raise ConfigError(f"off_diagonal_bias is {self.off_diagonal_bias}.", "Choose a finite number.")
        for name in ("warmup_share", "prompt_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}.", "Choose a share between 0 and 1.")

    @property
    def needs_both_labels(self) -> bool:
        """Whether the objective means nothing without both normal and abnormal studies."""
        return self.objective in ("off-diagonal", "offclip", "multi-positive")

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values, for JSON."""
        return dataclasses.asdict(self)
