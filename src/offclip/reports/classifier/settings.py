"""How a labeller is fitted: what both kinds share, and what each has of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from offclip.errors import ConfigError
from offclip.reports.classifier.combine import Thresholds
from offclip.reports.classifier.features import FeatureConfig


@dataclass(frozen=True, slots=True)
class FitConfig:
    """What is taught, and how it is measured.

    Attributes:
        seed: Of the draw, the split, and an encoder's training.
        hand_weight: How many sentences labelled by rule one labelled by hand is worth.
        validation: Share of the sentences that is held out to measure.
        limit: At most so many sentences labelled by rule.
        folds: Parts of the cross-validation on the hand labels.
        thresholds: From when on the classifier is believed.

    Raises:
        ConfigError: A value is out of range.

    Example:
        >>> FitConfig().hand_weight
        5.0
    """

    seed: int = 0
    hand_weight: float = 5.0
    validation: float = 0.1
    limit: int = 100_000
    folds: int = 5
    thresholds: Thresholds = field(default_factory=Thresholds)

    def __post_init__(self) -> None:
        _between(self, seed=(0, 2**32 - 1), limit=(2, 10**8), folds=(2, 20), hand_weight=(0.01, 1e4))
        _between(self, validation=(0.01, 0.5))


@dataclass(frozen=True, slots=True)
class LinearConfig:
    """How the linear classifier is fitted.

    Attributes:
        features: Which n-grams.
        regularisation: Inverse strength, scikit-learn's C.

    Raises:
        ConfigError: A value is out of range.
    """

    features: FeatureConfig = field(default_factory=FeatureConfig)
    regularisation: float = 1.0

    def __post_init__(self) -> None:
        _between(self, regularisation=(1e-4, 1e4))


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """How a text encoder is fine-tuned.

    Attributes:
        model: A folder, or an id on the Hugging Face hub.
        epochs: Passes over the sentences at most.
        patience: Epochs without a better validation loss after which training stops.
        batch_size: Sentences a step.
        learning_rate: Peak of a linear warm-up and decay.
        warm_up: Share of the steps in which the rate rises.
        weight_decay: Of AdamW, not on biases and norms.
        max_length: Tokens a sentence.
        device: `"cpu"`, `"cuda"`, ...; by default a GPU if there is one.

    Raises:
        ConfigError: A value is out of range.

    Example:
        >>> EncoderConfig("bert-folder").epochs
        4
    """

    model: str
    epochs: int = 4
    patience: int = 1
    batch_size: int = 32
    learning_rate: float = 2e-5
    warm_up: float = 0.1
    weight_decay: float = 0.01
    max_length: int = 128
    device: str | None = None

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError(
                "An encoder needs a model.", "Give --model with a folder or the id of a text encoder."
            )
        _between(self, epochs=(1, 1_000), patience=(1, 1_000), batch_size=(1, 4_096), max_length=(4, 8_192))
        _between(self, learning_rate=(1e-8, 1.0), warm_up=(0.0, 0.9), weight_decay=(0.0, 1.0))


def _between(config: object, **limits: tuple[float, float]) -> None:
    for name, (low, high) in limits.items():
        value = getattr(config, name)
        whole = isinstance(low, int) and isinstance(high, int)
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise ConfigError(
                f"{name} is {value!r}.", f"Give a {'whole ' if whole else ''}number from {low:g} to {high:g}."
            )
