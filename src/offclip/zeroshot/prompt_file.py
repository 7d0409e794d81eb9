"""A user's file of prompts: TOML, JSON or CSV, read strictly."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offclip.data.csv_table import read_table
from offclip.errors import DataError

PROMPT_FILES = (".toml", ".json", ".csv", ".tsv", ".parquet")
_LARGEST = 16 * 2**20
_KEYS = ("prompts", "templates")
_FORM = "Write one prompt a class, or a list of them; see docs/prompts.md."

Prompts = dict[str, tuple[str, ...]]


def read_prompt_file(path: str | Path) -> tuple[Prompts, tuple[str, ...]]:
    """Reads prompts and templates; what they say is checked by `PromptSet`.

    Args:
        path: A TOML or JSON file with a mapping `prompts` and a list `templates`, either of which may be
            missing, or with a plain mapping from class to prompt or prompts, as the peers have it; or a table
            with the columns `class` and `prompt`.

    Raises:
        DataError: The file is missing, unreadable or of another form, or a key is unknown or doubled.
    """
    path = Path(path)
    if path.suffix.lower() not in PROMPT_FILES:
        raise DataError(
            f"{path}: a file of prompts ends with one of {', '.join(PROMPT_FILES)}.", "Rename or convert it."
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file.", "Check the path.")
    if path.suffix.lower() not in (".toml", ".json"):
        return _from_table(path), ()
    content = _parse(path)
    if not any(key in content for key in _KEYS):
        return _classes(content, path), ()
    unknown = [key for key in content if key not in _KEYS]
    if unknown:
        raise DataError(f"{path}: unknown key {unknown[0]!r}.", f"Known: {', '.join(_KEYS)}.")
    prompts = content.get("prompts", {})
    if not isinstance(prompts, Mapping):
        raise DataError(f"{path}: 'prompts' is no mapping from class to prompts.", _FORM)
    return _classes(prompts, path), _texts(content.get("templates", []), "templates", path)


def _parse(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > _LARGEST:
        raise DataError(f"{path}: larger than {_LARGEST >> 20} MiB.", "Give a file of prompts.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if path.suffix.lower() == ".toml":
            content = tomllib.loads(text)
        else:
            content = json.loads(text, object_pairs_hook=_without_doubles)
    except DataError as error:
        raise DataError(f"{path}: {error.message}", error.remedy) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable ({error}).", _FORM) from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: no mapping from class to prompts.", _FORM)
    return content


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON's own reader silently keeps the last of two equal keys."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        doubled = next(key for key in keys if keys.count(key) > 1)
        raise DataError(f"the key {doubled!r} stands twice.", "Put its prompts into one list.")
    return content


def _classes(content: Mapping[str, Any], path: Path) -> Prompts:
    return {name: _texts(value, repr(name), path) for name, value in content.items()}


def _texts(value: Any, what: str, path: Path) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise DataError(f"{path}: {what} is neither a text nor a list of texts.", _FORM)
    return tuple(values)


def _from_table(path: Path) -> Prompts:
    table = read_table(path, ("class", "prompt"))
    unknown = [column for column in table.columns if column not in ("class", "prompt")]
    if unknown:
        raise DataError(f"{path}: unknown column {unknown[0]!r}.", "Known: class, prompt.")
    prompts: Prompts = {}
    for number, (name, prompt) in enumerate(zip(table["class"], table["prompt"], strict=True), start=2):
        if not name or not prompt:
            what = "class" if not name else "prompt"
            raise DataError(f"{path}: row {number} has no {what}.", "Fill it or leave the row out.")
        prompts[name] = (*prompts.get(name, ()), prompt)
    return prompts
