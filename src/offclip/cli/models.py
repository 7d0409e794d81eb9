"""`offclip models ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Look at architectures and trained models.", no_args_is_help=True, rich_markup_mode="rich"
)


@app.command("list")
def list_models() -> None:
    """List the architectures that 'offclip train --model' knows.

    Example: [bold]offclip models list[/bold]
    """
    from rich.table import Table

    from offclip.cli.console import console
    from offclip.models import ARCHITECTURES

    table = Table()
    for heading in ("name", "head", "image size", "image width", "text width", "joint space"):
        table.add_column(heading, no_wrap=heading == "name")  # a name is there to be typed
    for name, c in ARCHITECTURES.items():
        table.add_row(
            name, c.head, str(c.image_size), str(c.image_width), str(c.text_width), str(c.embed_dim)
        )
    console().print(table)


@app.command()
def show(model: Annotated[Path, typer.Argument(help="Run or model folder.")]) -> None:
    """Print the card of a trained model.

    Example: [bold]offclip models show runs/first[/bold]
    """
    import json

    from offclip.models.checkpoint import read_card

    print(json.dumps(read_card(model), indent=2))
