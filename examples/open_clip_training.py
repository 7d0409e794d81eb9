"""open_clip's own training loop, with OffClipLoss where ClipLoss stood.

    python examples/open_clip_training.py

The loop (`open_clip_train.train.train_one_epoch`, in the wheel of open_clip_torch 3.3.0) knows images and
texts, and calls `loss(**model_out, output_dict=True)`. The label of a pair therefore travels as one more
column of its tokens, and a thin module around the model turns it into the flags that the loss wants.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import SimpleNamespace

import open_clip
import torch
from open_clip_train.scheduler import cosine_lr
from open_clip_train.train import train_one_epoch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from films import LENGTH, NORMAL, SIZE, UNCERTAIN, FilmDataset, Measured, measure, parser, prepared, show
from offclip.losses import OffClipLoss

BATCH, LEARNING_RATE = 32, 1e-3


class LabelledTokens(Dataset[tuple[Tensor, Tensor]]):
    """What open_clip's loop takes: an image, and its tokens with the label behind them."""

    def __init__(self, pairs: FilmDataset) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        pixels, tokens, label = self.pairs[index]
        return pixels, torch.cat([tokens, torch.tensor([label])])


class WithFlags(nn.Module):
    """A CLIP that returns the flags beside the features.

    With accum_freq > 1 the loop joins what has one row a pair over the accumulated batches, the flags too.
    """

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.clip = clip

    @property
    def logit_scale(self) -> Tensor:
        """The loop keeps it below 100."""
        return self.clip.logit_scale

    def forward(self, images: Tensor, texts: Tensor) -> dict[str, Tensor]:
        """The output of the model, with normal and uncertain flags (N,)."""
        tokens, label = texts[:, :-1], texts[:, -1]
        return {**self.clip(images, tokens), "normal": label == NORMAL, "uncertain": label == UNCERTAIN}


def tiny_clip(vocabulary: int, logit_bias: float | None = None) -> open_clip.CLIP:
    """Small enough for a CPU; open_clip.create_model(..., output_dict=True) gives a real one."""
    vision = {"image_size": SIZE, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8}
    text = {"context_length": LENGTH, "vocab_size": vocabulary, "width": 64, "heads": 2, "layers": 2}
    text |= {"pool_type": "eos", "eos_id": 0}
    return open_clip.CLIP(64, vision, text, init_logit_bias=logit_bias, output_dict=True)


def train(
    model: nn.Module,
    data: Dataset,
    loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    accum_freq: int = 1,
    precision: str = "fp32",
) -> None:
    """Some optimiser steps of open_clip's loop; an epoch is as long as that takes."""
    batches = steps * accum_freq
    sampler = RandomSampler(data, num_samples=batches * BATCH)  # type: ignore[arg-type]
    loader = DataLoader(data, BATCH, sampler=sampler)
    loader.num_batches, loader.num_samples = batches, batches * BATCH  # type: ignore[attr-defined]
    source = SimpleNamespace(dataloader=loader, set_epoch=lambda epoch: None)
    args = SimpleNamespace(
        device="cpu", precision=precision, accum_freq=accum_freq, batch_size=BATCH, grad_clip_norm=1.0,
        distill=False, skip_scheduler=False, horovod=False, world_size=1, rank=0,
        log_every_n_steps=20, wandb=False,
    )  # fmt: skip
    schedule = cosine_lr(optimizer, LEARNING_RATE, warmup_length=min(10, steps // 2), steps=steps)
    train_one_epoch(model, {"train": source}, loss, 0, optimizer, None, schedule, None, args)


def main(argv: Sequence[str] | None = None) -> tuple[Measured, Measured]:
    """Trains, prints and returns what was measured before and after."""
    options = parser(str(__doc__).splitlines()[0], steps=150)
    options.add_argument("--accum-freq", type=int, default=1)
    options.add_argument("--precision", choices=["fp32", "amp_bf16"], default="fp32")
    options.add_argument("--logit-bias", type=float, help="initial bias, for a model that learns one")
    arguments = options.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # the loop logs the two terms of the loss
    with prepared(arguments) as (films, _):
        clip = tiny_clip(films.tokenizer.vocabulary_size, arguments.logit_bias)
        # A model with a bias of its own needs no second one in the off-diagonal term.
        loss = OffClipLoss() if arguments.logit_bias is None else OffClipLoss(off_diagonal_bias=0.0)

        def logits(pixels: Tensor, tokens: Tensor) -> Tensor:
            clip.eval()
            return clip.get_logits(pixels, tokens)[0]

        before = measure(logits, films)
        train(
            WithFlags(clip), LabelledTokens(films.train), loss,
            torch.optim.AdamW(clip.parameters(), lr=LEARNING_RATE, weight_decay=0.1),
            steps=arguments.steps, accum_freq=arguments.accum_freq, precision=arguments.precision,
        )  # fmt: skip
        after = measure(logits, films)
    show(before, after)
    return before, after


if __name__ == "__main__":
    main()
