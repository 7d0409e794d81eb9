"""The card of a labeller: what it is, what it was made from, and the hashes of its files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from offclip.errors import CheckpointError, ConfigError
from offclip.reports.classifier.training_set import CLASSES
from offclip.reports.conventions import Conventions
from offclip.version import __version__

FORMAT = 1
TYPE = "offclip sentence labeller"
CARD = "card.json"
CORRECTIONS = "corrections.json"
KINDS = ("linear", "encoder")
AGAIN = "Copy the whole folder again, or make it again with 'offclip labeller fit'."


def read_card(folder: str | Path) -> dict[str, Any]:
    """Read and check the card of a labeller.

    Raises:
        CheckpointError: There is none, or it is not the card of a labeller that this version reads.
    """
    file = Path(folder) / CARD
    if not file.is_file():
        raise CheckpointError(
            f"{folder}: no labeller here ({CARD} is missing).",
            'Give "rules", "llm", or a folder made by \'offclip labeller fit\'.',
        )
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: not readable JSON ({error}).", AGAIN) from error
    if not isinstance(card, dict) or card.get("type") != TYPE:
        raise CheckpointError(f"{file}: this is not the card of a sentence labeller.", "Give another folder.")
    if card.get("format") != FORMAT or card.get("kind") not in KINDS:
        raise CheckpointError(
            f"{file}: format {card.get('format')!r} of kind {card.get('kind')!r} is unknown.",
            f"offclip {__version__} reads format {FORMAT} of kind {' and '.join(KINDS)}.",
        )
    if card.get("classes") != list(CLASSES):
        raise CheckpointError(f"{file}: its classes are not {', '.join(CLASSES)}.", AGAIN)
    for key in ("settings", "thresholds", "conventions", "training", "sha256"):
        if not isinstance(card.get(key), dict):
            raise CheckpointError(f"{file}: {key!r} is missing or no table.", AGAIN)
    for name in card["sha256"]:
        if Path(name).name != name or name in ("", ".", "..", CARD):
            raise CheckpointError(f"{file}: {name!r} is no file of a labeller.", AGAIN)
    if CORRECTIONS not in card["sha256"]:
        raise CheckpointError(f"{file}: {CORRECTIONS} is not listed.", AGAIN)
    if not any(name.endswith(".safetensors") for name in card["sha256"]):
        raise CheckpointError(f"{file}: no weights are listed.", AGAIN)
    return card


def check_files(folder: Path, digests: Mapping[str, str]) -> None:
    """Compare the files of a folder with the card; a library must find nothing there that was not checked.

    Raises:
        CheckpointError: A file is missing, unreadable, changed, or not on the card.
    """
    for name, digest in digests.items():
        check_file(folder / name, digest)
    strange = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name not in digests and entry.name != CARD and not entry.name.startswith(".")
    )
    if strange:
        raise CheckpointError(
            f"{folder / strange[0]}: is not on the card of the labeller.", "Move it out of the folder."
        )


def check_file(file: Path, digest: str) -> None:
    """Compare the SHA-256 of a file with the one on the card.

    Raises:
        CheckpointError: The file is missing, unreadable or changed.
    """
    try:
        with file.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror or error}).", AGAIN) from error
    if found != digest:
        raise CheckpointError(f"{file}: its SHA-256 is not the one on the card.", AGAIN)


def lexicon_hash(own: Iterable[Path] = ()) -> str:
    """Return one SHA-256 over the user's lexicon files and the built-in one.

    Example:
        >>> len(lexicon_hash())
        64
    """
    whole = hashlib.sha256()
    for path in own:
        whole.update(path.read_bytes())
    whole.update(files("offclip.reports").joinpath("lexicon.toml").read_bytes())
    return whole.hexdigest()


def kept_conventions(conventions: Conventions) -> dict[str, Any]:
    """Return all but the policy for undecided sentences, which a labeller may be used with as one likes."""
    kept = dataclasses.asdict(conventions)
    del kept["undecided"]
    return kept


def check_conventions(folder: Path, fitted: Mapping[str, Any], asked: Conventions) -> None:
    """Compare the conventions of the card with those that are asked for.

    Raises:
        ConfigError: They differ.
    """
    for name, value in kept_conventions(asked).items():
        if fitted.get(name, value) != value:
            raise ConfigError(
                f"{folder}: was fitted with the convention {name} = {str(fitted[name]).lower()}, "
                f"and is to be used with {str(value).lower()}.",
                "Fit it again with the same --config, or change the convention.",
            )
