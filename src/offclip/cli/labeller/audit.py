"""`offclip labeller audit`: a person checks a labeller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def audit(
    studies: Annotated[Path, typer.Argument(help="Study table of 'offclip label'.")],
    out: Annotated[
        Path | None, typer.Option(help="The page (default audit.html); with --verdicts, hand labels as CSV.")
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Sentences to judge.")] = 200,
    seed: Annotated[int, typer.Option(help="Another seed, other sentences.")] = 0,
    stratify: Annotated[str, typer.Option(help="Sample by label, rule or none.")] = "label",
    minimum: Annotated[int, typer.Option(help="Sentences of each stratum at least.")] = 30,
    weigh: Annotated[
        str, typer.Option(help="Estimate for all occurrences, or for different sentences.")
    ] = "occurrences",
    show_labels: Annotated[
        bool, typer.Option("--show-labels", help="Show the label once a sentence is judged.")
    ] = False,
    verdicts: Annotated[
        list[Path] | None, typer.Option(help="Read verdicts back; twice for two readers.")
    ] = None,
    disagreements: Annotated[
        bool, typer.Option("--disagreements", help="With --verdicts --out: only corrected sentences.")
    ] = False,
) -> None:
    """Write a page to judge a sample of sentences on, or read the verdicts back.

    With --verdicts the sample is drawn again as the file says, whatever --n and the like.

    Example: [bold]offclip labeller audit studies.parquet --n 200 --out audit.html[/bold]

    Example: [bold]offclip labeller audit studies.parquet --verdicts verdicts.csv[/bold]
    """
    from offclip.cli.labeller.audit_results import run_audit_page, run_audit_verdicts
    from offclip.evaluation.audit import Design

    if verdicts:
        run_audit_verdicts(studies, verdicts, out, disagreements=disagreements)
    else:
        design = Design(n, seed, stratify, weigh, minimum)
        run_audit_page(studies, out or Path("audit.html"), design, show_labels=show_labels)
