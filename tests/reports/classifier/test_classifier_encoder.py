"""The text encoder: fine-tuned, saved without pickle, loaded without a network. With a tiny random BERT."""

import json
import logging
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import BertProcessing

from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.errors import CheckpointError, ConfigError, DataError
from offclip.reports import RuleLabeller
from offclip.reports.classifier import HandLabel, load_labeller
from offclip.reports.classifier import encoder as encoder_module
from offclip.reports.classifier.encoder import read_pretrained
from offclip.reports.classifier.encoder_fit import class_weights, fit_encoder
from offclip.reports.classifier.folder import save_fitted
from offclip.reports.classifier.settings import EncoderConfig, FitConfig
from offclip.reports.classifier.training_set import make_training_set

transformers = pytest.importorskip("transformers", reason="the extra 'hf' is not installed")

RULES = RuleLabeller()
UNKNOWN = "There is a new left floop."
CONFIG = FitConfig(validation=0.3)


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory, corpus) -> Path:
    """A BERT of one layer that knows the words of the corpus."""
    folder = tmp_path_factory.mktemp("bert") / "tiny"
    words = sorted({word for text in corpus for word in re.findall(r"\w+|\.", text.lower())})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=len(vocabulary), max_position_embeddings=24, **size)
    transformers.BertModel(config).save_pretrained(folder)
    words_only = Tokenizer(WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    words_only.normalizer, words_only.pre_tokenizer = Lowercase(), Whitespace()
    words_only.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words_only, **special)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def recipe(tiny_bert) -> EncoderConfig:
    return EncoderConfig(str(tiny_bert), epochs=6, batch_size=8, learning_rate=5e-3, patience=6, device="cpu")


@pytest.fixture(scope="module")
def trained(corpus, recipe):
    return fit_encoder(corpus, RULES, recipe, [HandLabel(UNKNOWN, "abnormal")], CONFIG)


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / "labeller"
    save_fitted(folder, trained, RULES)
    return folder


def test_it_learns_the_rules(trained):
    assert trained.report.validation.accuracy > 0.8
    assert [step["epoch"] for step in trained.report.steps] == list(range(1, len(trained.report.steps) + 1))
    losses = [step["training_loss"] for step in trained.report.steps]
    assert losses[-1] < losses[0] / 2


def test_saved_and_loaded_it_labels_as_before(trained, saved):
    names = {file.name for file in saved.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "card.json", "corrections.json"} <= names
    assert all(Path(name).suffix in (".safetensors", ".json", ".txt") for name in names)
    labeller = load_labeller(saved, RULES)
    texts = [UNKNOWN, "No left effusion is seen.", ""]
    np.testing.assert_allclose(
        labeller.model.probabilities(texts), trained.model.probabilities(texts), atol=1e-6
    )
    found = labeller(UNKNOWN)
    assert found.reason == "undecided" or found.reason.startswith("classifier:")
    assert labeller("Large effusion.") == RULES("Large effusion.")


def test_probabilities_do_not_depend_on_the_batch(trained):
    texts = [f"There is a new left mass {'right ' * i}." for i in range(30)]
    together = trained.model.probabilities(texts)
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-5)
    alone = np.concatenate([trained.model.probabilities([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert trained.model.probabilities([]).shape == (0, 3)


def test_a_sentence_longer_than_the_network_reads_is_cut(trained):
    assert trained.model.max_length == 24  # of the 128 asked for
    assert np.isfinite(trained.model.probabilities(["mass " * 10_000])).all()


def test_the_same_seed_gives_the_same_weights_and_leaves_the_random_state_alone(corpus, recipe, trained):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    again = fit_encoder(corpus, RULES, recipe, [HandLabel(UNKNOWN, "abnormal")], CONFIG)
    assert torch.equal(before, torch.random.get_rng_state())
    assert again.report == trained.report
    for name, tensor in trained.model.network.state_dict().items():
        assert torch.equal(tensor, again.model.network.state_dict()[name]), name


def test_training_stops_when_validation_gets_worse_and_keeps_the_best_epoch(corpus, tiny_bert):
    # A learning rate that soon ruins the model.
    wild = EncoderConfig(str(tiny_bert), epochs=30, batch_size=8, learning_rate=0.5, patience=2, device="cpu")
    fitted = fit_encoder(corpus, RULES, wild, config=CONFIG)
    losses = [step["validation_loss"] for step in fitted.report.steps]
    assert len(losses) < 30
    assert losses.index(min(losses)) == len(losses) - 3
    data = make_training_set(corpus, RULES)
    chances = fitted.model.probabilities(data.sentences)
    assert np.isfinite(chances).all()


def test_rare_classes_weigh_as_much_as_frequent_ones(corpus):
    data = make_training_set(corpus, RULES)
    mass = class_weights(data) * np.bincount(data.targets, data.weights)
    np.testing.assert_allclose(mass, mass[0])
    assert mass.sum() == pytest.approx(data.weights.sum())
    two = make_training_set(["No mass.", "A mass."], RULES)
    assert class_weights(two).tolist() == [1, 0, 1]


def test_too_few_sentences_are_explained(recipe):
    with pytest.raises(DataError, match="too few to hold some out"):
        fit_encoder(["No mass.", "A mass."], RULES, recipe)


def test_without_the_extra_it_says_what_to_install(saved, recipe, corpus, monkeypatch):
    monkeypatch.setattr(encoder_module, "find_spec", lambda name: None)
    for use in (lambda: load_labeller(saved, RULES), lambda: fit_encoder(corpus, RULES, recipe)):
        with pytest.raises(ConfigError) as caught:
            use()
        assert "pip install 'offclip[hf]'" in caught.value.remedy


def test_a_model_that_is_not_there(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    for name in (tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(CheckpointError, match=str(name)) as caught:
            read_pretrained(str(name), local=False)
        assert "Hugging Face hub" in caught.value.remedy
    with pytest.raises(CheckpointError, match="no-such/encoder"):
        read_pretrained("no-such/encoder", local=True)


def test_pickled_weights_are_refused(tiny_bert, tmp_path):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tiny_bert / name).read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="no text encoder"):
        read_pretrained(str(tmp_path), local=True)


def test_damaged_weights_are_refused(tiny_bert, tmp_path):
    for file in tiny_bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(CheckpointError, match="no text encoder"):
        read_pretrained(str(tmp_path), local=True)


def test_a_card_without_its_settings_is_refused(saved, tmp_path):
    for file in saved.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    card = json.loads((tmp_path / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(card | {"settings": {"max_length": "long"}}))
    with pytest.raises(CheckpointError, match="max_length is 'long'"):
        load_labeller(tmp_path, RULES)


def test_the_terminal_stays_quiet_and_the_library_as_it_was(saved, tiny_bert, capfd):
    from transformers.utils import logging as library

    level, bars = library.get_verbosity(), library.is_progress_bar_enabled()
    read_pretrained(str(tiny_bert), local=True)
    load_labeller(saved, RULES)
    assert capfd.readouterr() == ("", "")
    assert (library.get_verbosity(), library.is_progress_bar_enabled()) == (level, bars)
    assert level <= logging.WARNING
    assert "transformers" in sys.modules


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"learning_rate": 0}, {"batch_size": 1.5}, {"max_length": 1}]
)
def test_a_wrong_setting_is_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EncoderConfig("x", **wrong)
    with pytest.raises(ConfigError, match="needs a model"):
        EncoderConfig("")


def test_the_command_trains_and_writes_it(corpus, tiny_bert, tmp_path, capsys):
    (tmp_path / "sentences.csv").write_text("\n".join(["sentence", *corpus]))
    arguments = [
        "labeller",
        "fit",
        tmp_path / "sentences.csv",
        "--out",
        tmp_path / "out",
        "--kind",
        "encoder",
    ]
    options = ["--epochs", 1, "--batch-size", 8, "--max-length", 16, "--validation", 0.3]

    def run(model) -> int:
        command = [str(item) for item in (*arguments, *options, "--model", model)]
        return run_safely(lambda: app(command, prog_name="offclip"), debug=False)

    assert run(tmp_path / "none") == 2
    assert "no text encoder can be read there" in capsys.readouterr().err
    assert run(tiny_bert) == 0
    assert "held-out sentences" in capsys.readouterr().out
    assert load_labeller(tmp_path / "out", RULES).model.max_length == 16
