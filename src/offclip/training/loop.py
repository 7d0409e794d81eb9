"""The training loop: one file, read in one sitting."""

from __future__ import annotations

import logging
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from offclip.data.loader import PixelStore
from offclip.data.sampling import Batch, EpochSampler, Pairs
from offclip.errors import ConfigError, DataError
from offclip.losses import averaged, identical_cells
from offclip.models.checkpoint import load_model, save_model
from offclip.models.interface import ClipModel
from offclip.models.registry import architecture, build_model
from offclip.models.tokenizer import TextTokenizer
from offclip.training.augment import augment, make_augmentation
from offclip.training.config import TrainConfig
from offclip.training.data import TrainingData, load_training_data
from offclip.training.objectives import make_loss
from offclip.training.saving import saving
from offclip.training.state import Progress, RunFolder, fingerprint_of
from offclip.version import __version__

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a progress bar shows after a step: numbers of steps, the loss, and the speed."""

    step: int
    steps: int
    epoch: int
    loss: float
    images_per_s: float


Validate = Callable[[ClipModel, PixelStore, Pairs], dict[str, float]]


def train(
    studies_path: str | Path,
    config: TrainConfig,
    out: str | Path,
    *,
    validate: Validate | None = None,
    on_step: Callable[[StepReport], None] | None = None,
    on_image: Callable[[int, int], None] | None = None,
) -> ClipModel:
    """Trains a CLIP model on a study table; the same call resumes a run that was stopped.

    A resumed run ends with the same weights as one that was never stopped, because every draw is a
    function of (seed, epoch, step).

    Args:
        studies_path: Parquet table made by `offclip label`.
        config: The recipe.
        out: The run folder.
        validate: Called after each epoch with the model, the pixels and the validation pairs; what it
            returns goes into metrics.jsonl.
        on_step: Called after each step.
        on_image: Called while images are decoded, with (done, all).

    Returns:
        The trained model in evaluation mode.

    Raises:
        DataError: The table is broken, a split is empty, or the labels do not suffice for the objective.
        ConfigError: The model is unknown, or the loss stopped being a number.
        CheckpointError: The folder holds another run, or the disk is full.
    """
    geometry = architecture(config.model, config.image_size)
    run = RunFolder(out)
    run.open(config.as_dict(), fingerprint_of_table(studies_path))
    if run.finished:
        log.info("%s is finished; nothing to train.", run.path)
        return load_model(run.model)
    data = load_training_data(studies_path, config, run, on_image)
    run.write_json("environment.json", environment(data))

    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mixed = config.precision == "bf16" or (config.precision == "auto" and multiplies_bf16(device))
    model = build_model(geometry, TextTokenizer.fit(data.train.texts)).to(device)
    loss_of, optimizer = make_loss(config).to(device), make_optimizer(model, config)
    sampler = EpochSampler(data.train, config.batch_size, config.prompt_share, config.seed)
    token_ids, token_mask = (tokens.to(device) for tokens in model.tokenizer(data.train.texts))
    augmentation = make_augmentation()
    steps = config.epochs * len(sampler)
    start = run.restore(model, optimizer)

    with saving(run, model, optimizer, config.save_every_s) as keep:
        for epoch in range(start.epoch, config.epochs):
            model.train()
            resumed = start if epoch == start.epoch else Progress(epoch)
            first, total_loss, began = resumed.step, resumed.loss, time.perf_counter()
            for number, batch in enumerate(sampler.epoch(epoch, first), start=first):
                step = epoch * len(sampler) + number
                squares = data.store.batch(batch.images)
                if config.augment:
                    squares = augment(squares, augmentation, (config.seed, epoch, number))
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, steps, config)
                # So that dropout, too, is the same in a run that was resumed.
                torch.manual_seed(hash((config.seed, epoch, number)) & 0x7FFF_FFFF_FFFF_FFFF)
                with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                    matrices = batch_logits(model, squares.to(device), batch, token_ids, token_mask)
                    loss = averaged(loss_of, matrices, **_flags(batch, config.mask_identical, device))
                value = _finite(loss, step)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                total_loss += value
                keep(Progress(epoch, number + 1, total_loss))
                if on_step:
                    seen = (number + 1 - first) * sampler.batch_size
                    on_step(StepReport(step + 1, steps, epoch, value, seen / _since(began)))
            metrics: dict[str, Any] = {"epoch": epoch + 1, "loss": total_loss / len(sampler)}
            metrics["images_per_s"] = (len(sampler) - first) * sampler.batch_size / _since(began)
            if validate and data.validation:
                model.eval()
                metrics |= validate(model, data.store, data.validation)
            run.append_metrics(metrics)
            keep(Progress(epoch + 1), force=epoch + 1 < config.epochs)
    model.eval()
    save_model(
        model,
        run.model,
        {"recipe": config.as_dict(), "result": run.read_metrics()[-1], **data.summary()},
    )
    run.finish()
    return model


def fingerprint_of_table(studies_path: str | Path) -> str:
    """SHA-256 of the study table.

    Raises:
        DataError: There is no such file.
    """
    if not Path(studies_path).is_file():
        raise DataError(
            f"{studies_path}: no such file.",
            "Make it with 'offclip label reports.csv --out studies.parquet'.",
        )
    return fingerprint_of(studies_path)


def batch_logits(
    model: ClipModel, squares: Tensor, batch: Batch, token_ids: Tensor, token_mask: Tensor
) -> tuple[Tensor, ...]:
    """The (B, B) logit matrices of a batch; a text that several studies share is encoded once."""
    texts, column = torch.unique(torch.from_numpy(batch.texts).to(token_ids.device), return_inverse=True)
    length = int(token_mask[texts].sum(dim=1).max())
    text = model.encode_text(token_ids[texts, :length], token_mask[texts, :length])
    image = model.encode_image(model.preprocess.normalise(squares))
    return tuple(matrix[:, column] for matrix in model.training_logits(image, text))


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW that decays matrices only: never norms, biases, or the logit scale."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Linear warm-up, then half a cosine to zero."""
    warmup = max(1, round(config.warmup_share * steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 matrices in hardware (Ampere and later; AMX on x86)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported()


def environment(data: TrainingData) -> dict[str, Any]:
    """Versions, machine and data of a run, for environment.json."""
    return {
        "offclip": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        **data.summary(),
    }


def _flags(batch: Batch, mask_identical: bool, device: torch.device) -> dict[str, Tensor | None]:
    identical = identical_cells(torch.from_numpy(batch.texts)).to(device) if mask_identical else None
    return {
        "normal": torch.from_numpy(batch.normal).to(device),
        "uncertain": torch.from_numpy(batch.uncertain).to(device),
        "identical": identical,
    }


def _since(began: float) -> float:
    return max(time.perf_counter() - began, 1e-9)


def _finite(loss: Tensor, step: int) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise ConfigError(
            f"The loss is {value} in step {step + 1}; nothing can be learnt from here on.",
            "Choose a lower learning_rate or precision fp32, and another --out.",
        )
    return value
