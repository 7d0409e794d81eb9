"""What many tests share: a small phantom, labelled once, and one tiny run trained on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from offclip.data.exports import studies_from_export
from offclip.data.phantom import write_phantom
from offclip.data.study import STUDY_SCHEMA, read_studies, write_studies
from offclip.evaluation.early import early_metrics
from offclip.models import DualEncoder, DualEncoderConfig, TextTokenizer
from offclip.training import TrainConfig, train

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def phantom(tmp_path_factory) -> Path:
    """120 labelled studies at 32 px; tests read it and never write to it."""
    folder = tmp_path_factory.mktemp("shared") / "phantom"
    write_phantom(folder, 120, size=32)
    studies, skipped = studies_from_export(folder / "reports.csv")
    assert not skipped
    write_studies(studies, folder / "studies.parquet")
    return folder


@pytest.fixture(scope="session")
def studies(phantom) -> pl.DataFrame:
    """The study table of the phantom, image paths absolute."""
    return read_studies(phantom / "studies.parquet")


@pytest.fixture
def own_phantom(phantom, tmp_path) -> Path:
    """A copy of the phantom that a test may spoil."""
    return Path(shutil.copytree(phantom, tmp_path / "own phantom"))


@pytest.fixture(scope="session")
def recipe() -> Callable[..., TrainConfig]:
    """A recipe that trains in a second; keywords change it."""

    def make(**changes) -> TrainConfig:
        tiny = {"image_size": 16, "epochs": 2, "batch_size": 16, "precision": "fp32"}
        return TrainConfig(**(tiny | changes))

    return make


@pytest.fixture(scope="session")
def finished_run(phantom, recipe, tmp_path_factory) -> Path:
    """A run folder with a trained model; tests read it and never write to it."""
    out = tmp_path_factory.mktemp("shared") / "run"
    train(phantom / "studies.parquet", recipe(), out, validate=early_metrics)
    return out


@pytest.fixture
def own_run(finished_run, tmp_path) -> Path:
    """A copy of the finished run that a test may spoil."""
    return Path(shutil.copytree(finished_run, tmp_path / "own run"))


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., DualEncoder]:
    """An untrained model in evaluation mode."""

    def make(head: str = "cosine", image_size: int = 32) -> DualEncoder:
        torch.manual_seed(0)
        texts = ["There is no finding.", "There is a nodule of right lung.", "There is pleural effusion."] * 2
        # Not 4 channels: with channels last, oneDNN of torch 2.13 writes past its memory on AVX2 processors.
        config = DualEncoderConfig(
            image_size=image_size, image_width=8, text_width=32, embed_dim=16, head=head
        )
        return DualEncoder(config, TextTokenizer.fit(texts)).eval()

    return make


@pytest.fixture(scope="session")
def make_studies() -> Callable[..., pl.DataFrame]:
    """A study table of `n` studies without image files; keywords replace columns."""

    def make(n: int = 3, **columns) -> pl.DataFrame:
        sentence = {"text": "Clear.", "label": "normal", "reason": "r", "prompt": "There is no finding."}
        sentence |= {"section": "findings", "start": 0, "end": 6, "findings": []}
        rows = {
            "study_id": [f"s{i}" for i in range(n)],
            "patient_id": [f"p{i}" for i in range(n)],
            "split": ["train"] * n,
            "images": [[{"image_id": f"i{i}", "path": f"/films/{i}.png", "view": "PA"}] for i in range(n)],
            "report": ["Clear."] * n,
            "sentences": [[sentence]] * n,
            "label": ["normal"] * n,
        }
        return pl.DataFrame(rows | columns, schema=STUDY_SCHEMA)

    return make


@pytest.fixture(scope="session")
def write_film() -> Callable[..., Path]:
    """Writes a grey PNG, made of one value or of an array."""

    def write(path: Path, pixels: int | np.ndarray = 128, size: tuple[int, int] = (20, 30)) -> Path:
        array = np.full(size, pixels, np.uint8) if isinstance(pixels, int) else pixels
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
        return path

    return write


@pytest.fixture
def full_disk(monkeypatch) -> Callable[[str], None]:
    """After `full_disk(name)`, files of that name stand on a full disk: writing them reaches /dev/full."""
    write_bytes = Path.write_bytes

    def fill(name: str) -> None:
        def on_full_disk(self, data):
            if self.name.startswith(f".{name}."):  # the temporary file of an atomic write
                self = Path("/dev/full")
            return write_bytes(self, data)

        def text_on_full_disk(self, text, encoding=None, errors=None, newline=None):
            return len(text) if on_full_disk(self, text.encode(encoding or "utf-8")) else 0

        monkeypatch.setattr(Path, "write_bytes", on_full_disk)
        monkeypatch.setattr(Path, "write_text", text_on_full_disk)

    return fill
