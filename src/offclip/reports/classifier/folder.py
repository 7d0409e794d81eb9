"""A labeller on disk: weights, corrections.json, and card.json, which binds them by their hashes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from offclip.errors import CheckpointError, InputError
from offclip.reports.classifier.card import (
    AGAIN,
    CARD,
    CORRECTIONS,
    FORMAT,
    TYPE,
    check_conventions,
    check_files,
    kept_conventions,
    lexicon_hash,
    read_card,
)
from offclip.reports.classifier.combine import ClassifierLabeller, ProbabilityModel, Thresholds
from offclip.reports.classifier.features import FEATURES, FeatureConfig
from offclip.reports.classifier.fit import Fitted
from offclip.reports.classifier.linear import dump_linear, read_linear
from offclip.reports.classifier.settings import FitConfig
from offclip.reports.classifier.training_set import CLASSES, HandLabel, check_hand_labels
from offclip.reports.labels import Label
from offclip.reports.rules import RuleLabeller
from offclip.version import __version__

WEIGHTS = "weights.safetensors"


def save_fitted(
    folder: str | Path,
    fitted: Fitted,
    rules: RuleLabeller,
    lexicon: Iterable[Path] = (),
    hand: Iterable[HandLabel] = (),
    config: FitConfig | None = None,
) -> dict[str, Any]:
    """Write a fitted labeller; the same labeller gives the same bytes.

    Args:
        folder: Where to; an older labeller there is replaced.
        fitted: What `fit_classifier` or `fit_encoder` returned.
        rules: What it was distilled from.
        lexicon: The user's own lexicon files among them.
        hand: Labels by hand, of which hashes of the sentences are kept.
        config: How it was fitted; the thresholds of the card come from it and may be changed there.

    Returns:
        The card as written.

    Raises:
        CheckpointError: The folder holds something else, or cannot be written.
    """
    config = config or FitConfig()
    if fitted.kind == "encoder":
        from offclip.reports.classifier.encoder_fit import dump_encoder

        files = dump_encoder(fitted.model)
    else:
        files = {WEIGHTS: dump_linear(fitted.model)}
    asked = dataclasses.asdict(config)
    del asked["thresholds"]
    card = {
        "type": TYPE,
        "format": FORMAT,
        "kind": fitted.kind,
        "offclip_version": __version__,
        "classes": list(CLASSES),
        "settings": dict(fitted.settings),
        "thresholds": dataclasses.asdict(config.thresholds),
        "conventions": kept_conventions(rules.conventions),
        "lexicon_sha256": lexicon_hash(lexicon),
        "training": {"config": asked, "report": fitted.report.as_dict()},
    }
    return write_labeller(folder, files, card, hand)


def write_labeller(
    folder: str | Path, files: Mapping[str, bytes], card: Mapping[str, Any], hand: Iterable[HandLabel] = ()
) -> dict[str, Any]:
    """Write a labeller; the card comes last, so that a folder without one is no labeller.

    Args:
        folder: Where to; an older labeller there is replaced.
        files: Weights and what belongs to them, by name.
        card: All of it but the hashes.
        hand: Labels by hand, of which hashes of the sentences are kept.

    Returns:
        The card as written.

    Raises:
        CheckpointError: The folder holds something else, or cannot be written.
    """
    folder = Path(folder)
    corrections = {key: item.label for key, item in sorted(check_hand_labels(hand).items())}
    contents = {**files, CORRECTIONS: _json(corrections)}
    whole = {
        **card,
        "sha256": {name: hashlib.sha256(contents[name]).hexdigest() for name in sorted(contents)},
    }
    try:
        check_target(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CARD).is_file():
            for name in ({*read_card(folder)["sha256"]} - {*contents}) | {CARD}:
                (folder / name).unlink(missing_ok=True)
        for name, content in (*contents.items(), (CARD, _json(whole))):
            _write(folder / name, content)
    except OSError as error:
        raise CheckpointError(
            f"{folder}: cannot be written ({error.strerror or error}).", "Check the folder and the disk."
        ) from error
    return whole


def check_target(folder: str | Path) -> None:
    """Refuse a target that holds anything but a labeller, before hours are spent.

    Raises:
        CheckpointError: It is a file, or a folder of something else.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder}: is a file.", "Give a folder.")
    if folder.is_dir() and any(folder.iterdir()):
        try:
            read_card(folder)
        except CheckpointError as error:
            raise CheckpointError(
                f"{folder}: holds something that is no labeller.", "Give another folder, or an empty one."
            ) from error


def load_labeller(folder: str | Path, rules: RuleLabeller) -> ClassifierLabeller:
    """Load a labeller of either kind, after its hashes, shapes and conventions were checked.

    Args:
        folder: Made by `offclip labeller fit`.
        rules: What decides before the classifier; its conventions must be those it was fitted with.

    Returns:
        The labeller.

    Raises:
        CheckpointError: The folder is missing, damaged, or something else.
        ConfigError: The conventions differ, or an extra is not installed.
    """
    folder = Path(folder)
    card = read_card(folder)
    try:
        thresholds = Thresholds(**card["thresholds"])
    except TypeError as error:
        raise CheckpointError(f"{folder / CARD}: thresholds: {error}.", AGAIN) from error
    check_conventions(folder, card["conventions"], rules.conventions)
    check_files(folder, card["sha256"])
    return ClassifierLabeller(_model(folder, card), rules, thresholds, _corrections(folder))


def _model(folder: Path, card: Mapping[str, Any]) -> ProbabilityModel:
    if card["kind"] == "encoder":
        from offclip.reports.classifier.encoder import load_encoder

        return load_encoder(folder, card["settings"])
    settings = dict(card["settings"])
    if settings.pop("version", None) != FEATURES:
        raise CheckpointError(
            f"{folder / CARD}: made for another version of the features.",
            "Make it again with 'offclip labeller fit'.",
        )
    try:
        features = FeatureConfig(**settings)
        content = (folder / WEIGHTS).read_bytes()
    except (TypeError, InputError, OSError) as error:
        raise CheckpointError(f"{folder}: no linear classifier ({error}).", AGAIN) from error
    return read_linear(content, features, str(folder / WEIGHTS))


def _corrections(folder: Path) -> dict[str, Label]:
    file = folder / CORRECTIONS
    try:
        table = json.loads(file.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{file}: not readable JSON ({error}).", AGAIN) from error
    if not isinstance(table, dict) or not set(map(str, table.values())) <= set(get_args(Label)):
        raise CheckpointError(f"{file}: no table of labels.", AGAIN)
    return table


def _json(table: Mapping[str, Any]) -> bytes:
    return (json.dumps(table, indent=2) + "\n").encode()


def _write(file: Path, content: bytes) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    finally:
        with suppress(OSError):
            temporary.unlink()
