"""A Lightning module with OffClipLoss, around any model of offclip.

    python examples/lightning_module.py

Needs lightning 2.6.6 or later: releases 2.6.2 and 2.6.3 on the package index were poisoned with malware.
"""

from __future__ import annotations

from collections.abc import Sequence

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from films import NORMAL, SIZE, UNCERTAIN, Measured, measure, parser, prepared, show
from offclip.losses import OffClipLoss
from offclip.models import ClipModel, ImageFeatures, TextFeatures
from offclip.models.registry import architecture, build_model
from offclip.training.gather import AllGather

BATCH, LEARNING_RATE = 32, 1e-3


class OffClipModule(lightning.LightningModule):
    """Trains a model that compares by cosine, such as `offclip.load(NAME)` gives."""

    def __init__(self, model: ClipModel, learning_rate: float = LEARNING_RATE) -> None:
        super().__init__()
        self.model, self.learning_rate = model, learning_rate
        # The negatives of a pair are the others of its batch: with several processes, of all of them.
        self.loss = OffClipLoss(gather=AllGather())

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        """Features of unit length, the scale, and the flags."""
        pixels, tokens, label = batch
        image, text = features(self.model, pixels, tokens)
        parts = self.loss(
            image_features=F.normalize(image.pooled, dim=-1),
            text_features=F.normalize(text.pooled, dim=-1),
            logit_scale=self.model.head.scale(),
            logit_bias=self.model.head.bias,
            normal=label == NORMAL,
            uncertain=label == UNCERTAIN,
            output_dict=True,
        )
        self.log_dict(parts, prog_bar=True)
        return sum(parts.values())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW on everything."""
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate)


def features(model: ClipModel, pixels: Tensor, tokens: Tensor) -> tuple[ImageFeatures, TextFeatures]:
    """What the two towers make of a batch: films of one channel, and sentences that 0 fills up."""
    tokens = tokens[:, : model.tokenizer.max_tokens]
    return model.encode_image(pixels[:, :1]), model.encode_text(tokens, tokens != 0)


def main(argv: Sequence[str] | None = None) -> tuple[Measured, Measured]:
    """Trains, prints and returns what was measured before and after."""
    arguments = parser(str(__doc__).splitlines()[0], steps=150).parse_args(argv)
    with prepared(arguments) as (films, out):
        module = OffClipModule(build_model(architecture("compact-small", SIZE), films.tokenizer))

        def logits(pixels: Tensor, tokens: Tensor) -> Tensor:
            model = module.model.eval()
            return model.similarity(*features(model, pixels, tokens))

        before = measure(logits, films)
        module.train()
        trainer = lightning.Trainer(
            max_steps=arguments.steps,
            accelerator="cpu",
            devices=1,
            default_root_dir=out,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, DataLoader(films.train, BATCH, shuffle=True, drop_last=True))
        after = measure(logits, films)
    show(before, after)
    return before, after


if __name__ == "__main__":
    main()
