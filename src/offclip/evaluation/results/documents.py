"""The documents of an evaluation folder: tables, model card, checklists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offclip.data.files import atomic_path
from offclip.evaluation.results.checklists import CHECKLISTS, checklist
from offclip.evaluation.results.known import read_known
from offclip.evaluation.results.model_card import model_card
from offclip.evaluation.results.tables import write_tables


def write_documents(
    results: Mapping[str, Any], folder: str | Path, *, model: str | Path | None = None
) -> list[Path]:
    """Writes tables, model card and checklists of an evaluation.

    Args:
        results: The content of `results.json`.
        folder: The evaluation folder.
        model: Run or model folder; its card and recipe go into the documents. None for scores that were made
            elsewhere.

    Returns:
        `tables/*`, `model_card.md`, `checklist_stard_ai.md`, `checklist_claim.md`.

    Raises:
        DataError: The disk is full, or a file cannot be written.
    """
    folder = Path(folder)
    known = read_known(model)
    texts = {"model_card.md": model_card(results, **known)}
    for name in CHECKLISTS:
        texts[f"checklist_{name.replace('-', '_')}.md"] = checklist(name, results, **known)
    written = write_tables(results, folder / "tables")
    for name, content in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8", newline="\n")
        written.append(folder / name)
    return written
