"""What the package is for, once a family: after a short OFF-CLIP training a normal film is called normal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from learning_models import MODELS, SIDE
from PIL import Image

import offclip
from offclip.data.exports import studies_from_export
from offclip.data.loader import load_pixels
from offclip.data.phantom import write_phantom
from offclip.data.study import read_studies, write_studies
from offclip.evaluation.classification import evaluation_prompts
from offclip.evaluation.truth import EvaluationData, read_evaluation_folder
from offclip.models.interface import ClipModel
from offclip.training import TrainConfig, train
from offclip.zeroshot.prompts import NORMAL_PROMPTS
from offclip.zeroshot.score import score_images

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """600 phantoms of 64 px whose abnormal films carry a white square: towers as small as these see that."""
    folder = tmp_path_factory.mktemp("films")
    write_phantom(folder, 600, seed=3, size=64)
    studies, _ = studies_from_export(folder / "reports.csv")
    write_studies(studies, folder / "studies.parquet")
    for study in studies.filter(pl.col("label") != "normal").iter_rows(named=True):
        for image in study["images"]:
            pixels = np.asarray(Image.open(image["path"])).copy()
            pixels[8:24, 8:24] = 255
            Image.fromarray(pixels).save(image["path"])
    return folder


def margins(model: ClipModel, data: EvaluationData) -> tuple[np.ndarray, np.ndarray]:
    """Of every test film: "There is no finding." less the highest finding, and whether it is normal."""
    store, _ = load_pixels(list(data.images["test"]), model.preprocess)
    scores = score_images(model, store, evaluation_prompts(data.labels.findings))
    findings = scores.logits[:, len(NORMAL_PROMPTS) :].max(axis=1)
    return scores.of("There is no finding.") - findings, data.labels.select(store.image_ids).normal == 1


@pytest.mark.parametrize(("library", "kind"), MODELS)
def test_a_normal_film_is_called_normal_after_a_short_training(library, kind, films, tmp_path):
    pytest.importorskip(library, reason=f"needs {library}")
    sentences = [
        sentence["text"] for row in read_studies(films / "studies.parquet")["sentences"] for sentence in row
    ] + list(NORMAL_PROMPTS)
    name = MODELS[library, kind](kind, tmp_path / "model", sentences)
    data = read_evaluation_folder(films)
    before, normal = margins(offclip.load(name, image_size=SIDE), data)
    recipe = TrainConfig(
        model=name,
        image_size=SIDE,
        epochs=12,
        batch_size=32,
        learning_rate=2e-3,
        augment=False,
        precision="fp32",
    )
    train(films / "studies.parquet", recipe, tmp_path / "run")
    after, _ = margins(offclip.load(tmp_path / "run"), data)

    told_apart = np.mean(after[normal] > 0) - np.mean(after[~normal] > 0)
    assert np.mean(after[normal] > 0) > 0.8
    assert told_apart > 0.5
    assert told_apart > np.mean(before[normal] > 0) - np.mean(before[~normal] > 0)
