"""The items of a reporting checklist, from its data file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from offclip.errors import ConfigError

CHECKLISTS = ("stard-ai", "claim")


@dataclass(frozen=True, slots=True)
class Item:
    """One item, or one part of an item.

    Attributes:
        number: As published, such as `"15c"`.
        section: As published.
        text: A short paraphrase; the publication counts.
        fill: Name of the fact that fills it; empty where only the authors can.
        authors: What the authors must say.
        new: `"new"` or `"changed"` against the list that this one extends; else empty.
    """

    number: str
    section: str
    text: str
    fill: str = ""
    authors: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True)
class Checklist:
    """A published checklist.

    Attributes:
        name: Such as `"claim"`.
        title: For people.
        citation: Of the publication.
        doi: Of the publication.
        compiled_from: What this data file was made from.
        items: In the published order.
    """

    name: str
    title: str
    citation: str
    doi: str
    compiled_from: str
    items: tuple[Item, ...]


@cache
def read_checklist(name: str) -> Checklist:
    """Reads the items of a checklist.

    Args:
        name: `"stard-ai"` or `"claim"`.

    Raises:
        ConfigError: There is no such checklist.

    Example:
        >>> claim = read_checklist("claim")
        >>> len(claim.items), claim.items[-1].authors
        (44, 'Funding.')
    """
    if name not in CHECKLISTS:
        raise ConfigError(f"Unknown checklist '{name}'.", f"Known: {', '.join(CHECKLISTS)}.")
    file = files("offclip.evaluation.results.checklists").joinpath(f"{name}.toml")
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    about = found["checklist"]
    return Checklist(
        about["name"],
        about["title"],
        about["citation"],
        about["doi"],
        about["compiled_from"],
        tuple(Item(**item) for item in found["item"]),
    )
