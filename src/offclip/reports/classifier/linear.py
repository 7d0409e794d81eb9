"""The linear classifier: one weight for every column of the features and every class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offclip.errors import CheckpointError
from offclip.reports.classifier.features import FeatureConfig, sentence_features
from offclip.reports.classifier.training_set import CLASSES


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Softmax regression over hashed n-grams.

    Attributes:
        features: Which n-grams.
        weights: (classes, columns) float32.
        bias: (classes,) float32.

    Example:
        >>> config = FeatureConfig(bits=8)
        >>> model = LinearModel(config, np.zeros((3, 256), np.float32), np.zeros(3, np.float32))
        >>> model.probabilities(["Clear.", "Effusion."]).shape
        (2, 3)
    """

    features: FeatureConfig
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def probabilities(self, sentences: Sequence[str], /) -> NDArray[np.float32]:
        """Return (sentences, classes) probabilities."""
        rows = sentence_features(sentences, self.features)
        logits = np.repeat(self.bias[None].astype(np.float64), len(sentences), axis=0)
        row_of_entry = np.repeat(np.arange(len(sentences)), np.diff(rows.offsets))
        for i, weights in enumerate(self.weights):
            # One sum a row, in the order of its entries: the same with one sentence as with thousands.
            logits[:, i] += np.bincount(
                row_of_entry, weights[rows.columns] * rows.values, minlength=len(sentences)
            )
        return softmax(logits).astype(np.float32)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the softmax over the last axis.

    Example:
        >>> softmax(np.array([[0.0, 0.0]])).tolist()
        [[0.5, 0.5]]
    """
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def dump_linear(model: LinearModel) -> bytes:
    """Return the weights as a safetensors file."""
    from safetensors.numpy import save

    return save({"bias": model.bias, "weights": model.weights})


def read_linear(content: bytes, features: FeatureConfig, where: str) -> LinearModel:
    """Read weights written by `dump_linear`.

    Raises:
        CheckpointError: They are no safetensors file, or do not fit the features.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
    except SafetensorError as error:
        raise CheckpointError(f"{where}: no safetensors file ({error}).", "Copy the folder again.") from error
    shapes = {"bias": (len(CLASSES),), "weights": (len(CLASSES), features.columns)}
    if set(tensors) != set(shapes):
        raise CheckpointError(f"{where}: holds {', '.join(sorted(tensors))}.", "Fit the labeller again.")
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.shape != shape or tensor.dtype != np.float32:
            raise CheckpointError(
                f"{where}: {name} is {tensor.dtype} {tensor.shape}; the card says float32 {shape}.",
                "Use the card of these weights.",
            )
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"{where}: {name} has values that are not finite.", "Fit it again.")
    return LinearModel(features, tensors["weights"], tensors["bias"])
