"""Options that the commands which measure have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MODEL_HELP = "Run or model folder, or another name of a model: see 'offclip models list'."

ProtocolName = Annotated[
    str | None,
    typer.Option("--protocol", help="A published way to measure; see 'offclip protocols list'."),
]
Root = Annotated[
    Path | None,
    typer.Option("--root", help="With --protocol: the folder that the public set was downloaded to."),
]
