"""`offclip labeller ...`: make, question and check a labeller."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Make, question and check a report labeller.", no_args_is_help=True, rich_markup_mode="rich"
)


@app.callback()
def _group() -> None:
    """Make, question and check a report labeller."""
