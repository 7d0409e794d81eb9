"""`offclip labeller ...`: make, question and check a labeller."""

from __future__ import annotations

import typer

from offclip.cli.labeller.audit import audit
from offclip.cli.labeller.batch import batch_export, batch_import
from offclip.cli.labeller.explain import explain
from offclip.cli.labeller.fit import fit

app = typer.Typer(
    help="Make, question and check a report labeller.", no_args_is_help=True, rich_markup_mode="rich"
)


@app.callback()
def _group() -> None:
    """Make, question and check a report labeller."""


app.command("batch-export")(batch_export)
app.command("batch-import")(batch_import)
app.command("explain")(explain)
app.command("audit")(audit)
app.command("fit")(fit)
