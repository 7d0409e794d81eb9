"""A reporting checklist as Markdown, each item with its status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from offclip.evaluation.results.checklists.items import CHECKLISTS, Item, read_checklist
from offclip.evaluation.results.facts import FACTS, Fact
from offclip.evaluation.results.known import AUTHORS, NOT_KNOWN, Known
from offclip.evaluation.results.markup import escape_markdown, markdown_rows
from offclip.evaluation.results.tables import caption

FILLED, IN_PART = "filled", "filled in part"
STATUSES = (FILLED, IN_PART, NOT_KNOWN, AUTHORS)

__all__ = ["CHECKLISTS", "FILLED", "IN_PART", "STATUSES", "checklist", "status_of"]


def checklist(
    name: str,
    results: Mapping[str, Any],
    *,
    checkpoint_card: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> str:
    """A checklist, filled in with what the outputs of an evaluation establish.

    An item is `filled` where the outputs hold all of it, `filled in part` where the authors must add
    something, `not known` where the outputs could hold it but do not, and else `for the authors`.

    Args:
        name: `"stard-ai"` or `"claim"`.
        results: The content of `results.json`.
        checkpoint_card: `card.json` of the model; None for scores that were made elsewhere.
        training: `config` and `environment` of the run folder, as `read_known` gives them.

    Returns:
        Markdown: a heading, how to read it, and one table a section.

    Raises:
        ConfigError: There is no such checklist.
    """
    published = read_checklist(name)
    known = Known.of(results, checkpoint_card, training)
    facts = {item.number: FACTS[item.fill](known) if item.fill else None for item in published.items}
    counts = Counter(status_of(item, facts[item.number]) for item in published.items)
    lines = [
        f"# {published.title}",
        "",
        escape_markdown(caption(results)),
        "",
        f"{published.citation} https://doi.org/{published.doi}",
        "",
        f"Compiled from {published.compiled_from}. The wording of the publication counts: check against it "
        "before you submit. Where a row says that it is filled, the outputs hold what it asks for; whether "
        "the paper says it is for the authors to see.",
        "",
        ", ".join(f"{status}: {counts[status]}" for status in STATUSES) + ".",
    ]
    for section in dict.fromkeys(item.section for item in published.items):
        rows = [_row(item, facts[item.number]) for item in published.items if item.section == section]
        lines += ["", f"## {section}", ""]
        lines += markdown_rows(
            ["item", "asks for", "status", "what is known", "for the authors", "where"], rows
        )
    return "\n".join(lines) + "\n"


def status_of(item: Item, fact: Fact | None) -> str:
    """Whether an item is filled."""
    if not item.fill:
        return AUTHORS
    if fact is None:
        return NOT_KNOWN
    return IN_PART if item.authors else FILLED


def _row(item: Item, fact: Fact | None) -> list[str]:
    number = f"{item.number} ({item.new})" if item.new else item.number
    told = fact.text if fact else ""
    return [number, item.text, status_of(item, fact), told, item.authors, fact.where if fact else ""]
