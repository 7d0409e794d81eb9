"""`offclip data list`: the public sets, or the whole card of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offclip.data.datasets.card import Card

_WIDTH = 100


def list_sets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print the whole card of a set.")
    ] = None,
) -> None:
    """List the public sets that offclip reads, or print where one comes from and how it must lie.

    Example: [bold]offclip data list vindr-cxr[/bold]
    """
    from offclip.data.datasets.catalogue import NAMES, card_of

    if name is not None:
        print(card_text(card_of(name)))
        return
    width = max(map(len, NAMES))
    print(f"{'name':<{width}}  {'access':<12}  {'images':>8}  with")
    for card in map(card_of, NAMES):
        images = published_images(card)
        shown = f"{images:,}" if images else ""
        print(f"{card.name:<{width}}  {card.access:<12}  {shown:>8}  {', '.join(card.contents)}")
        print(f"  {first_sentence(card.terms)}")
    print("\n'offclip data list NAME' prints where to get a set, its terms, and how its files must lie.")


def published_images(card: Card) -> int:
    """How many images the publishers state, from the whole or from the parts; 0 where they do not."""
    if "images" in card.published:
        return card.published["images"]
    return sum(number for name, number in card.published.items() if name.startswith("images "))


def first_sentence(text: str) -> str:
    """The first sentence, on one line.

    Example:
        >>> first_sentence("Free to use, v. 4.0 of the licence. Cite the paper.")
        'Free to use, v. 4.0 of the licence.'
    """
    import re

    line = " ".join(text.split())
    return re.split(r"(?<=[\w)]{2}[.;])\s+(?=[A-Z])", line, maxsplit=1)[0]


def card_text(card: Card) -> str:
    """Everything that is known of a set, to be printed."""
    import textwrap

    def wrapped(text: str, first: str = "  ", rest: str = "  ") -> str:
        return textwrap.fill(
            " ".join(text.split()),
            _WIDTH,
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
            break_long_words=False,
        )

    parts = [f"{card.name}: {card.title}", wrapped(f"Access: {card.access}. {card.url}")]
    parts += ["Terms", wrapped(card.terms)]
    parts += ["Cite", wrapped(card.citation)] if card.citation else []
    parts += ["Files, below --root", textwrap.indent(textwrap.dedent(card.layout).strip("\n"), "  ")]
    if card.contents:
        parts += [wrapped(f"With: {', '.join(card.contents)}.", "")]
    if card.published:
        counts = ", ".join(f"{name} {number:,}" for name, number in card.published.items())
        source = f" ({card.published_source})" if card.published_source else ""
        parts += [f"Published counts{source}", wrapped(counts)]
    if card.options:
        parts += ["Options"]
        parts += [wrapped(f"--option {name}: {what}", "  ", "    ") for name, what in card.options.items()]
    if card.notes:
        parts += ["Notes", *(wrapped(note, "- ", "  ") for note in card.notes)]
    return "\n".join(parts)
