"""`offclip prompts ...`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offclip.cli.measuring import MODEL_HELP

if TYPE_CHECKING:
    from offclip.models.interface import Tokenizer

_FOUND = 1
_EXAMPLE = "pleural effusion"  # what templates are filled with

app = typer.Typer(
    help="Look at the prompts of zero-shot classification.", no_args_is_help=True, rich_markup_mode="rich"
)


@app.command()
def lint(
    prompts: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE_OR_PROMPTS", help="One file (TOML, JSON or CSV), or sentences in quotes."
        ),
    ],
    studies: Annotated[
        Path | None, typer.Option(help="Study table that the model was trained on: compare with its text.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help=f"{MODEL_HELP} What does its tokenizer make of them?")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 when there is a warning.")] = False,
) -> None:
    """Warn of prompts that a model will not understand as they were meant; see docs/prompts.md.

    With --studies and --model together, the text is what the model's recipe kept of the studies.

    Example: [bold]offclip prompts lint "There is no No Finding." "PTX"[/bold]
    """
    from rich.markup import escape

    from offclip.cli.console import console
    from offclip.cli.labeller.printable import printable
    from offclip.zeroshot.linter import lint_prompts

    asked = _asked(prompts)
    tokenizer, filtered = _model(model)
    text = None
    if studies is not None:
        from offclip.data.study import read_studies
        from offclip.zeroshot.lint_training import training_text

        text = training_text(read_studies(studies), filter_sentences=filtered)
    warnings = lint_prompts(asked, training_text=text, tokenizer=tokenizer)
    target = console()
    for warning in warnings:
        target.print(escape(printable(warning.prompt)), style="bold", soft_wrap=True)
        target.print(escape(printable(f"  {warning.code}: {warning.message}.")), soft_wrap=True)
        target.print(escape(printable(f"  {warning.remedy}")), style="dim", soft_wrap=True)
    n = sum(map(len, asked.values())) if isinstance(asked, Mapping) else len(asked)
    warned = len({warning.prompt for warning in warnings})
    print(f"{n} prompt(s), {warned} of them with a warning.")
    if strict and warnings:
        raise typer.Exit(_FOUND)


@app.command()
def show() -> None:
    """Print the prompts and templates that offclip asks by itself.

    Example: [bold]offclip prompts show[/bold]
    """
    from offclip.zeroshot import prompts

    lists = {
        "Normal prompts (the first is the paper's; the ensemble is their mean)": prompts.NORMAL_PROMPTS,
        "Templates of a finding (the first is the paper's)": prompts.FINDING_TEMPLATES,
        "Templates of a denied finding (the negation test)": prompts.NEGATION_TEMPLATES,
    }
    for heading, sentences in lists.items():
        print(f"{heading}:")
        for sentence in sentences:
            print(f"  {sentence}")


def _asked(prompts: Sequence[str]) -> Mapping[str, Sequence[str]] | Sequence[str]:
    """The prompts of the one file, its templates filled once; or the sentences themselves.

    Raises:
        ConfigError: A file stands among other arguments.
    """
    from offclip.errors import ConfigError
    from offclip.zeroshot.ensemble import PromptSet
    from offclip.zeroshot.prompt_file import PROMPT_FILES

    files = [text for text in prompts if Path(text).suffix.lower() in PROMPT_FILES]
    if not files:
        return prompts
    if len(prompts) > 1:
        raise ConfigError(
            f"{files[0]} is a file, and there are {len(prompts) - 1} other arguments.",
            "Give one file, or sentences.",
        )
    read = PromptSet.read(files[0])
    return (
        read.for_findings(list(dict.fromkeys((*read.findings, _EXAMPLE)))).prompts
        if read.templates
        else read.prompts
    )


def _model(name: str | None) -> tuple[Tokenizer | None, bool]:
    """The tokenizer, and whether the model was trained on filtered sentences, as far as its card says."""
    if name is None:
        return None, False
    from offclip.models.checkpoint import read_card
    from offclip.models.names import load_by_name, read_name

    folder = read_name(name).folder
    recipe = read_card(folder).get("training", {}).get("recipe", {}) if folder else {}
    return load_by_name(name).tokenizer, bool(recipe.get("filter_sentences", False))
