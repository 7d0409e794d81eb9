"""`offclip labeller explain`: what a labeller makes of a report, and why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offclip.cli.labeller.printable import COLOURS, printable, trimmed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from offclip.reports import Mention
    from offclip.reports.explanation import ExplainedSentence, Explanation, SectionPart

_WIDEST = 100
_LONGEST_UNREAD = 600
_STATUS_STYLES = {
    "asserted": "bold red",
    "hedged": "bold magenta",
    "negated": "bold green",
    "waived": "bold cyan",
    "not_stated": "bold",
}


def explain(
    text: Annotated[str | None, typer.Argument(help="A report or a sentence; - for standard input.")] = None,
    file: Annotated[Path | None, typer.Option(help="Read the report from a file.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with labeller, lexicon and \\[conventions].")
    ] = None,
    lexicon: Annotated[list[Path] | None, typer.Option(help="Your own words; may be repeated.")] = None,
    labeller: Annotated[
        str | None, typer.Option(help="rules, llm, or the folder of a labeller; wins over the file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; see docs/audit.md.")] = False,
) -> None:
    """Show section, label, reason, findings and prompt of every sentence of a report.

    Example: [bold]offclip labeller explain "Small left effusion. No pneumothorax."[/bold]
    """
    import json

    from offclip.cli.labelling_options import make_config
    from offclip.reports.explanation import explain_report

    report = _report(text, file)
    settings = make_config(config, labeller, lexicon or ())
    explanation = explain_report(report, settings.build())
    if as_json:
        print(json.dumps(explanation.as_json(), indent=2))
    else:
        with trimmed() as target:
            _draw(explanation, target)


def _report(text: str | None, file: Path | None) -> str:
    from offclip.errors import ConfigError, DataError

    if (text is None) == (file is None):
        what = "Neither a text nor a file" if text is None else "A text and a file"
        raise ConfigError(f"{what} is given.", 'Give one of "TEXT", --file PATH, or - for standard input.')
    if text is not None and text != "-":
        return text
    source = "standard input" if file is None or str(file) == "-" else str(file)
    try:
        data = sys.stdin.buffer.read() if source == "standard input" else Path(source).read_bytes()
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source} cannot be read: {error}.", "Give a text file in UTF-8.") from error


def _draw(explanation: Explanation, target: Console) -> None:
    from rich.text import Text

    width = min(target.width, _WIDEST)
    sentences = explanation.sentences
    kept = sum(one.kept for one in sentences)
    head = Text("Report: ")
    head.append(explanation.label, style=f"bold {COLOURS[explanation.label]}")
    head.append(f"   {len(sentences):,} sentence(s) read, {kept:,} kept for training")
    target.print(head, width=width)
    for part in explanation.parts:
        target.print()
        _print_part(target, explanation.text, part, width)
    if not sentences:
        target.print("\nNo findings or impression: nothing is read.", width=width)


def _print_part(target: Console, text: str, part: SectionPart, width: int) -> None:
    from rich.padding import Padding
    from rich.text import Text

    name = part.kind.replace("_", " ").upper()
    place = f"  {part.start}-{part.end}"
    if not part.read:
        body = printable(text[part.start : part.end])
        if len(body) > _LONGEST_UNREAD:
            body = body[:_LONGEST_UNREAD] + " …"
        target.print(Text(f"{name}{place}  not read", style="dim"), width=width)
        target.print(Padding(Text(body, style="dim"), (0, 0, 0, 2)), width=width)
        return
    target.print(Text.assemble((name, "bold"), (place, "dim")), width=width)
    for number, one in enumerate(part.sentences):
        if number:
            target.print()
        target.print(Padding(_sentence(one), (0, 0, 0, 2)), width=width)


def _sentence(one: ExplainedSentence):
    from rich.table import Table
    from rich.text import Text

    sentence = one.sentence
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=9)
    table.add_column(overflow="fold", ratio=1)
    table.expand = True
    place = Text(f"{sentence.start}-{sentence.end}", style="dim")
    place.append("" if one.kept else "   left out by filtering")
    table.add_row(
        Text(sentence.label, style=f"bold {COLOURS[sentence.label]}"), Text.assemble(_highlighted(one))
    )
    table.add_row("", place)
    table.add_row(Text("because", style="dim"), Text(printable(f"{one.words} [{sentence.reason}]")))
    # A finding of two words, as "streaky opacity", is said once.
    findings = dict.fromkeys((m.finding, m.status, _details(m)) for m in sentence.findings)
    for number, (finding, status, details) in enumerate(findings):
        line = Text.assemble((printable(finding), _STATUS_STYLES[status]), f": {details}")
        table.add_row(Text("findings" if number == 0 else "", style="dim"), line)
    table.add_row(Text("prompt", style="dim"), Text(printable(sentence.prompt)))
    return table


def _details(mention: Mention) -> str:
    zone = mention.zone and f"{mention.zone} zone"
    return ", ".join(filter(None, (mention.certainty, mention.side, zone, mention.severity)))


def _highlighted(one: ExplainedSentence) -> Text:
    from rich.text import Text

    text = Text(printable(one.sentence.text))
    for start, end in one.cues:
        text.stylize("underline", start, end)
    for mention in one.sentence.findings:
        text.stylize(_STATUS_STYLES[mention.status], mention.start, mention.end)
    return text
