"""`offclip verify`."""

from __future__ import annotations

from collections.abc import Iterable

import typer
from rich.markup import escape
from rich.table import Table

from offclip.cli.console import console
from offclip.evaluation.verification import Check, check_installation, check_model

_FAILED = 1


def run_verify(model: str | None, *, full: bool = False) -> None:
    """Checks a model, or the installation when none is given or it is asked for in full.

    Raises:
        CheckpointError: There is no whole model of that name.
        Exit: A check failed.
    """
    parts = [] if model is None else [(model, check_model(model))]
    if model is None or full:
        parts.append(("this installation", check_installation(full=full)))
    done: list[Check] = []
    for title, checks in parts:
        listed = list(checks)
        print_checks(title, listed)
        done += listed
    failed = [check.name for check in done if not check.passed]
    if failed:
        console().print(f"{len(failed)} of {len(done)} checks failed: {escape(', '.join(failed))}")
        raise typer.Exit(_FAILED)
    print(f"All {len(done)} checks passed.")


def print_checks(title: str, checks: Iterable[Check]) -> None:
    """Prints one row a check."""
    table = Table(title=escape(title))
    for heading in ("check", "result", "found", "expected"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "check")
    for check in checks:
        result = "ok" if check.passed else "[bold red]FAILED[/]"
        table.add_row(escape(check.name), result, escape(check.found), escape(check.expected))
    console().print(table)
