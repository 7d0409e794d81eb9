"""Protocols from TOML files: those of the package, and a user's own."""

from __future__ import annotations

import difflib
import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from offclip.errors import ConfigError
from offclip.evaluation.protocols.parsing import make_protocol
from offclip.evaluation.protocols.protocol import OPEN, Protocol

_PACKAGE = "offclip.evaluation.protocols"
_ENDING = ".toml"
_DEEPEST = 5
# Words for people and the name belong to one protocol and are not passed on.
_OWN = ("name", "title", "quirks", "extends", "without", "also")


@lru_cache(1)
def protocol_names() -> tuple[str, ...]:
    """The names of the protocols that come with offclip, sorted.

    Example:
        >>> "vindr-cxr-peer" in protocol_names()
        True
    """
    names = (entry.name for entry in files(_PACKAGE).iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING)))


def load_protocol(name_or_path: str | Path) -> Protocol:
    """A protocol by its name, or from a TOML file.

    Args:
        name_or_path: One of `protocol_names()`, `"open"`, or the path of a file that ends in `.toml`.

    Raises:
        ConfigError: There is no such protocol; or the file cannot be read, holds an unknown key, a class
            twice, or a value that is not allowed. The message names the file, the key and what is allowed.

    Example:
        >>> load_protocol("chexpert-5-peer").classes[0].prompts
        ('There is Atelectasis.',)
    """
    name = str(name_or_path)
    if name == OPEN.name:
        return OPEN
    if name in protocol_names():
        return _shipped(name)
    if not name.endswith(_ENDING):
        close = difflib.get_close_matches(name, protocol_names(), n=3)
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        raise ConfigError(
            f"There is no protocol {name!r}.",
            f"{hint}'offclip protocols list' shows them; a file of your own ends in {_ENDING}.",
        )
    path = Path(name)
    return make_protocol(path.name, path.stem, _merged(path))


@lru_cache
def _shipped(name: str) -> Protocol:
    return make_protocol(f"{name}{_ENDING}", name, _merged(name))


def _merged(source: str | Path, depth: int = 0) -> dict[str, Any]:
    """The keys of a file over those of the protocol that it extends."""
    own = _read(source)
    base = own.pop("extends", None)
    if base is None:
        for key in ("without", "also"):
            if key in own:
                raise ConfigError(f"{_label(source)}: {key} needs 'extends'.", "Name the protocol to change.")
        return own
    if not isinstance(base, str):
        raise ConfigError(f"{_label(source)}: extends = {base!r} is no name.", "Give a name or a file.")
    if depth == _DEEPEST:
        raise ConfigError(
            f"{_label(source)}: more than {_DEEPEST} files extend each other.", "Cut the chain."
        )
    keys = _merged(_base(source, base), depth + 1)
    merged = {key: value for key, value in keys.items() if key not in _OWN} | {
        key: value for key, value in own.items() if key not in ("without", "also")
    }
    merged["classes"] = _classes(source, merged.get("classes", []), own)
    return merged


def _base(source: str | Path, base: str) -> str | Path:
    if base in protocol_names():
        return base
    if isinstance(source, Path) and base.endswith(_ENDING):
        return source.parent / base
    raise ConfigError(
        f"{_label(source)}: extends = {base!r} is no protocol.",
        f"Give one that 'offclip protocols list' shows, or a file beside this one that ends in {_ENDING}.",
    )


def _classes(source: str | Path, classes: Any, own: dict[str, Any]) -> Any:
    """The classes without those that the file drops and with those that it adds."""
    for key in ("without", "also"):
        if not isinstance(own.get(key, []), list):
            raise ConfigError(f"{_label(source)}: {key} is no list.", "Give a list of classes.")
    if not isinstance(classes, list):
        return classes  # what is wrong with it is said where classes are read
    dropped = own.get("without", [])
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in classes]
    for name in dropped:
        if name not in names:
            raise ConfigError(
                f"{_label(source)}: without names {name!r}, which is no class of {own.get('extends', 'it')}.",
                f"Its classes are: {', '.join(map(str, names))[:300]}.",
            )
    kept = [entry for entry, name in zip(classes, names, strict=True) if name not in dropped]
    return [*kept, *own.get("also", [])]


def _read(source: str | Path) -> dict[str, Any]:
    try:
        if isinstance(source, Path):
            text = source.read_bytes().decode()
        else:
            text = files(_PACKAGE).joinpath(f"{source}{_ENDING}").read_text(encoding="utf-8")
        return tomllib.loads(text)
    except OSError as error:
        raise ConfigError(
            f"{source}: cannot be read ({error.strerror or error}).", "Check the path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: not readable TOML ({error}).", "Mend the file.") from error


def _label(source: str | Path) -> str:
    return source.name if isinstance(source, Path) else f"{source}{_ENDING}"
