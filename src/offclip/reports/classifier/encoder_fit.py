"""Fine-tunes a text encoder on the labelled sentences: a plain loop, stopped when validation gets worse."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from offclip.errors import DataError
from offclip.reports.classifier.encoder import (
    EncoderModel,
    default_device,
    encode,
    quiet_transformers,
    read_pretrained,
    require_transformers,
)
from offclip.reports.classifier.fit import Fitted, OnStep
from offclip.reports.classifier.metrics import FitReport, agreement, hand_agreement, rounded
from offclip.reports.classifier.settings import EncoderConfig, FitConfig
from offclip.reports.classifier.training_set import (
    CLASSES,
    HandLabel,
    TrainingSet,
    make_training_set,
    split_validation,
)
from offclip.reports.rules import RuleLabeller

# What a network and a tokenizer are saved as; anything else would be code or a pickle.
_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja")


def fit_encoder(
    sentences: Iterable[str],
    rules: RuleLabeller,
    encoder: EncoderConfig,
    hand: Iterable[HandLabel] = (),
    config: FitConfig | None = None,
    on_step: OnStep = lambda _: None,
) -> Fitted:
    """Label, split, and fine-tune; the epoch with the best validation loss is kept.

    Args:
        sentences: Sentences of reports.
        rules: The labeller to distil.
        encoder: Which model, and how long.
        hand: Labels by a person.
        config: What is taught, and how it is measured.
        on_step: Called with what is being done.

    Returns:
        The model. Its agreement with hand labels is that on held-out sentences.

    Raises:
        DataError: There is nothing to learn from or to validate on, or the hand labels are faulty.
        CheckpointError: The model cannot be read.
        ConfigError: The extra `hf` is not installed.
    """
    require_transformers()
    import torch

    config = config or FitConfig()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(config.seed)  # the new head is drawn here
        network, tokenizer = read_pretrained(encoder.model, local=False)
    on_step("labelling by rule")
    data = make_training_set(sentences, rules, hand, config.hand_weight, config.limit, config.seed)
    held = split_validation(data, config.validation, config.seed)
    if not held.any():
        raise DataError(
            f"{len(data.sentences)} labelled sentences are too few to hold some out for early stopping.",
            "Give more reports, or a larger --validation share.",
        )
    model, steps = fine_tune(
        network, tokenizer, data.subset(~held), data.subset(held), encoder, config.seed, on_step
    )
    judged = data.subset(held)
    chances = model.probabilities(judged.sentences)
    mine = judged.by_hand
    chosen = judged.subset(mine)
    report = FitReport(
        data.counts(),
        int(data.by_hand.sum()),
        data.undecided,
        agreement(chances, judged.targets),
        hand_agreement(chosen.sentences, chances[mine], chosen.targets, rules, config.thresholds),
        steps,
    )
    settings = {"max_length": model.max_length, "base_model": Path(encoder.model).name}
    return Fitted("encoder", model, settings, report)


def fine_tune(
    network: Any,
    tokenizer: Any,
    taught: TrainingSet,
    judged: TrainingSet,
    config: EncoderConfig,
    seed: int,
    on_step: OnStep = lambda _: None,
) -> tuple[EncoderModel, tuple[dict[str, float], ...]]:
    """Fine-tune with AdamW, linear warm-up and decay, class weights, and early stopping.

    Args:
        network: A sequence classification model with three classes.
        tokenizer: Its tokenizer.
        taught: What it learns from.
        judged: What decides when to stop.
        config: How long and how fast.
        seed: Of the order and of dropout. The process's own random state is left as it was.
        on_step: Called with what is being done.

    Returns:
        The model of the best epoch, and losses and accuracy of every epoch.
    """
    import torch

    device = config.device or default_device()
    steps_an_epoch = -(-len(taught.sentences) // config.batch_size)
    gpus = range(torch.cuda.device_count()) if device.startswith("cuda") else ()
    # A network that reads 128 tokens fails on the 129th.
    longest = min(config.max_length, getattr(network.config, "max_position_embeddings", config.max_length))
    history: list[dict[str, float]] = []
    best_loss, best, waited = float("inf"), copy.deepcopy(network.state_dict()), 0
    with torch.random.fork_rng(devices=list(gpus)):
        torch.manual_seed(seed)
        network.to(device)
        optimiser = torch.optim.AdamW(_groups(network, config.weight_decay), lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, _warm_up_and_decay(steps_an_epoch * config.epochs, config.warm_up)
        )
        for epoch in range(1, config.epochs + 1):
            network.train()
            total = 0.0
            for done, (texts, targets, weights) in enumerate(
                _batches(taught, config.batch_size, seed, epoch), 1
            ):
                loss = _loss(network, encode(tokenizer, texts, longest, device), targets, weights)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                total += loss.item()
                on_step(f"epoch {epoch} of {config.epochs}, step {done} of {steps_an_epoch}")
            model = EncoderModel(network, tokenizer, longest, device)
            chances = model.probabilities(judged.sentences)
            true = chances[np.arange(len(judged.targets)), judged.targets]
            validation = float(-np.log(np.maximum(true, 1e-12)).mean())
            accuracy = float((chances.argmax(axis=1) == judged.targets).mean())
            history.append(
                {
                    "epoch": epoch,
                    "training_loss": rounded(total / steps_an_epoch),
                    "validation_loss": rounded(validation),
                    "validation_accuracy": rounded(accuracy),
                }
            )
            if validation < best_loss:
                best_loss, best, waited = validation, copy.deepcopy(network.state_dict()), 0
            else:
                waited += 1
                if waited >= config.patience:
                    break
    network.load_state_dict(best)
    return EncoderModel(network, tokenizer, longest, device), tuple(history)


def dump_encoder(model: EncoderModel) -> dict[str, bytes]:
    """Return network and tokenizer as the files that `save_pretrained` writes."""
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        model.network.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        return {
            file.name: file.read_bytes()
            for file in sorted(Path(folder).iterdir())
            if file.is_file() and file.suffix in _SUFFIXES
        }


def class_weights(data: TrainingSet) -> np.ndarray:
    """Return a factor for each class, so that rare classes count as much as frequent ones."""
    mass = np.bincount(data.targets, data.weights, minlength=len(CLASSES))
    present = mass > 0
    return np.where(present, mass.sum() / (np.maximum(mass, 1e-12) * present.sum()), 0.0)


def _batches(
    data: TrainingSet, size: int, seed: int, epoch: int
) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
    weights = data.weights * class_weights(data)[data.targets]
    order = np.random.default_rng([seed, epoch]).permutation(len(data.sentences))
    for begin in range(0, len(order), size):
        rows = order[begin : begin + size]
        yield [data.sentences[i] for i in rows], data.targets[rows], weights[rows]


def _loss(network: Any, batch: Any, targets: np.ndarray, weights: np.ndarray) -> Any:
    """Weighted mean of the cross-entropy."""
    import torch

    logits = network(**batch).logits
    losses = torch.nn.functional.cross_entropy(
        logits, torch.as_tensor(targets, device=logits.device), reduction="none"
    )
    share = torch.as_tensor(weights, dtype=losses.dtype, device=logits.device)
    return (losses * share).sum() / share.sum()


def _groups(network: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and norms, which have one dimension, do not."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _warm_up_and_decay(steps: int, share: float) -> Any:
    warm = max(1, round(steps * share))

    def factor(step: int) -> float:
        return (step + 1) / warm if step < warm else max(0.0, (steps - step) / max(1, steps - warm))

    return factor
