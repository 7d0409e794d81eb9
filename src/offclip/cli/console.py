"""What the commands share: how errors, progress and counts reach the terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from offclip.errors import OffclipError

if TYPE_CHECKING:
    import typer
    from rich.console import Console

    from offclip.data.files import Skipped

INTERRUPTED = 130


def run_safely(command: Callable[..., Any], *, debug: bool) -> int:
    """Runs a command line and turns what went wrong into a message and an exit code.

    Returns:
        0 when all went well, 2 for a user's mistake, 130 after Ctrl-C, 1 for a failure of ours.
    """
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s: %(message)s"
    )
    try:
        command()
    except SystemExit as leaving:
        if _interrupted(leaving):  # typer turns Ctrl-C into a silent exit
            return _stopped()
        return leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except OffclipError as error:
        if debug:
            raise
        print(f"Error: {error.message}", file=sys.stderr)
        if error.remedy:
            print(f"  {error.remedy}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _stopped()
    except Exception as error:  # the last fence: say what happened, and where the traceback is
        if debug:
            raise
        print(f"Internal error: {type(error).__name__}: {error}", file=sys.stderr)
        print(
            "  This is a fault of offclip. Run again with 'offclip --debug ...' and report it.",
            file=sys.stderr,
        )
        return 1
    return 0


def _stopped() -> int:
    print("\nStopped. What was finished is kept; the same command goes on from there.", file=sys.stderr)
    return INTERRUPTED


def _interrupted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def console() -> Console:
    """The console for results (standard output)."""
    from rich.console import Console

    return Console(highlight=False)


@contextmanager
def progress_bar(description: str, *, percent: bool = False) -> Iterator[Callable[..., None]]:
    """Yields `update(done, total, description=None, note="")`, drawn on standard error with the time left.

    Args:
        description: What is being done.
        percent: Show a percentage instead of done / total.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn() if percent else MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as progress:
        task = progress.add_task(description, total=None, note="")

        def update(done: int, total: int, description: str | None = None, note: str = "") -> None:
            progress.update(task, completed=done, total=total, description=description, note=note)

        yield update


@contextmanager
def stage_bar(description: str) -> Iterator[Callable[[str, int, int], None]]:
    """Yields `tell(what, done, total)`: a bar whose description is what is being done."""
    with progress_bar(description) as update:
        yield lambda what, done, total: update(done, total, what)


def report_skipped(skipped: Sequence[Skipped], where: Any) -> None:
    """Prints how many rows were left out, and the first of them."""
    if not skipped:
        return
    first = skipped[0]
    place = f"row {first.row}" if first.row else first.source
    print(
        f"{len(skipped)} row(s) left out, listed with reasons in {where}; the first: {place}: {first.reason}"
    )


def typed(context: typer.Context, name: str) -> bool:
    """Whether the user typed an option, rather than leaving it at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
