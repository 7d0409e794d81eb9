"""Going on from weights that are there: which, how they are told apart, and that every option resumes."""

import json
import logging

import pytest
import torch
from refining_models import TEXTS, make_carzero

from offclip.errors import CheckpointError, ConfigError, OffclipError
from offclip.evaluation.early import early_metrics
from offclip.models import TextTokenizer, load_model, save_model
from offclip.models.carzero.tokenizer import NoTokenizer
from offclip.training import TrainConfig, loop, start, train
from offclip.training.config import LOADED_RATE
from offclip.training.start import starting_point


def refine(phantom, source, out, *, stop=None, **changes):
    """Two epochs of two steps from a run folder."""
    fields = {"model": str(source), "epochs": 2, "batch_size": 40, "precision": "fp32"} | changes

    def on_step(report):
        if report.step == stop:
            raise KeyboardInterrupt

    config = TrainConfig(**fields)
    return train(phantom / "studies.parquet", config, out, validate=early_metrics, on_step=on_step)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(model, before) -> set[str]:
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def test_a_run_goes_on_from_a_run(phantom, finished_run, tmp_path):
    before = load_model(finished_run)
    model = refine(phantom, finished_run, tmp_path / "run")
    assert (
        0
        < max((a - b).abs().max() for a, b in zip(model.parameters(), before.parameters(), strict=True))
        < 0.01
    )
    assert model.tokenizer.to_json() == before.tokenizer.to_json()
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (recorded["config"]["learning_rate"], recorded["config"]["image_size"]) == (LOADED_RATE, 16)
    card = json.loads((tmp_path / "run" / "model" / "card.json").read_text())
    assert card["training"]["started_from"] == {"model": str(finished_run), "sha256": recorded["weights"]}


def test_other_weights_under_the_same_name_are_another_run(phantom, own_run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        refine(phantom, own_run, tmp_path / "run", stop=3, save_every_s=0.0)
    model = load_model(own_run)
    torch.nn.init.zeros_(model.head.bias)
    save_model(model, own_run / "model")
    with pytest.raises(CheckpointError, match="different: the weights it starts from"):
        refine(phantom, own_run, tmp_path / "run", save_every_s=0.0)


def test_a_folder_of_an_earlier_version_is_the_same_run(phantom, recipe, own_run):
    file = own_run / "config.json"
    recorded = json.loads(file.read_text())
    for name in (
        "image_layers",
        "text_layers",
        "layer_decay",
        "lora_rank",
        "lora_alpha",
        "cache_chunk",
        "ema",
    ):
        del recorded["config"][name]
    file.write_text(json.dumps(recorded))
    seen = []
    train(phantom / "studies.parquet", recipe(), own_run, on_step=seen.append)
    assert not seen
    with pytest.raises(CheckpointError, match="different: ema"):
        train(phantom / "studies.parquet", recipe(ema=0.9), own_run)


OPTIONS = {
    "last": {"image_layers": "last-1", "text_layers": "last-1", "layer_decay": 0.7},
    "frozen": {"image_layers": "none", "text_layers": "none", "augment": False},
    "cached": {"image_layers": "none", "cache_chunk": 7},
    "mean": {"ema": 0.9, "text_layers": "none"},
    "fp16": {"precision": "fp16"},
    "lora": {"image_layers": "lora", "text_layers": "lora", "ema": 0.5, "cache_chunk": 16},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_stopped_run_ends_like_one_that_was_not(phantom, finished_run, tmp_path, name):
    if name == "lora":
        pytest.importorskip("peft", reason="needs 'offclip[lora]'")
    options = OPTIONS[name] | {"save_every_s": 0.0, "learning_rate": 1e-3}
    whole = refine(phantom, finished_run, tmp_path / "whole", **options)
    for stop in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            refine(phantom, finished_run, tmp_path / "parts", stop=stop, **options)
    resumed = refine(phantom, finished_run, tmp_path / "parts", **options)
    assert not changed(resumed, state(whole))
    assert not changed(load_model(tmp_path / "parts"), state(whole))
    assert changed(whole, state(load_model(finished_run)))
    lines = [(tmp_path / run / "metrics.jsonl").read_text().splitlines() for run in ("whole", "parts")]
    whole_lines, lines = ([json.loads(line) | {"images_per_s": 0} for line in one] for one in lines)
    assert whole_lines == lines


def test_the_mean_of_the_weights_is_what_is_saved(phantom, finished_run, tmp_path):
    options = {"learning_rate": 1e-3, "augment": False}
    last = refine(phantom, finished_run, tmp_path / "last", **options)
    mean = refine(phantom, finished_run, tmp_path / "mean", ema=0.999, **options)
    first = load_model(finished_run)

    def distance(a, b):
        return sum((x - y).square().sum().item() for x, y in zip(a.parameters(), b.parameters(), strict=True))

    assert 0 < distance(mean, first) < distance(last, first)
    assert not changed(load_model(tmp_path / "mean"), state(mean))


def test_features_that_are_kept_change_nothing_but_the_time(phantom, finished_run, tmp_path, monkeypatch):
    options = {"image_layers": "none", "text_layers": "none", "augment": False, "learning_rate": 0.1}
    kept = refine(phantom, finished_run, tmp_path / "kept", **options)
    monkeypatch.setattr("offclip.training.features.LIMIT_BYTES", 0)
    computed = refine(phantom, finished_run, tmp_path / "computed", **options)
    assert changed(kept, state(load_model(finished_run))) == {"head.log_scale", "head.bias"}
    torch.testing.assert_close(kept.state_dict(), computed.state_dict(), rtol=1e-5, atol=1e-6)


def test_a_published_model_is_refined(phantom, tmp_path, monkeypatch):
    model = make_carzero()
    tokenizer, before = model.tokenizer, state(model)
    model.tokenizer = NoTokenizer(max_tokens=model.config.slots)
    save_model(model, tmp_path / "carzero")
    with pytest.raises(OffclipError, match="tokenizer"):
        refine(phantom, tmp_path / "carzero", tmp_path / "none", epochs=1)
    model.tokenizer = tokenizer
    monkeypatch.setattr(start, "load_by_name", lambda *_: model.eval())
    monkeypatch.setattr(loop, "save_model", lambda *_, **__: None)
    options = {"image_layers": "last-1", "text_layers": "none", "cache_chunk": 8, "epochs": 1}
    refined = changed(refine(phantom, tmp_path / "carzero", tmp_path / "run", **options), before)
    assert any(name.startswith("fusion.") for name in refined)
    towers = {name for name in refined if not name.startswith("fusion.")}
    assert towers
    assert all(name.startswith(("image_tower.blocks.2.", "image_tower.norm.")) for name in towers)


def test_a_size_that_the_model_does_not_take(finished_run):
    with pytest.raises(ConfigError, match="16 pixels"):
        starting_point(TrainConfig(model=str(finished_run), image_size=32))


def test_a_model_that_cannot_be_saved_is_refused_before_it_is_trained(finished_run, monkeypatch):
    monkeypatch.setattr("offclip.training.start.kind_of", lambda model: "")
    with pytest.raises(ConfigError, match="not saved as a model folder"):
        starting_point(TrainConfig(model=str(finished_run)))


def test_texts_that_are_cut_are_counted(tiny_model, caplog):
    model = tiny_model()
    model.tokenizer = TextTokenizer.fit(TEXTS, max_tokens=4)
    with caplog.at_level(logging.WARNING):
        ids, _ = loop.tokenise(model, ["There is no finding.", "There."])
    assert ids.shape == (2, 4)
    assert "1 of 2 texts have 4 tokens or more" in caplog.text


def test_logits_that_only_a_softmax_has_seen_are_centred(phantom, own_run, tmp_path):
    model = load_model(own_run)
    torch.nn.init.zeros_(model.head.bias)
    torch.nn.init.ones_(model.image_tower.project[1].bias)  # all images look alike, as those of a CLIP do
    torch.nn.init.ones_(model.text_tower.project.bias)
    save_model(model, tmp_path / "clip")
    changes = {"learning_rate": 1e-9, "epochs": 1}
    softmax = refine(phantom, tmp_path / "clip", tmp_path / "softmax", objective="infonce", **changes)
    sigmoid = refine(phantom, tmp_path / "clip", tmp_path / "sigmoid", **changes)
    assert abs(softmax.head.bias.item()) < 1e-6
    assert sigmoid.head.bias.item() < -3
    sigmoid = refine(phantom, tmp_path / "sigmoid", tmp_path / "again", **changes)  # it has a bias now
    assert sigmoid.head.bias.item() == pytest.approx(
        load_model(tmp_path / "sigmoid").head.bias.item(), abs=1e-6
    )
