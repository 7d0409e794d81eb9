"""The gradient of a large batch in the memory of a small one.

A contrastive loss looks at all pairs of a batch, but through their features alone. So the features are
computed without a graph, a few pairs at a time; then the loss and its gradient by the features; then each few
again, with a graph, into which the gradient by their features goes (GradCache: Gao et al., RepL4NLP 2021).
The towers work twice, and the gradients are those of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from offclip.errors import ConfigError
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures
from offclip.training.features import Encoders, joined_images, joined_texts
from offclip.training.precision import Precision

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)

F = TypeVar("F", ImageFeatures, TextFeatures)
Loss = Callable[[ImageFeatures, TextFeatures], Tensor]


def backward(
    encoders: Encoders,
    loss_of: Loss,
    chunk: int,
    precision: Precision,
) -> Tensor:
    """The loss of a batch; its gradients are in the weights afterwards.

    Args:
        encoders: The batch.
        loss_of: From the features of the whole batch to the loss.
        chunk: Images, and texts, at a time; 0 for all of them at once, in one pass.
        precision: In which numbers; its scale is in the gradients.
    """
    if not chunk:
        with precision.autocast():
            text, image = encoders.text(slice(None)), encoders.image(slice(None))
            loss = loss_of(image, text)
        precision.scaler.scale(loss).backward()
        return loss.detach()
    image_chunks = [_Chunk(encoders.image, part) for part in _parts(encoders.images, chunk)]
    text_chunks = [_Chunk(encoders.text, part) for part in _parts(encoders.texts, chunk)]
    with torch.no_grad(), precision.autocast():
        text = joined_texts([one.first() for one in text_chunks])
        image = joined_images([one.first() for one in image_chunks])
    image = ImageFeatures(_leaf(image.pooled), _leaf(image.local), image.grid)
    text = TextFeatures(_leaf(text.pooled), _leaf(text.tokens), text.mask)
    with precision.autocast():
        loss = loss_of(image, text)
    precision.scaler.scale(loss).backward()
    for one in () if "text" in encoders.frozen else text_chunks:
        with precision.autocast():
            again = one.again()
        tokens = _rows(text.tokens.grad, one.part)
        if tokens is not None:
            tokens = tokens[:, : again.tokens.shape[1]]
        _push((again.pooled, _rows(text.pooled.grad, one.part)), (again.tokens, tokens))
    for one in () if "image" in encoders.frozen else image_chunks:
        with precision.autocast():
            again = one.again()
        local = _rows(image.local.grad, one.part)
        _push((again.pooled, _rows(image.pooled.grad, one.part)), (again.local, local))
    return loss.detach()


def refuse_batch_norm(model: ClipModel) -> None:
    """Says that a chunk has other statistics than its batch, where a tower in training mode looks at them.

    Raises:
        ConfigError: A tower has batch norm in training mode.
    """
    towers = {name: tower.module for name, tower in model.towers().items()} or {"whole": model}
    for name, tower in towers.items():
        if any(isinstance(module, _BATCH_NORMS) and module.training for module in tower.modules()):
            raise ConfigError(
                f"cache_chunk: the {name} tower has batch norm, and a chunk has other statistics than all.",
                f"Choose cache_chunk 0, or {name}_layers 'none' or 'lora', which leave batch norm alone.",
            )


class _Chunk(Generic[F]):
    """Some rows of a batch, encoded twice with the same random numbers."""

    def __init__(self, encode: Callable[[slice], F], part: slice) -> None:
        self.encode, self.part = encode, part
        self.random: list[Tensor] = []

    def first(self) -> F:
        self.random = [torch.get_rng_state()]
        if torch.cuda.is_available():
            self.random.append(torch.cuda.get_rng_state())
        return self.encode(self.part)

    def again(self) -> F:
        with _random_state(self.random):
            return self.encode(self.part)


@contextmanager
def _random_state(states: list[Tensor]) -> Iterator[None]:
    devices = [torch.cuda.current_device()] if len(states) > 1 else []
    with torch.random.fork_rng(devices=devices):
        torch.set_rng_state(states[0])
        if devices:
            torch.cuda.set_rng_state(states[1])
        yield


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_()


def _rows(gradient: Tensor | None, part: slice) -> Tensor | None:
    return None if gradient is None else gradient[part]


def _push(*pairs: tuple[Tensor, Tensor | None]) -> None:
    """Sends gradients into the graphs of features, as far as there are any."""
    known = [(x, gradient) for x, gradient in pairs if gradient is not None and x.requires_grad]
    if known:
        torch.autograd.backward([x for x, _ in known], [gradient for _, gradient in known])


def _parts(count: int, chunk: int) -> Iterator[slice]:
    return (slice(start, min(start + chunk, count)) for start in range(0, count, chunk))
