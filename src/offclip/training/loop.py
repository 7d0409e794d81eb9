"""The training loop: one file, read in one sitting."""

from __future__ import annotations

import logging
import math
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from offclip.data.loader import PixelStore
from offclip.data.sampling import Batch, EpochSampler, Pairs
from offclip.errors import ConfigError, DataError
from offclip.losses import averaged, identical_cells
from offclip.models.checkpoint import load_model, save_model
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures
from offclip.training.averaging import running_mean
from offclip.training.centre import SIGMOID_OBJECTIVES, centre_logits
from offclip.training.config import TrainConfig
from offclip.training.data import TrainingData, load_training_data
from offclip.training.features import Features, pair_logits
from offclip.training.gradient_cache import backward, refuse_batch_norm
from offclip.training.lora import adapters_in_use, merge_lora
from offclip.training.objectives import make_loss
from offclip.training.optimizer import learning_rate, make_optimizer, set_rate
from offclip.training.precision import Precision
from offclip.training.saving import saving
from offclip.training.start import starting_point
from offclip.training.state import Progress, RunFolder, Stateful, fingerprint_of
from offclip.training.tuning import tune
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
    start_from = starting_point(config)
    config = start_from.resolve(config)
    run = RunFolder(out)
    run.open(config.as_dict(), fingerprint_of_table(studies_path), start_from.fingerprint)
    if run.finished:
        log.info("%s is finished; nothing to train.", run.path)
        return load_model(run.model)
    data = load_training_data(studies_path, config, start_from.preprocess, run, on_image)
    run.write_json("environment.json", environment(data))

    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = Precision(config.precision, device)
    model = start_from.model(data.train.texts).to(device)
    tokens = tokenise(model, data.train.texts)
    tuning = tune(model, config, *(part[:1] for part in tokens))
    features = Features(tuning, config, precision, data.store, tokens)
    sampler = EpochSampler(data.train, config.batch_size, config.prompt_share, config.seed)
    if start_from.loaded and config.objective in SIGMOID_OBJECTIVES:
        first_batch = next(sampler.epoch(0))
        centre_logits(model, features.of(first_batch, (config.seed, 0, 0)), precision)
    mean = running_mean(model, config.ema) if config.ema else None
    criterion, optimizer = make_loss(config).to(device), make_optimizer(model, config, tuning.depths)
    steps = config.epochs * len(sampler)
    parts: dict[str, Stateful] = {"optimizer": optimizer}
    if precision.scaler.is_enabled():
        parts["scaler"] = precision.scaler
    if mean:
        parts["mean"] = mean
    start = run.restore(model, parts)
    result = cast(ClipModel, mean.module) if mean else model

    with saving(run, model, parts, config.save_every_s) as keep, adapters_in_use(model):
        for epoch in range(start.epoch, config.epochs):
            tuning.train()
            if config.cache_chunk:
                refuse_batch_norm(model)
            resumed = start if epoch == start.epoch else Progress(epoch)
            first, total_loss, began = resumed.step, resumed.loss, time.perf_counter()
            for number, batch in enumerate(sampler.epoch(epoch, first), start=first):
                step = epoch * len(sampler) + number
                encoders = features.of(batch, (config.seed, epoch, number))
                flags = _flags(batch, config.mask_identical, device)
                loss_of = partial(batch_loss, model, criterion, encoders.column, flags)
                set_rate(optimizer, learning_rate(step, steps, config))
                # So that dropout, too, is the same in a run that was resumed.
                torch.manual_seed(hash((config.seed, epoch, number)) & 0x7FFF_FFFF_FFFF_FFFF)
                optimizer.zero_grad(set_to_none=True)
                loss = backward(encoders, loss_of, config.cache_chunk, precision)
                value = _finite(loss, step)
                precision.step(optimizer, model.parameters())
                if mean:
                    mean.update_parameters(model)
                total_loss += value
                keep(Progress(epoch, number + 1, total_loss))
                if on_step:
                    seen = (number + 1 - first) * sampler.batch_size
                    on_step(StepReport(step + 1, steps, epoch, value, seen / _since(began)))
            metrics: dict[str, Any] = {"epoch": epoch + 1, "loss": total_loss / len(sampler)}
            metrics["images_per_s"] = (len(sampler) - first) * sampler.batch_size / _since(began)
            if validate and data.validation:
                metrics |= validate(result.eval(), data.store, data.validation)
            run.append_metrics(metrics)
            keep(Progress(epoch + 1), force=epoch + 1 < config.epochs)
    merge_lora(result.eval())
    result.untrained = ""
    training = {"recipe": config.as_dict(), "result": run.read_metrics()[-1], **data.summary()}
    save_model(result, run.model, training | start_from.described(config.model), licence=start_from.licence)
    run.finish()
    return result


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


def batch_loss(
    model: ClipModel,
    criterion: nn.Module,
    column: Tensor,
    flags: dict[str, Tensor | None],
    image: ImageFeatures,
    text: TextFeatures,
) -> Tensor:
    """The loss of a batch, from the features of its images and of its texts."""
    return averaged(criterion, pair_logits(model, image, text, column), **flags)


def tokenise(model: ClipModel, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids and mask of all texts, on the device of the model; says how many may have been cut."""
    token_ids, token_mask = (tokens.to(model.device) for tokens in model.tokenizer(texts))
    limit = model.tokenizer.max_tokens
    full = int((token_mask.sum(dim=1) >= limit).sum())
    if full:
        log.warning(
            "%d of %d texts have %d tokens or more; what is beyond is cut off.", full, len(texts), limit
        )
    return token_ids, token_mask


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
