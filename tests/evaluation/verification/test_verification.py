"""The checks of `offclip verify`: each passes where all is well, and fails where it is not."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from offclip.errors import CheckpointError
from offclip.evaluation.verification import check_installation, check_model, installation
from offclip.evaluation.verification import model as model_checks
from offclip.evaluation.verification.check import difference
from offclip.evaluation.verification.installation import too_old
from offclip.images.preprocess import Preprocess
from offclip.models.carzero import parity
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import make_weights
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.tokenizer import SPECIAL_IDS, CarZeroTokenizer, NoTokenizer
from offclip.models.checkpoint import load_model, save_model

CONFIG = dataclasses.replace(CarZeroConfig.tiny(), image_size=224)


def results(checks):
    return {check.name: check for check in checks}


def failed(checks):
    return [check.name for check in checks if not check.passed]


@pytest.fixture
def carzero(monkeypatch):
    """A small CARZero with a tokenizer, in place of whatever folder is asked for; and its card."""
    words = sorted({word for prompt in model_checks.PROMPTS for word in re.findall(r"\w+", prompt.lower())})
    pieces = [f"[unused{number}]" for number in range(103)] + words
    for name, number in SPECIAL_IDS.items():
        pieces[number] = name
    model = CarZero.from_state_dict(make_weights(CONFIG, "verify"), CONFIG)
    model.tokenizer = CarZeroTokenizer(pieces, CONFIG.slots)
    card = {"sha256": {"weights.safetensors": "0" * 64}, "preprocess": dataclasses.asdict(model.preprocess)}
    monkeypatch.setattr(model_checks, "load_for_scoring", lambda path: model)
    monkeypatch.setattr(model_checks, "read_card", lambda path: card)
    return model, card


def test_a_sound_installation_passes():
    checks = results(check_installation())
    assert not failed(checks.values())
    assert [name for name in checks if name.startswith("small CARZero: ")] == [
        f"small CARZero: {what}" for what in ("weights", *parity.TOLERANCES)
    ]
    assert "6 pictures equal" in checks["preprocessing of CARZero"].found


def test_full_computes_the_published_geometry_too(monkeypatch):
    asked = []
    monkeypatch.setattr(
        installation, "deviations", lambda size: asked.append(size) or parity.deviations("tiny")
    )
    checks = list(check_installation(full=True))
    assert asked == ["tiny", "published"]
    assert sum(check.name.startswith("whole CARZero") for check in checks) == 7


def test_an_installation_that_computes_something_else_fails(monkeypatch):
    monkeypatch.setattr(
        parity, "make_pixels", lambda seeds, config: torch.zeros(len(seeds), 1, *[config.image_size] * 2)
    )
    assert failed(check_installation()) == [
        f"small CARZero: {output}" for output in ("sim", "i2t", "t2i", "img_g", "heat_map")
    ]


def test_other_weights_and_other_pixels_fail(monkeypatch):
    weights = parity.make_weights
    monkeypatch.setattr(parity, "make_weights", lambda config, salt: weights(config, salt + "!"))
    monkeypatch.setattr(parity, "make_image", lambda *size: np.zeros(size[1:], np.uint8))
    checks = results(check_installation())
    assert not checks["small CARZero: weights"].passed
    assert not checks["preprocessing of CARZero"].passed
    assert "1031 x 777" in checks["preprocessing of CARZero"].found


def test_packages_that_are_missing_or_old_fail(monkeypatch):
    metadata = installation.metadata
    monkeypatch.setattr(
        metadata, "requires", lambda name: ["numpy>=999", "no-such-package>=1", "openai>=999; extra == 'llm'"]
    )
    check = installation._packages()
    assert not check.passed
    assert "is older than 999; no-such-package is missing" in check.found

    def not_installed(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", not_installed)
    assert not installation._packages().passed


def test_missing_decoders_are_said_and_are_no_failure(monkeypatch):
    monkeypatch.setattr(installation, "find_spec", lambda name: None if name == "gdcm" else object())
    assert installation._decoders() == dataclasses.replace(installation._decoders(), passed=True)
    assert installation._decoders().found == "missing for JPEG"
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    assert "no DICOM at all" in installation._decoders().found


@pytest.mark.parametrize(
    ("installed", "lowest", "old"),
    [("2.4", "2.4", False), ("2.3.9", "2.4", True), ("10.0", "9.1", False), ("2.13.0+cpu", "2.4", False)],
)
def test_versions_are_compared_as_numbers(installed, lowest, old):
    assert too_old(installed, lowest) == old


def test_a_number_that_is_none_fails():
    assert not difference("x", float("nan"), 1.0).passed
    assert difference("x", 1.0, 1.0).passed


def test_a_trained_model_passes(finished_run):
    checks = results(check_model(finished_run))
    assert not failed(checks.values())
    assert {
        "SHA-256 of weights.safetensors",
        "SHA-256 of tokenizer.json",
        "tensors fit the card",
        "preprocessing of the card",
        "logits",
        "heat map similarity",
        "heat map grad-cam",
        "cells",
        "equal images, equal scores",
        "alone as in a batch",
        "tokens",
        "prompts differ",
    } == set(checks)


def test_a_model_that_is_not_what_its_card_says_fails(finished_run, monkeypatch):
    card = model_checks.read_card(finished_run)
    for preprocess in (card["preprocess"] | {"mean": 0.4}, card["preprocess"] | {"tint": 1}, None):
        monkeypatch.setattr(model_checks, "read_card", lambda path, p=preprocess: card | {"preprocess": p})
        assert failed(check_model(finished_run)) == ["preprocessing of the card"]
    monkeypatch.setattr(model_checks, "read_card", lambda path: card | {"parameters": 12})
    assert failed(check_model(finished_run)) == ["tensors fit the card"]


def test_code_that_normalises_otherwise_than_the_card_says_fails(finished_run, monkeypatch):
    monkeypatch.setattr(Preprocess, "normalise", lambda self, squares: squares.unsqueeze(1).float() / 255)
    assert failed(check_model(finished_run)) == ["preprocessing of the card"]


def test_a_text_tower_that_reads_nothing_fails(own_run):
    model = load_model(own_run)
    torch.nn.init.zeros_(model.text_tower.project.weight)
    torch.nn.init.ones_(model.text_tower.project.bias)
    save_model(model, own_run / "model")
    assert failed(check_model(own_run)) == ["prompts differ"]


def test_values_that_are_not_finite_are_no_model(own_run):
    model = load_model(own_run)
    torch.nn.init.constant_(model.text_tower.project.bias, float("nan"))
    save_model(model, own_run / "model")
    with pytest.raises(CheckpointError, match="not finite"):
        list(check_model(own_run))


def test_carzero_passes_with_both_kinds_of_map(carzero):
    checks = results(check_model(Path("anywhere")))
    assert not failed(checks.values())
    assert "heat map gradient-attention" in checks
    assert "geometry carzero" in checks["preprocessing of the card"].expected


def test_prompts_of_which_nothing_is_left_fail(carzero, monkeypatch):
    monkeypatch.setattr(model_checks, "PROMPTS", ("There is no finding.", "Pneumothorax."))
    check = results(check_model(Path("anywhere")))["prompts differ"]
    assert not check.passed
    assert "nothing is left of 'Pneumothorax.'" in check.found
    # Two prompts that the published cleaning makes the same.
    monkeypatch.setattr(model_checks, "PROMPTS", ("There is no finding.", "There is no finding!"))
    assert "is 'There is no finding!'" in results(check_model(Path("anywhere")))["prompts differ"].found


def test_carzero_without_a_tokenizer_computes_and_fails(carzero):
    model, _ = carzero
    model.tokenizer = NoTokenizer()
    assert failed(check_model(Path("anywhere"))) == ["prompts differ"]


def test_a_model_whose_scores_depend_on_the_place_in_the_batch_fails(carzero):
    model, _ = carzero
    similarity = model.similarity
    model.similarity = lambda image, text: similarity(image, text) + torch.arange(3).unsqueeze(1) * 1e-3
    assert failed(check_model(Path("anywhere"))) == ["equal images, equal scores"]
