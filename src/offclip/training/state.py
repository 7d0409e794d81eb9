"""The run folder: what a run was, how far it came, and what it measured.

RUN/config.json        the recipe                     RUN/metrics.jsonl   one line an epoch
RUN/environment.json   versions, data fingerprint     RUN/skipped.csv     what was left out, and why
RUN/state.pt           to resume; gone when finished  RUN/model/          weights, card, tokenizer
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from offclip.data.files import atomic_path
from offclip.errors import CheckpointError
from offclip.models.interface import ClipModel
from offclip.training.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        epoch: Epochs finished.
        step: Steps finished in the current epoch.
        loss: Sum of the losses of those steps.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0


class Stateful(Protocol):
    """What a run needs beside the model to go on: the optimiser, and whatever else remembers something."""

    def state_dict(self) -> dict[str, Any]:
        """All that it remembers."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Puts it back."""
        ...


class RunFolder:
    """Reads and writes one run folder; every file is whole or not there."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.model = self.path / "model"
        self.metrics = self.path / "metrics.jsonl"
        self.skipped = self.path / "skipped.csv"
        self._state = self.path / "state.pt"

    @property
    def finished(self) -> bool:
        """Whether the trained model is there and no state waits to be resumed."""
        return (self.model / "card.json").is_file() and not self._state.is_file()

    def open(self, config: dict[str, Any], fingerprint: str, weights: str = "") -> None:
        """Claims the folder for a run, or recognises it as the same run.

        A run that has not come as far as its first saved state gives way to another one.

        Args:
            config: The recipe; what the recipe of the folder does not know is taken to be the default there.
            fingerprint: Of the data.
            weights: Fingerprint of the weights that the run starts from; empty for none.

        Raises:
            CheckpointError: The folder holds another run, or something that is no run.
        """
        wanted = {"config": config, "data": fingerprint} | ({"weights": weights} if weights else {})
        if self.path.exists() and not self.path.is_dir():
            raise CheckpointError(f"{self.path} is a file.", "Choose another --out.")
        config_file = self.path / "config.json"
        if config_file.is_file():
            found = _read_json(config_file)
            known = TrainConfig().as_dict() | found["config"]
            changed = sorted(k for k in config if known.get(k) != config[k])
            if found.get("data") != fingerprint:
                changed.append("the data")
            if found.get("weights", "") != weights:
                changed.append("the weights it starts from")
            if not changed:
                return
            if self._state.exists() or self.metrics.exists() or self.model.exists():
                raise CheckpointError(
                    f"{self.path} holds another run; different: {', '.join(changed)}.",
                    "Choose another --out, or repeat the command of that run to resume it.",
                )
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise CheckpointError(f"{self.path} is not empty and holds no run.", "Choose another --out.")
        self.write_json("config.json", wanted)

    def write_json(self, name: str, value: Any) -> None:
        """Writes one JSON file of the folder."""
        with atomic_path(self.path / name, CheckpointError) as temporary:
            temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

    def save(self, progress: Progress, model: ClipModel, parts: Mapping[str, Stateful]) -> None:
        """Saves everything that is needed to go on: the model, and `parts` by their names.

        Raises:
            CheckpointError: The disk is full or the folder not writable; an earlier state stays.
        """
        state = {
            "epoch": progress.epoch,
            "step": progress.step,
            "loss": progress.loss,
            "tokenizer": model.tokenizer.to_json(),
            "model": model.state_dict(),
            **{name: part.state_dict() for name, part in parts.items()},
        }
        buffer = io.BytesIO()  # torch's own writer does not say that the disk is full
        torch.save(state, buffer)
        with atomic_path(self._state, CheckpointError) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    def restore(self, model: ClipModel, parts: Mapping[str, Stateful]) -> Progress:
        """Loads the last saved state into model and parts; without one, the run starts at the beginning.

        Raises:
            CheckpointError: The state cannot be read or belongs to another model.
        """
        if not self._state.is_file():
            return Progress()
        try:
            state = torch.load(self._state, weights_only=True, map_location="cpu")
            if state["tokenizer"] != model.tokenizer.to_json():
                raise ValueError("the sentences are not those that the run began with")
            model.load_state_dict(state["model"])
            for name, part in parts.items():
                part.load_state_dict(state[name])
            return Progress(int(state["epoch"]), int(state["step"]), float(state["loss"]))
        except Exception as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise CheckpointError(
                f"{self._state}: cannot be resumed ({reason}).",
                "Remove the file to start over.",
            ) from error

    def finish(self) -> None:
        """Removes the state of a run whose model is written."""
        self._state.unlink(missing_ok=True)

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Appends one line; a line of the same epoch, left by a killed run, is replaced."""
        kept = [old for old in self.read_metrics() if old["epoch"] < line["epoch"]]
        with atomic_path(self.metrics, CheckpointError) as temporary:
            temporary.write_text(
                "".join(json.dumps(entry) + "\n" for entry in [*kept, line]), encoding="utf-8"
            )

    def read_metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl."""
        if not self.metrics.is_file():
            return []
        return [json.loads(line) for line in self.metrics.read_text(encoding="utf-8").splitlines()]


def fingerprint_of(path: str | Path) -> str:
    """SHA-256 of a file."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable JSON ({error}).", "Choose another --out.") from error
    if not (isinstance(value, dict) and isinstance(value.get("config"), dict)):
        raise CheckpointError(f"{path}: not the recipe of a run.", "Choose another --out.")
    return value
