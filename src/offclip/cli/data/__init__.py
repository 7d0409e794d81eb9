"""`offclip data ...`: make, prepare, check, pack and look at data."""

from __future__ import annotations

import typer

from offclip.cli.data.check import check
from offclip.cli.data.info import info
from offclip.cli.data.list import list_sets
from offclip.cli.data.phantom import phantom
from offclip.cli.data.prepare import prepare
from offclip.cli.data.shard import shard

app = typer.Typer(help="Make and look at data.", no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def _group() -> None:
    """Make and look at data."""


app.command("phantom")(phantom)
app.command("list")(list_sets)
app.command("prepare")(prepare)
app.command("check")(check)
app.command("info")(info)
app.command("shard")(shard)
