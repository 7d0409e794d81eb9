"""What the commands on a public set share: how it is named, and what is said before it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offclip.errors import DataError

if TYPE_CHECKING:
    from offclip.data.datasets.card import Card

SetName = Annotated[str, typer.Argument(help="Of the set; see 'offclip data list'.")]
Root = Annotated[Path, typer.Option(help="Folder with the files as the publishers name them.")]
Variant = Annotated[
    str, typer.Option(help="A variant of the set; see 'offclip data list NAME'.", show_default="none")
]


def print_terms(card: Card) -> None:
    """Prints the terms of a set."""
    print(f"{card.title}: {' '.join(card.terms.split())}")
    if card.citation:
        print(f"Cite: {' '.join(card.citation.split())}")


def require_root(card: Card, root: Path) -> None:
    """Checks that something is below the root, and prints where to get the set if not.

    Raises:
        DataError: The folder is missing, is none, or is empty.
    """
    if root.is_dir() and any(root.iterdir()):
        return
    from offclip.cli.data.list import card_text

    print(card_text(card))
    what = "the folder is empty" if root.is_dir() else "no folder" if root.exists() else "no such folder"
    where = f" from {card.url}" if card.url else ""
    raise DataError(
        f"--root {root}: {what}.",
        f"Get {card.name}{where} and unpack it there; offclip downloads nothing.",
    )
