"""Heat maps made of gradients: Grad-CAM, and attention weighted by its gradient.

Both run the part of the model that they need with a graph of their own, so they may be called in inference
mode, and on texts that were encoded in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from offclip.errors import InputError
from offclip.models.heads import CrossAttentionHead
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures

# Images at a time. CARZero's tower splits larger batches itself, and would call the layer more than once.
_AT_ONCE = 8


def grad_cam(model: ClipModel, layer: nn.Module, pixels: Tensor, text: TextFeatures) -> Tensor:
    """Grad-CAM of one layer: its channels, weighted by the mean gradient of the logit by them, positive part.

    Args:
        model: In evaluation mode.
        layer: A layer of the image tower, called once an image, or again with the same input: a convolution
            with output (B, C, rows, columns), or a block of a transformer with output (B, N, C), whose last
            tokens are the cells of the image features; the output may be the first item of a tuple. Without
            an effect of its cells on the logit the map is zero.
        pixels: (B, 1 or 3, S, S) normalised.
        text: T sentences.

    Returns:
        (B, T, rows, columns) float32 on the grid of the layer, not negative, without a gradient.

    Raises:
        InputError: The layer's output is neither.

    Source:
        Selvaraju et al., Grad-CAM: Visual explanations from deep networks via gradient-based localization,
        ICCV 2017, equations 1 and 2; for a vision transformer the patch tokens take the place of the pixels.

    Example:
        >>> from offclip.models import DualEncoder, DualEncoderConfig, TextTokenizer
        >>> tokenizer = TextTokenizer.fit(["There is no finding.", "There is a nodule."])
        >>> config = DualEncoderConfig(image_width=8, embed_dim=32, text_width=32)
        >>> model = DualEncoder(config, tokenizer).eval()
        >>> with torch.inference_mode():
        ...     text = model.embed_texts(["There is a nodule."])
        ...     grad_cam(model, model.image_tower.blocks, torch.zeros(2, 1, 64, 64), text).shape
        torch.Size([2, 1, 8, 8])
    """
    with torch.inference_mode(False):
        texts = [_one(text, row) for row in range(len(text.pooled))]
        return torch.cat([_cam(model, layer, part.clone(), texts) for part in pixels.split(_AT_ONCE)])


def attention_gradient(head: CrossAttentionHead, image: ImageFeatures, text: TextFeatures) -> Tensor:
    """Attention times the gradient of the logit by it, positive part, mean over the heads.

    Attention says where a sentence looked; the gradient says whether looking there raised the logit.

    Args:
        head: Of a compact model, in evaluation mode.
        image: B images.
        text: T sentences.

    Returns:
        (B, T, rows, columns) float32, not negative, without a gradient; the pooled vector is dropped.

    Source:
        Chefer, Gur, Wolf, Generic attention-model explainability for interpreting bi-modal and
        encoder-decoder transformers, ICCV 2021; with one layer their rule comes down to this.
    """
    with torch.inference_mode(False), torch.enable_grad():
        image = ImageFeatures(image.pooled.detach().clone(), image.local.detach().clone(), image.grid)
        text = _copy(text)
        attention = head.attention(image, text).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(head.answer(attention, image, text).sum(), attention)
        weighted = (gradient * attention.detach()).relu().mean(dim=1)
        return weighted[..., 1:].float().unflatten(-1, image.grid)


def _cam(model: ClipModel, layer: nn.Module, pixels: Tensor, texts: Sequence[TextFeatures]) -> Tensor:
    with torch.no_grad(), _graph_from(layer) as found:
        image = model.encode_image(pixels)
    if not found:
        raise InputError(f"{type(layer).__name__} took no part in encoding the image.", "Name another layer.")
    (channels, grid), maps = _on_grid(found[0].detach(), image.grid), []
    for text in texts:
        with torch.enable_grad():
            # An image's logit depends on no other image: the gradient of the sum is that of each.
            total = model.similarity(image, text).sum()
        # A tower may call its last block a second time, for the cells alone: then one of these is zero.
        gradients = torch.autograd.grad(total, found, retain_graph=True, materialize_grads=True)
        weights = _on_grid(sum(gradients, torch.zeros_like(found[0])), image.grid)[0].mean(dim=1)  # B C
        maps.append(torch.einsum("bpc,bc->bp", channels, weights).relu().float())
    return torch.stack(maps, dim=1).unflatten(-1, grid)


@contextmanager
def _graph_from(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Within it a graph begins at the layer's output; what comes before the layer leaves none."""
    found: list[Tensor] = []

    def begin(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> object:
        del module, inputs
        first, *rest = output if isinstance(output, tuple) else (output,)
        leaf = first.detach().requires_grad_()
        found.append(leaf)
        torch.set_grad_enabled(True)  # until the caller's own context ends
        return (leaf, *rest) if isinstance(output, tuple) else leaf

    handle = layer.register_forward_hook(begin)
    try:
        yield found
    finally:
        handle.remove()


def _on_grid(output: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """The cells of a layer (B, P, C), and their grid.

    Of tokens (B, N, C) the last `grid` are the cells, whatever stands before them.
    """
    if output.ndim == 4:
        return output.flatten(2).transpose(1, 2), (output.shape[2], output.shape[3])  # B C h w -> B P C
    cells = grid[0] * grid[1]
    if output.ndim != 3 or output.shape[1] < cells:
        raise InputError(
            f"A layer with output {tuple(output.shape)} has no cells for a grid of {grid[0]} x {grid[1]}.",
            "Name a layer with output (images, channels, rows, columns) or (images, tokens, channels).",
        )
    return output[:, -cells:], grid


def _one(text: TextFeatures, row: int) -> TextFeatures:
    rows = slice(row, row + 1)
    return _copy(TextFeatures(text.pooled[rows], text.tokens[rows], text.mask[rows]))


def _copy(text: TextFeatures) -> TextFeatures:
    """A copy that a graph can be built on: tensors made in inference mode cannot be."""
    return TextFeatures(*(part.detach().clone() for part in (text.pooled, text.tokens, text.mask)))
