"""What an evaluation leaves in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from offclip.data.files import atomic_path, write_csv
from offclip.evaluation.evaluated import Evaluated
from offclip.evaluation.result_page import FilmMap, write_result_page
from offclip.evaluation.results import write_documents

CASES, VALIDATION = "cases.parquet", "validation.parquet"
RESULTS, MISSES, PAGE, MODEL_CARD = "results.json", "misses.csv", "report.html", "model_card.md"


def write_evaluated(
    evaluated: Evaluated,
    out: Path,
    *,
    overlays: Mapping[str, Sequence[FilmMap]] | None = None,
    pages: bool = True,
) -> None:
    """Writes cases, misses, tables, the page, the cards, and last of all results.json.

    Args:
        evaluated: What was measured.
        out: The folder; made if missing.
        overlays: From case id to heat maps of its film.
        pages: Write the tables, the page and the cards; without, numbers and cases only.

    Raises:
        DataError: The disk is full or the folder not writable.
    """
    document = evaluated.document
    document["run"]["name"] = document["run"]["name"] or out.absolute().name
    (out / RESULTS).unlink(missing_ok=True)  # of an earlier evaluation: these files are no longer its
    evaluated.cases.write(out / CASES)
    if evaluated.validation is not None:
        evaluated.validation.write(out / VALIDATION)
    if evaluated.misses is not None:
        write_csv(evaluated.misses, out / MISSES)
    if pages:
        write_documents(document, out, model=document["run"]["model"])
        write_result_page(
            out / PAGE,
            document,
            evaluated.cases,
            validation=evaluated.validation,
            images=evaluated.films,
            overlays=overlays,
            model_card=(out / MODEL_CARD).read_text(encoding="utf-8"),
        )
    with atomic_path(out / RESULTS) as temporary:  # the last, so that it says that all is there
        temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
