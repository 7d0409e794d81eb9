"""Evaluating a converted model: exact, with prompts kept on disk, with fewer bits."""

import json

import numpy as np
import pytest
import torch
from carzero_vocabulary import make_vocabulary

from offclip.cli.scoring import make_scoring
from offclip.errors import ConfigError
from offclip.evaluation.run import evaluate
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.convert import convert_checkpoint
from offclip.models.carzero.fixture import make_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("evaluated")
    (root / "vocab.txt").write_text("\n".join(make_vocabulary()))
    torch.save({"model_state_dict": make_weights(CarZeroConfig.tiny(), "evaluate")}, root / "offclip.pt")
    convert_checkpoint(root / "offclip.pt", root / "model", tokenizer=root, config=CarZeroConfig.tiny())
    return root / "model"


def test_a_cache_of_prompts_changes_nothing(folder, phantom, tmp_path):
    plain = evaluate(folder, phantom)
    for _ in range(2):
        kept = evaluate(folder, phantom, scoring=make_scoring(None, tmp_path / "cache"))
        np.testing.assert_array_equal(kept.scores.logits, plain.scores.logits)
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 1


def test_fewer_bits_are_named_in_the_results(folder, phantom, tmp_path):
    exact = evaluate(folder, phantom)
    less = evaluate(folder, phantom, tmp_path, scoring=make_scoring("int8-towers", None))
    assert json.loads((tmp_path / "results.json").read_text())["run"]["precision"] == "int8-towers"
    difference = np.abs(less.scores.logits - exact.scores.logits).mean()
    assert 0 < difference < 0.2 * exact.scores.logits.std()


def test_options_of_carzero_are_refused_elsewhere(finished_run, phantom):
    assert make_scoring(None, None) is None
    with pytest.raises(ConfigError, match="int3 is unknown"):
        make_scoring("int3", None)
    with pytest.raises(ConfigError, match="no CARZero"):
        evaluate(finished_run, phantom, scoring=make_scoring("fp32", None))
