"""From the pairs of a batch to features: computed, or looked up where nothing in a tower can change them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from offclip.data.loader import PixelStore
from offclip.data.sampling import Batch
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures
from offclip.training.augment import augment, make_augmentation
from offclip.training.config import TrainConfig
from offclip.training.precision import Precision
from offclip.training.tuning import Tuning

log = logging.getLogger(__name__)

LIMIT_BYTES = 2 * 2**30
_AT_A_TIME = 64


@dataclass(frozen=True, slots=True)
class Encoders:
    """One batch, from which any part can be encoded.

    Attributes:
        image: From a slice of the batch to the features of its images.
        text: From a slice of the texts to their features.
        images, texts: How many there are; a text that several studies share is there once.
        column: (B,) the text of each study.
        frozen: Names of the encoders that nothing is learnt in.
    """

    image: Callable[[slice], ImageFeatures]
    text: Callable[[slice], TextFeatures]
    images: int
    texts: int
    column: Tensor
    frozen: frozenset[str] = frozenset()


class Features:
    """What the towers make of batches.

    Features of a frozen tower are computed once, when nothing random acts on what goes into it and they
    need no more than 2 GiB.

    Args:
        tuning: The model, and what of it is frozen.
        config: The recipe.
        precision: In which features that are kept are computed.
        store: The pixels.
        tokens: Ids and mask of all training texts.
    """

    def __init__(
        self,
        tuning: Tuning,
        config: TrainConfig,
        precision: Precision,
        store: PixelStore,
        tokens: tuple[Tensor, Tensor],
    ) -> None:
        self.model = tuning.model
        self.config = config
        self.store = store
        self.token_ids, self.token_mask = tokens
        self.frozen = tuning.frozen
        self.augmentation = make_augmentation()
        self.kept_images: ImageFeatures | None = None
        self.kept_texts: TextFeatures | None = None
        self.local = self.tokens = True
        self.model.eval()
        if config.cache_chunk or self.frozen:
            self.local, self.tokens = self._read_by_the_loss()
        with torch.no_grad(), precision.autocast():
            if "text" in self.frozen:
                self.kept_texts = self._keep_texts()
            if "image" in self.frozen and not config.augment:
                self.kept_images = self._keep_images()

    def of(self, batch: Batch, seed: tuple[int, int, int]) -> Encoders:
        """The encoders of a batch; `seed` decides on the augmentation."""
        device = self.token_ids.device
        texts, column = torch.unique(torch.from_numpy(batch.texts).to(device), return_inverse=True)
        rows = torch.from_numpy(batch.images).to(device)
        squares = None
        if self.kept_images is None:
            squares = self.store.batch(batch.images)
            if self.config.augment:
                squares = augment(squares, self.augmentation, seed)

        def image(part: slice) -> ImageFeatures:
            if squares is None and self.kept_images is not None:
                kept = self.kept_images
                return ImageFeatures(kept.pooled[rows[part]], kept.local[rows[part]], kept.grid)
            return self._image(squares[part])  # type: ignore[index]

        def text(part: slice) -> TextFeatures:
            kept = self.kept_texts
            if kept is not None:
                return TextFeatures(
                    kept.pooled[texts[part]], kept.tokens[texts[part]], kept.mask[texts[part]]
                )
            return self._text(self.token_ids[texts[part]], self.token_mask[texts[part]])

        return Encoders(image, text, len(rows), len(texts), column, self.frozen)

    def _image(self, squares: Tensor) -> ImageFeatures:
        features = encode_squares(self.model, squares)
        return features if self.local else replace(features, local=features.local[:, :0])

    def _text(self, token_ids: Tensor, token_mask: Tensor) -> TextFeatures:
        features = encode_tokens(self.model, token_ids, token_mask)
        return features if self.tokens else replace(features, tokens=features.tokens[:, :0])

    def _read_by_the_loss(self) -> tuple[bool, bool]:
        """Whether cells and tokens matter; where they do not, they need not be kept."""
        with torch.no_grad():
            image = encode_squares(self.model, self.store.batch([0]))
            text = encode_tokens(self.model, self.token_ids[:1], self.token_mask[:1])
        local, tokens = image.local.clone().requires_grad_(), text.tokens.clone().requires_grad_()
        matrices = self.model.training_logits(replace(image, local=local), replace(text, tokens=tokens))
        total = torch.stack([matrix.float().sum() for matrix in matrices]).sum()
        found = torch.autograd.grad(total, (local, tokens), allow_unused=True)
        return found[0] is not None, found[1] is not None

    def _keep_texts(self) -> TextFeatures | None:
        parts: list[TextFeatures] = []
        size = 0
        for part in _parts(len(self.token_ids)):
            parts.append(self._text(self.token_ids[part], self.token_mask[part]))
            size += parts[-1].pooled.nbytes + parts[-1].tokens.nbytes
            if size * len(self.token_ids) > LIMIT_BYTES * part.stop:
                return _too_many("texts")
        return joined_texts(parts)

    def _keep_images(self) -> ImageFeatures | None:
        parts: list[ImageFeatures] = []
        size = 0
        for part in _parts(len(self.store.image_ids)):
            parts.append(self._image(self.store.batch(range(part.start, part.stop))))
            size += parts[-1].pooled.nbytes + parts[-1].local.nbytes
            if size * len(self.store.image_ids) > LIMIT_BYTES * part.stop:
                return _too_many("images")
        return joined_images(parts)


def encode_squares(model: ClipModel, squares: Tensor) -> ImageFeatures:
    """Features of (B, S, S) uint8."""
    return model.encode_image(model.preprocess.normalise(squares.to(model.device)))


def encode_tokens(model: ClipModel, token_ids: Tensor, token_mask: Tensor) -> TextFeatures:
    """Features of (T, L) ids; columns that are padding everywhere are left out."""
    length = int(token_mask.sum(dim=1).max())
    return model.encode_text(token_ids[:, :length], token_mask[:, :length])


def joined_images(parts: list[ImageFeatures]) -> ImageFeatures:
    """One after the other."""
    return ImageFeatures(
        torch.cat([part.pooled for part in parts]), torch.cat([part.local for part in parts]), parts[0].grid
    )


def joined_texts(parts: list[TextFeatures]) -> TextFeatures:
    """One after the other; the shorter ones get padding."""
    columns = max(part.mask.shape[1] for part in parts)
    length = max(part.tokens.shape[1] for part in parts)
    return TextFeatures(
        torch.cat([part.pooled for part in parts]),
        torch.cat([F.pad(part.tokens, (0, 0, 0, length - part.tokens.shape[1])) for part in parts]),
        torch.cat([F.pad(part.mask, (0, columns - part.mask.shape[1])) for part in parts]),
    )


def pair_logits(
    model: ClipModel, image: ImageFeatures, text: TextFeatures, column: Tensor
) -> tuple[Tensor, ...]:
    """The (B, B) logit matrices of a batch: a column a study, from a column a text."""
    return tuple(matrix[:, column] for matrix in model.training_logits(image, text))


def batch_logits(
    model: ClipModel, squares: Tensor, batch: Batch, token_ids: Tensor, token_mask: Tensor
) -> tuple[Tensor, ...]:
    """The (B, B) logit matrices of a batch; a text that several studies share is encoded once."""
    texts, column = torch.unique(torch.from_numpy(batch.texts).to(token_ids.device), return_inverse=True)
    text = encode_tokens(model, token_ids[texts], token_mask[texts])
    return pair_logits(model, encode_squares(model, squares), text, column)


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _AT_A_TIME, count)) for start in range(0, count, _AT_A_TIME))


def _too_many(what: str) -> None:
    log.info("Features of all %s would take more than 2 GiB; they are computed again in every step.", what)
