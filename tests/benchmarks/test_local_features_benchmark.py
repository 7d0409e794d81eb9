"""The benchmark of local features: one training, three ways to read the cells, and a table of means."""

import pytest
import torch
from xray_modules import load

pytest.importorskip("transformers", reason="needs 'offclip[hf]'")

from offclip.evaluation.grounding.tables import read_grounding_folder
from offclip.models.adapters.last_block import LOCAL

model_script, script = load("local_features_model"), load("local_features")
TEXTS = ["There is a nodule.", "There is no finding.", "The lungs are clear."] * 2


@pytest.mark.parametrize("pooling", script.POOLING)
def test_the_three_ways_share_weights_and_logits(pooling, phantom):
    model = model_script.build(pooling, TEXTS, seed=0).eval()
    pixels = torch.randn(2, 3, script.SIDE, script.SIDE)
    data = read_grounding_folder(phantom)
    logits, maps, measured = [], [], []
    for local in LOCAL:
        script.with_local(model, local)
        with torch.no_grad():
            image, text = model.encode_image(pixels), model.embed_texts(TEXTS[:3])
            logits.append(model.similarity(image, text))
            maps.append(model.heat_map(image, text))
        measured.append(script.measures(model, data, "test", "similarity"))
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[0], logits[2])
    assert not torch.allclose(maps[0], maps[1], atol=1e-4)
    assert not torch.allclose(maps[1], maps[2], atol=1e-4)
    assert len({m["chance"] for m in measured}) == 1  # the same films and boxes
    assert len({m["energy"] for m in measured}) == 3


def test_what_is_trained_is_not_trained_again(phantom, tmp_path):
    run, studies = tmp_path / "run", phantom / "studies.parquet"
    first = model_script.trained("token", 0, studies, run, epochs=1, rate=1e-3)
    written = (run / "weights.safetensors").stat().st_mtime_ns
    second = model_script.trained("token", 0, studies, run, epochs=9, rate=1e-3)
    assert (run / "weights.safetensors").stat().st_mtime_ns == written
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not first.training


def test_the_table_has_mean_and_spread():
    values = dict.fromkeys(script.MEASURES, 0.5)
    text = script.table_text({"tokens": {"test": [values, values | {"hit": 0.7}]}})
    assert text.splitlines()[-1].startswith("| tokens | test | 2 | 0.600 ± 0.141 | 0.500 ± 0.000 |")
