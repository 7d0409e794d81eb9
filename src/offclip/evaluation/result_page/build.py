"""The page of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from offclip.evaluation.cases import Cases
from offclip.evaluation.drawing.page import style, write_html
from offclip.evaluation.result_page import provenance, words
from offclip.evaluation.result_page.blocks import block_of
from offclip.evaluation.result_page.curves import normal_scored
from offclip.evaluation.result_page.gallery import FilmMap, Gallery, gallery
from offclip.evaluation.result_page.headline import headline_cards
from offclip.evaluation.result_page.markdown import markdown_html
from offclip.evaluation.result_page.measured import Results, read_results
from offclip.evaluation.result_page.measured_normal import RuleOut
from offclip.evaluation.result_page.panels import (
    MOST_PANELS,
    normal_figures,
    pr_panels,
    reliability_panels,
    roc_panels,
)
from offclip.evaluation.result_page.rows import (
    class_table,
    common,
    mean_rows,
    score_table,
    subgroup_table,
)

PACKAGE = "offclip.evaluation.result_page"
SHEETS = ((PACKAGE, "result.css"),)
# Title and a sentence.
_BLOCKS = {
    "negation": (
        "Negation",
        "Does “There is X.” score higher than “There is no X.” where X is present, and lower elsewhere? "
        "The balanced share of right answers is 0.5 by chance.",
    ),
    "grounding": ("Grounding", "Do the heat maps lie on what was drawn by hand?"),
    "extras": ("Further measures of the protocol", ""),
    "metrics": ("Further measures", ""),
}


def write_result_page(
    path: str | Path,
    results: Mapping[str, Any],
    cases: Cases,
    *,
    validation: Cases | None = None,
    images: Mapping[str, Path] | None = None,
    model_card: str | None = None,
    overlays: Mapping[str, Sequence[FilmMap]] | None = None,
) -> Path:
    """Writes one HTML page that opens offline: it asks for nothing outside itself and runs no script.

    A part of the results that is absent or null is left out of the page, with a sentence where a reader would
    miss it. Cases appear by their ids; patient ids do not appear.

    Args:
        path: The page to write.
        results: The content of `results.json`.
        cases: The cases that the results were measured on; curves and gallery are made of them.
        validation: The cases that thresholds were chosen on; their rule-out curve is drawn beside.
        images: From case id to a film, for the gallery; at most 24 films are read, and they are shown at 256
            pixels. Without films the gallery is a table.
        model_card: Markdown.
        overlays: From case id to heat maps of its film.

    Returns:
        The path.

    Raises:
        DataError: The results are something else or have a value of a wrong type, or the disk is full.
        InputError: A heat map is no matrix of finite values.
    """
    found = read_results(results)
    context = _context(found, cases, validation, images or {}, overlays or {}, model_card)
    return write_html(path, PACKAGE, "page.html.j2", context)


def _context(
    results: Results,
    cases: Cases,
    validation: Cases | None,
    images: Mapping[str, Path],
    overlays: Mapping[str, Sequence[FilmMap]],
    model_card: str | None,
) -> dict[str, Any]:
    normal = results.normal
    scored = normal_scored(cases, normal.score) if normal else None
    rule = _clearing_rule(results)
    shown = gallery(cases, scored, rule.missed if rule else None, images, overlays)
    points = [c.operating_point for c in results.classes if c.operating_point]
    blocks = {key: block_of(value, f"results.{key}") for key, value in results.blocks.items()}
    context = {
        "style": style(SHEETS),
        "w": words,
        "r": results,
        "name": results.run.name or results.protocol.title or "Evaluation",
        "level": results.interval.percent,
        "lede": provenance.lede(results),
        "intervals": provenance.intervals(results.interval),
        "facts": provenance.facts(results),
        "cards": headline_cards(results),
        "class_table": class_table(results),
        "means": mean_rows(results),
        "point_origin": common(p.origin for p in points if p.origin),
        "has_points": bool(points),
        "roc_panels": roc_panels(results, cases),
        "pr_panels": pr_panels(results, cases),
        "most_panels": MOST_PANELS,
        "figures": normal_figures(normal, scored, cases, validation),
        "score_table": score_table(normal) if normal else None,
        "subgroups": subgroup_table(normal) if normal else None,
        "reliability": reliability_panels(results),
        "calibrations": _calibrations(results),
        "uncalibrated": uncalibrated(results),
        "gallery": shown,
        "rule": rule,
        "blocks": [(key, *_BLOCKS[key], block) for key in _BLOCKS if (block := blocks.get(key))],
        "model_card": markdown_html(model_card) if model_card and model_card.strip() else None,
        "provenance": provenance.provenance(results),
        "command": provenance.command(results),
    }
    return context | {"contents": _contents(context, shown)}


def _clearing_rule(results: Results) -> RuleOut | None:
    """The operating point whose misses the gallery shows: the lowest sensitivity, where most is cleared."""
    rules = results.normal.rule_out if results.normal else ()
    return next((rule for rule in rules if rule.missed is not None), None)


def uncalibrated(results: Results) -> list[tuple[str, str]]:
    """What has no calibration, and why, where a reason is known."""
    normal = results.normal
    found = [("Normal score", normal.not_calibrated)] if normal and normal.not_calibrated else []
    return found + [(words.plain(c.name), c.no_calibration) for c in results.classes if c.no_calibration]


def _calibrations(results: Results) -> list[str]:
    """Method and origin of the calibrations, each way once."""
    found = [c.calibration for c in results.classes] + [
        results.normal.calibration if results.normal else None
    ]
    ways = [
        f"{c.method or 'not named'}, {c.origin or 'origin not named'}"
        + (f", {c.binning}" if c.binning else "")
        for c in found
        if c
    ]
    return list(dict.fromkeys(ways))


def _contents(context: Mapping[str, Any], shown: Gallery) -> list[tuple[str, str]]:
    """Sections of the page in their order: id and title."""
    normal = context["r"].normal
    there = [
        ("headline", "Headline", True),
        ("normal", "Normal", normal),
        ("subgroups", "Subgroups", context["subgroups"]),
        ("findings", "Findings", True),
        ("curves", "Curves", context["roc_panels"]),
        ("reliability", "Reliability", True),
        ("gallery", "Gallery", shown.best or shown.worst),
        ("prompts", "Prompts", context["r"].prompts),
        *((key, title, True) for key, title, _, _ in context["blocks"]),
        ("made", "How this was made", True),
        ("card", "Model card", True),
    ]
    return [(key, title) for key, title, shows in there if shows]
