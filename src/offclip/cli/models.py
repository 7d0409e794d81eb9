"""`offclip models ...`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from offclip.models.cards import ModelCard
    from offclip.models.names import ModelName

app = typer.Typer(
    help="Look at architectures, published models and trained ones.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
_WIDTH = 100
AsJson = Annotated[bool, typer.Option("--json", help="Print it for programs.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List what can be trained from scratch, what can be loaded by name, and what a name can be.

    Example: [bold]offclip models list[/bold]
    """
    import dataclasses
    from importlib.metadata import EntryPoint

    from offclip.models import ARCHITECTURES
    from offclip.models.cards import as_dict, model_cards
    from offclip.models.names import FORMS, OWN_SCHEMES
    from offclip.models.third_party import third_party_schemes

    cards, schemes = model_cards(), third_party_schemes(OWN_SCHEMES)
    if as_json:
        found = {
            "architectures": {name: dataclasses.asdict(config) for name, config in ARCHITECTURES.items()},
            "models": {name: as_dict(card) for name, card in cards.items()},
            "third_party": {name: entry.value for name, entry in schemes.items()},
        }
        print(json.dumps(found, indent=2))
        return
    _print_architectures()
    _print_cards(list(cards.values()))
    entry: EntryPoint
    for name, entry in schemes.items():
        package = entry.dist.name if entry.dist is not None else entry.value
        print(f"{name}:...  of the package {package}")
    print(f"{FORMS}\n'offclip models show NAME' prints what a model needs, its licence, and what was tested.")


@app.command()
def show(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Run or model folder, or another name of a model: see 'offclip models list'.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Print the card of a model: a folder's as JSON, a named one's in words, or what was found on loading.

    Example: [bold]offclip models show runs/first[/bold]

    Example: [bold]offclip models show biomedclip[/bold]
    """
    from offclip.errors import ConfigError
    from offclip.models.cards import as_dict, model_cards
    from offclip.models.checkpoint import read_card
    from offclip.models.names import read_name

    card = model_cards().get(model)
    try:
        meant = read_name(model)
    except ConfigError:
        if card is None:
            raise
        meant = None  # of a model that offclip does not load, the card is what there is to show
    if meant is not None and meant.folder is not None:
        print(json.dumps(read_card(meant.folder), indent=2))
    elif card is not None:
        print(json.dumps(as_dict(card), indent=2) if as_json else card_text(card))
    elif meant is not None:
        _print_loaded(model, meant, as_json=as_json)


def card_text(card: ModelCard) -> str:
    """Everything that is known of a published model, to be printed."""
    import textwrap

    parts = {
        "Loads as": card.loads or "nothing: offclip cannot load it by name",
        "Needs": _needs(card) or "no extra",
        "Image": card.image,
        "Text": card.text,
        "Licence": f"{card.licence}. {card.terms}".removesuffix(" "),
        "Trained on": card.training_data,
        "Intended for": card.intended_use,
        "Published": f"{card.source}. {card.weights}",
        "Cite": card.paper,
        "How": card.how,
        "Tested here": card.tested,
        "Not tested": card.not_tested,
        "Read in": "; ".join(card.found_in),
    }
    lines = [f"{card.name}: {card.title}"]
    for heading, text in parts.items():
        if text:
            lines.append(heading)
            lines.append(
                textwrap.fill(
                    " ".join(text.split()),
                    _WIDTH,
                    initial_indent="  ",
                    subsequent_indent="  ",
                    break_on_hyphens=False,
                    break_long_words=False,
                )
            )
    return "\n".join(lines)


def _print_architectures() -> None:
    from rich.table import Table

    from offclip.cli.console import console
    from offclip.models import ARCHITECTURES

    table = Table(title="To train from scratch")
    for heading in ("name", "head", "image size", "image width", "text width", "joint space"):
        table.add_column(heading, no_wrap=heading == "name")  # a name is there to be typed
    for name, c in ARCHITECTURES.items():
        table.add_row(
            name, c.head, str(c.image_size), str(c.image_width), str(c.text_width), str(c.embed_dim)
        )
    console().print(table)


def _print_cards(cards: list[ModelCard]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from offclip.cli.console import console

    table = Table(title="Published, with or without weights at hand")
    for heading in ("name", "loads", "needs", "licence of the weights"):
        table.add_column(heading, no_wrap=heading == "name", overflow="fold")
    for card in cards:
        loads = "by name" if card.loads else "convert" if "offclip convert" in card.how else "no"
        table.add_row(card.name, loads, escape(_needs(card)), escape(card.licence))
    console().print(table)


def _needs(card: ModelCard) -> str:
    missing = card.missing
    told = [f"offclip[{extra}]{' (missing here)' if extra in missing else ''}" for extra in card.needs]
    return ", ".join(told)


def _print_loaded(name: str, meant: ModelName, *, as_json: bool) -> None:
    """Loads a model and prints what it is; nothing is measured."""
    from rich.markup import escape
    from rich.table import Table

    from offclip.cli.console import console
    from offclip.models.identity import about_model
    from offclip.models.names import load_by_name

    about = about_model(load_by_name(name), name, meant.folder)
    if as_json:
        print(json.dumps(about, indent=2))
        return
    table = Table(title=escape(name))
    for heading in ("what", "found"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "what")
    flat: dict[str, Any] = {key: value for key, value in about.items() if not isinstance(value, dict)}
    for heading in ("config", "preprocess", "sha256"):
        flat |= {f"{heading}: {key}": value for key, value in about.get(heading, {}).items()}
    for key, value in flat.items():
        if value is not None:
            shown = f"{value:,}" if isinstance(value, int) else str(value)
            table.add_row(key.replace("_", " "), escape(shown))
    console().print(table)
