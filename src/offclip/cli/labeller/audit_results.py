"""What `offclip labeller audit` does: writes the page, or reads verdicts back and prints what they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from offclip.cli.labeller.printable import COLOURS, printable, trimmed
from offclip.data.files import write_csv
from offclip.errors import ConfigError
from offclip.evaluation.audit import (
    Agreement,
    Design,
    ReaderAgreement,
    Sample,
    compare_readers,
    draw_sample,
    hand_labels,
    measure,
    read_verdicts,
    write_page,
)
from offclip.evaluation.audit.agreement import LABELS, GroupAgreement
from offclip.evaluation.statistics.estimate import Estimate

_WIDEST = 100


def run_audit_page(studies: Path, out: Path, design: Design, *, show_labels: bool) -> None:
    """Draws the sample and writes the page."""
    _check_suffix(out, ".html", "The page is an HTML file; name it with --out audit.html.")
    sample = draw_sample(studies, design)
    write_page(out, sample, show_labels=show_labels)
    print(f"{len(sample.items):,} sentences of {_population(sample)}:")
    for stratum in sample.strata:
        print(f"  {stratum.name}: {stratum.drawn:,} of {stratum.units:,} different ones")
    if len(sample.items) < design.n:
        print(f"There are no more than these; {design.n:,} were asked for.")
    print(f"Wrote {out}. It holds report text: keep it where the reports may be kept.")
    print("Open it in a browser, judge, export, then run:")
    print(f"  offclip labeller audit {studies} --verdicts verdicts.csv")


def run_audit_verdicts(
    studies: Path, verdicts: Sequence[Path], out: Path | None, *, disagreements: bool
) -> None:
    """Reads verdicts back, prints the agreement, and writes them as hand labels."""
    if len(verdicts) > 2:
        raise ConfigError(f"{len(verdicts)} files of verdicts were given.", "Give one or two.")
    if out is not None:
        _check_suffix(out, ".csv", "Hand labels are a CSV file; name it with --out labels.csv.")
    files = [read_verdicts(path) for path in verdicts]
    sample = draw_sample(studies, files[0].design)
    for file in files:
        file.check_sample(sample, studies)
    with trimmed() as target:
        for file in files:
            _draw_agreement(target, measure(sample, file), sample, file.path)
        if len(files) == 2:
            _draw_readers(target, compare_readers(sample, *files))
    if out is not None:
        table = hand_labels(sample, files, disagreements=disagreements)
        write_csv(table, out)
        print(f"\nWrote {len(table):,} hand labels to {out} (for 'offclip labeller fit --labels').")


def _check_suffix(path: Path, suffix: str, remedy: str) -> None:
    if path.suffix.lower() != suffix:
        raise ConfigError(f"{path} does not end in {suffix}.", remedy)


def _population(sample: Sample) -> str:
    units, size = sum(s.units for s in sample.strata), sum(s.size for s in sample.strata)
    counted = f" ({size:,} in the table)" if sample.design.weigh == "occurrences" else ""
    return f"{units:,} different ones{counted}"


def _draw_agreement(target: Console, result: Agreement, sample: Sample, path: Path) -> None:
    width = min(target.width, _WIDEST)
    occurrences = sample.design.weigh == "occurrences"
    who = f"Reader {result.reader}" if result.reader else path.name
    said = f"\n{printable(who)}: {result.judged:,} of {len(sample.items):,} sentences judged"
    if result.missing:
        said += "; those not judged are taken as missing at random"
    per = "every sentence as often as it occurs" if occurrences else "every different sentence once"
    target.print(Text(f"{said}."), width=width)
    target.print(Text(f"Estimates for the whole table, {per}, with 95 % intervals:\n"), width=width)
    _draw_total(target, result)
    if result.covered < 1 - 1e-9:
        out = f"{1 - result.covered:.1%} of the table"
        target.print(f"Strata in which nothing was judged are left out: {out}.", width=width)
    target.print(_groups("Agreement by the labeller's label", "label", result.labels, width))
    target.print(_groups("Agreement by rule", "rule", result.rules, width))
    title = "Judged sentences, and their share of the table; rows: labeller, columns: reader"
    target.print(_confusion(title, result.counts, result.shares, width))
    if not result.disagreements:
        target.print("\nNo disagreement.")
        return
    table = _table(f"{len(result.disagreements):,} disagreement(s)", width)
    for heading in ("labeller", "reader", "sentence"):
        table.add_column(heading, overflow="fold")
    for one in result.disagreements:
        sentence = Text(printable(one.item.seen.text))
        sentence.append(f"\n{printable(one.item.reason)}", style="dim")
        if one.verdict.comment:
            sentence.append(f"\n“{printable(one.verdict.comment)}”", style="italic")
        table.add_row(_label(one.item.label), _label(one.verdict.label), sentence)
    target.print(table)


def _draw_readers(target: Console, result: ReaderAgreement) -> None:
    width = min(target.width, _WIDEST)
    first, second = (printable(name) for name in result.readers)
    said = f"\nReaders {first} and {second}: {result.judged:,} sentences judged by both.\n"
    target.print(Text(said), width=width)
    _draw_total(target, result)
    target.print(_confusion(f"Rows: {first}, columns: {second}", result.counts, None, width))
    if not result.disputed:
        target.print("\nNo dispute.")
        return
    table = _table(f"{len(result.disputed):,} disputed", width)
    for heading in (first, second, "sentence"):
        table.add_column(Text(heading), overflow="fold")
    for item, one, other in result.disputed:
        table.add_row(_label(one.label), _label(other.label), Text(printable(item.seen.text)))
    target.print(table)


def _draw_total(target: Console, result: Agreement | ReaderAgreement) -> None:
    target.print(Text(f"Agreement      {_percent(result.overall)}", style="bold"))
    target.print(f"Cohen's kappa  {_kappa(result.kappa)}")


def _table(title: str, width: int) -> Table:
    bold = Text(f"\n{title}", style="bold")
    return Table(title=bold, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, width=width)


def _groups(title: str, heading: str, groups: Sequence[GroupAgreement], width: int) -> Table:
    table = _table(title, width)
    table.add_column(heading, overflow="fold", ratio=1)
    for name in ("of table", "judged", "agree", "agreement (95 % CI)"):
        table.add_column(name, justify="right")
    for group in groups:
        estimate = "not judged" if group.agreement is None else _percent(group.agreement)
        name = Text(printable(group.name), style=COLOURS.get(group.name, ""))
        table.add_row(name, f"{group.share:.1%}", f"{group.judged:,}", f"{group.agreed:,}", estimate)
    return table


def _confusion(title: str, counts: np.ndarray, shares: np.ndarray | None, width: int) -> Table:
    table = _table(title, width)
    table.add_column("", ratio=1)
    for label in LABELS:
        table.add_column(label, justify="right")
    for i, label in enumerate(LABELS):
        cells = [f"{counts[i, j]:,}" for j in range(len(LABELS))]
        if shares is not None:
            cells = [f"{cell} ({shares[i, j]:.1%})" for j, cell in enumerate(cells)]
        table.add_row(_label(label), *cells)
    return table


def _label(label: str) -> Text:
    return Text(label, style=COLOURS.get(label, ""))


def _percent(estimate: Estimate) -> str:
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"


def _kappa(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not defined: only one label occurs"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
