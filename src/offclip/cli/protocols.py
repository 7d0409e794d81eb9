"""`offclip protocols ...`."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="Look at the protocols by which 'offclip evaluate' measures.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("list")
def list_protocols() -> None:
    """List the protocols that come with offclip.

    Example: [bold]offclip protocols list[/bold]
    """
    from rich.table import Table

    from offclip.cli.console import console
    from offclip.evaluation.protocols.load import load_protocol, protocol_names

    table = Table()
    for heading in ("name", "hash", "classes", "unit", "what is measured"):
        table.add_column(heading, no_wrap=heading in ("name", "hash"))  # they are there to be typed
    for protocol in map(load_protocol, protocol_names()):
        table.add_row(protocol.name, protocol.hash, str(len(protocol.classes)), protocol.unit, protocol.title)
    console().print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a protocol, or a TOML file of your own.")],
) -> None:
    """Print what a protocol fixes: classes, prompts, rules, quirks, source and hash.

    Example: [bold]offclip protocols show vindr-cxr-peer[/bold]
    """
    from offclip.evaluation.protocols.describe import described
    from offclip.evaluation.protocols.load import load_protocol

    print(described(load_protocol(name)))
