"""What is known about a model and its evaluation, gathered for the model card and the checklists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from offclip.evaluation.results.reading import block

NOT_KNOWN = "not known"
AUTHORS = "for the authors"


@dataclass(frozen=True, slots=True)
class Known:
    """The documents that a card or a checklist is filled from; empty where there is none.

    Attributes:
        results: `results.json`.
        card: `card.json` of the model folder; for a model of another library what `results.json` says of it.
        training: `config` (of the run folder's `config.json`), `environment` (its `environment.json`).
    """

    results: Mapping[str, Any]
    card: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        results: Mapping[str, Any],
        checkpoint_card: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
    ) -> Known:
        """From documents that may be missing."""
        return cls(results, checkpoint_card or block(results, "run", "weights"), training or {})

    @property
    def recipe(self) -> Mapping[str, Any]:
        """How the model was trained: of the run folder, else of the model's card; empty when not known."""
        return block(self.training, "config") or block(self.card, "training", "recipe")

    @property
    def training_data(self) -> Mapping[str, Any]:
        """Counts of the training data; empty when not known."""
        found = {**block(self.card, "training"), **block(self.training, "environment")}
        names = ("studies", "normal_studies", "uncertain_studies", "unique_texts", "images")
        return {name: found[name] for name in names if name in found}


def read_known(model: str | Path | None) -> dict[str, dict[str, Any] | None]:
    """The card of a run or model folder, and how it was trained, as far as the folder says.

    A folder that is missing or holds something else gives None: a card can be written without it.

    Args:
        model: Run or model folder; None for scores that were made elsewhere.

    Returns:
        `checkpoint_card`, the content of `card.json`, and `training`, with `config`, `data` and
        `environment`; each may be None. They are the keywords of `model_card` and `checklist`.
    """
    if model is None:
        return {"checkpoint_card": None, "training": None}
    folder = Path(model)
    card = _read(folder / "card.json") or _read(folder / "model" / "card.json")
    run = folder if (folder / "config.json").is_file() else folder.parent
    config, environment = _read(run / "config.json"), _read(run / "environment.json")
    training = {
        "config": dict(block(config or {}, "config")),
        "data": (config or {}).get("data"),
        "environment": environment or {},
    }
    trained = training["config"] or training["environment"]
    return {"checkpoint_card": card, "training": training if trained else None}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
