"""Everything that decides what a training run does."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any, get_args

from offclip.errors import ConfigError
from offclip.losses import Weighting
from offclip.models.registry import ARCHITECTURES

OBJECTIVES = ("infonce", "siglip", "off-diagonal", "offclip", "multi-positive")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
LAYERS = re.compile(r"all|none|lora|last-[1-9][0-9]*")
NEW_RATE, LOADED_RATE = 3e-3, 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A training recipe; the defaults were chosen on validation phantoms (docs/results.md).

    Attributes:
        objective: One of `OBJECTIVES`.
        filter_sentences: Drop the normal sentences of abnormal reports.
        model: An architecture, which is built anew, or the name or folder of a model to go on from.
        image_size: Side of the square input in pixels; None for the model's own.
        epochs: Passes over the training studies.
        batch_size: Pairs a step.
        learning_rate: Peak of the warm-up and cosine schedule; None: 3e-3 for an architecture, 1e-4 for
            weights that are there already.
        weight_decay: Of AdamW, on matrices only.
        warmup_share: Share of the steps in which the rate rises.
        prompt_share: How often a sentence is shown in its prompt form.
        augment: Small random rotations, shifts, scalings and exposures of the training images.
        mask_identical: Leave cells whose two sentences are the same, word for word, out of the loss.
        off_diagonal_weight: w_off of OFF-CLIP.
        abnormal_weight: w_abn of OFF-CLIP.
        off_diagonal_bias: Added to the logits inside the off-diagonal term.
        cell_weighting: What the cells of the off-diagonal term weigh (`off_diagonal_loss`).
        precision: `fp32`, `bf16` or `fp16` (mixed), or `auto`: bf16 where the hardware multiplies it.
        image_layers: What of the image tower is trained: `all`, `none`, `last-N` (the last N blocks and what
            stands behind them), or `lora` (small matrices beside the frozen ones, merged at the end).
        text_layers: The same of the text tower.
        layer_decay: Each block's rate is so many times that of the block behind it; 1 for one rate.
        lora_rank: Rank of the matrices of LoRA.
        lora_alpha: Their product is multiplied by `lora_alpha / lora_rank`.
        cache_chunk: Pairs that the towers see at a time, with the gradients of the whole batch
            (`gradient_cache`); 0 for all of them.
        ema: Decay of a running mean of the weights, which is what is validated and saved; 0 for none.
        seed: Of the weights, the order, the draws and the augmentation.
        save_every_s: Seconds between two saved states.

    Example:
        >>> TrainConfig(objective="infonce", filter_sentences=False).batch_size
        64
    """

    objective: str = "offclip"
    filter_sentences: bool = True
    model: str = "compact"
    image_size: int | None = None
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float | None = None
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
    image_layers: str = "all"
    text_layers: str = "all"
    layer_decay: float = 1.0
    lora_rank: int = 8
    lora_alpha: float = 16.0
    cache_chunk: int = 0
    ema: float = 0.0
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
        lowest = {
            "epochs": 1,
            "batch_size": 2,
            "seed": 0,
            "save_every_s": 0,
            "lora_rank": 1,
            "cache_chunk": 0,
        }
        for name, low in lowest.items():
            if getattr(self, name) < low:
                raise ConfigError(f"{name} is {getattr(self, name)}.", f"Choose at least {low}.")
        for name, example in (("learning_rate", "1e-3"), ("lora_alpha", "16")):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} is {value}.", f"Choose a positive number, such as {example}.")
        for name in ("image_layers", "text_layers"):
            if not LAYERS.fullmatch(getattr(self, name)):
                raise ConfigError(
                    f"{name} is {getattr(self, name)!r}.",
                    "Choose all, none, lora, or last-N, such as last-2.",
                )
        if not 0 < self.layer_decay <= 1:
            raise ConfigError(f"layer_decay is {self.layer_decay}.", "Choose more than 0 and at most 1.")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema is {self.ema}.", "Choose 0 for none, or less than 1, such as 0.999.")
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

    @property
    def peak_rate(self) -> float:
        """The learning rate, or the default of what the model is."""
        if self.learning_rate is not None:
            return self.learning_rate
        return NEW_RATE if self.model in ARCHITECTURES else LOADED_RATE

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values, for JSON."""
        return dataclasses.asdict(self)
