"""Text encoders of transformers: features, ids and pooling as the library's own, and clear refusals."""

import json
import re
from pathlib import Path

import pytest
import torch

pytest.importorskip("timm", reason="needs 'offclip[timm]'")
transformers = pytest.importorskip("transformers", reason="needs 'offclip[hf]'")

from timm_small import SENTENCES, TEXTS, save_text, save_tokenizer  # noqa: E402

from offclip.errors import CheckpointError, ConfigError, InputError  # noqa: E402
from offclip.models.adapters.timm.names import TextName  # noqa: E402
from offclip.models.adapters.timm.text_source import read_text  # noqa: E402
from offclip.models.adapters.timm.text_tokenizer import EncoderTokenizer  # noqa: E402
from offclip.models.adapters.timm.text_tower import EncoderTextTower, make_text_tower  # noqa: E402

D = 24
OLD = {"weight": "gamma", "bias": "beta"}


@pytest.fixture(scope="module", params=TEXTS)
def saved(request, tmp_path_factory) -> tuple[str, Path]:
    return request.param, save_text(tmp_path_factory.mktemp(request.param), request.param)


def tower_of(folder: Path) -> tuple[EncoderTextTower, EncoderTokenizer]:
    source = read_text(TextName(str(folder)), allow_pickle=False)
    torch.manual_seed(0)
    return make_text_tower(source.encoder, D, source.stored["pooling"]).eval(), source.tokenizer


def own_states(kind: str, folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and last hidden states by transformers itself."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(SENTENCES, padding=True, truncation=True, return_tensors="pt")
    kinds = transformers.T5EncoderModel if kind == "t5" else transformers.AutoModel
    model = kinds.from_pretrained(folder).eval()
    inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    return tokens, model(**inputs).last_hidden_state


@torch.inference_mode()
def test_features_and_ids_are_those_of_transformers(saved):
    kind, folder = saved
    tower, tokenizer = tower_of(folder)
    ids, mask = tokenizer(SENTENCES)
    tokens, states = own_states(kind, folder)
    assert torch.equal(ids, tokens["input_ids"])
    assert torch.equal(mask, tokens["attention_mask"])
    found = tower(ids, mask)
    kept = mask.bool()
    assert torch.equal(found.mask, kept)
    assert torch.allclose(found.tokens[kept], tower.project(states)[kept], rtol=1e-5, atol=1e-6)
    mean = torch.stack([states[row, kept[row]].mean(dim=0) for row in range(len(SENTENCES))])
    assert torch.allclose(found.pooled, tower.project(mean), rtol=1e-5, atol=1e-6)
    assert found.pooled.std(dim=0).max() > 1e-3


@torch.inference_mode()
def test_padding_changes_nothing(saved):
    tower, tokenizer = tower_of(saved[1])
    together = tower(*tokenizer(SENTENCES)).pooled
    alone = torch.cat([tower(*tokenizer([sentence])).pooled for sentence in SENTENCES])
    assert torch.allclose(together, alone, atol=1e-5)


def test_every_weight_learns(saved):
    tower, tokenizer = tower_of(saved[1])
    assert len(tower.blocks) == 3
    assert tower.fresh == (tower.project,)
    found = tower.train()(*tokenizer(SENTENCES))
    (found.pooled.square().sum() + found.tokens.square().sum()).backward()
    assert not [name for name, p in tower.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


@torch.inference_mode()
@pytest.mark.parametrize(("pooling", "expected"), [("cls_token", "cls"), ("mean_tokens", "mean")])
def test_pooling_is_that_of_sentence_transformers(tmp_path, pooling, expected):
    folder = save_text(tmp_path / "encoder", pooling=pooling)
    tower, tokenizer = tower_of(folder)
    assert tower.pooling == expected
    if expected == "cls":
        states = own_states("bert", folder)[1]
        assert torch.allclose(tower(*tokenizer(SENTENCES)).pooled, tower.project(states[:, 0]), atol=1e-6)


@torch.inference_mode()
def test_a_head_in_the_file_is_left_out(tmp_path):
    plain = save_text(tmp_path / "plain")
    with_head = save_text(tmp_path / "head", suffix="ForMaskedLM")
    source = read_text(TextName(str(with_head)), allow_pickle=False)
    own = transformers.BertForMaskedLM.from_pretrained(with_head).bert.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in source.encoder.state_dict().items())
    assert source.stored == read_text(TextName(str(plain)), allow_pickle=False).stored


def test_names_of_the_first_bert_files(tmp_path):
    folder = save_text(tmp_path / "encoder")
    expected = read_text(TextName(str(folder)), allow_pickle=False).encoder.state_dict()
    old = {
        "bert." + re.sub("LayerNorm.(weight|bias)$", lambda m: f"LayerNorm.{OLD[m[1]]}", name): value
        for name, value in expected.items()
    }
    (folder / "model.safetensors").unlink()
    torch.save(old, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickle"):
        read_text(TextName(str(folder)), allow_pickle=False)
    found = read_text(TextName(str(folder)), allow_pickle=True).encoder.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_random_weights_need_no_file(tmp_path):
    folder = save_text(tmp_path / "encoder")
    (folder / "model.safetensors").unlink()
    read_text(TextName(str(folder), random=True), allow_pickle=False)
    with pytest.raises(CheckpointError, match="no weights; looked for"):
        read_text(TextName(str(folder)), allow_pickle=False)


def test_number_types_of_the_file_are_left_behind(tmp_path):
    folder = save_text(tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float16", "torch_dtype": "float16"}))
    source = read_text(TextName(str(folder)), allow_pickle=False)
    assert {parameter.dtype for parameter in source.encoder.parameters()} == {torch.float32}
    assert "dtype" not in source.stored["config"]


def test_the_licence_of_the_card(tmp_path):
    folder = save_text(tmp_path / "encoder")
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\nlicense: of nothing\n")
    assert read_text(TextName(str(folder)), allow_pickle=False).licence == "apache-2.0"


def test_long_texts_are_cut_as_the_library_cuts_them(tmp_path):
    folder = save_text(tmp_path / "encoder")
    tokenizer = tower_of(folder)[1]
    text = "hilar " * 20
    own = transformers.AutoTokenizer.from_pretrained(folder)(text, truncation=True)["input_ids"]
    assert tokenizer.max_tokens == len(own) == 30
    assert tokenizer([text])[0][0].tolist() == own
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12}')
    assert tower_of(folder)[1].max_tokens == 12


def test_the_tokenizer_survives_as_json(tmp_path):
    tokenizer = tower_of(save_text(tmp_path / "encoder"))[1]
    again = EncoderTokenizer.from_json(tokenizer.to_json(), tokenizer.max_tokens)
    for left, right in zip(tokenizer(SENTENCES), again(SENTENCES), strict=True):
        assert torch.equal(left, right)
    with pytest.raises(InputError, match="Not a tokenizer"):
        EncoderTokenizer.from_json("{}", 10)
    with pytest.raises(InputError, match="empty"):
        tokenizer([" "])


def test_a_tokenizer_of_another_model(tmp_path):
    folder = save_text(tmp_path / "encoder")
    save_tokenizer(folder, extra=100)
    with pytest.raises(CheckpointError, match="the tokenizer has 174 ids and the encoder 120"):
        read_text(TextName(str(folder)), allow_pickle=False)


def test_no_tokenizer(tmp_path):
    folder = save_text(tmp_path / "encoder")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(CheckpointError, match="no tokenizer; looked for"):
        read_text(TextName(str(folder)), allow_pickle=False)


def test_no_text_encoder(tmp_path):
    folder = save_text(tmp_path / "encoder")
    file = folder / "config.json"
    own = json.loads(file.read_text())
    file.write_text(json.dumps(own | {"model_type": "gpt2"}))
    with pytest.raises(ConfigError, match="'gpt2' is no text encoder"):
        read_text(TextName(str(folder)), allow_pickle=False)
    file.write_text(json.dumps(own | {"hidden_size": 64}))
    with pytest.raises(CheckpointError, match="of another size, such as embeddings"):
        read_text(TextName(str(folder)), allow_pickle=False)
    file.write_text(json.dumps(own | {"hidden_size": "wide"}))
    with pytest.raises(ConfigError, match=r"config\.json"):
        read_text(TextName(str(folder)), allow_pickle=False)
    file.write_text("{")
    with pytest.raises(CheckpointError, match="not readable JSON"):
        read_text(TextName(str(folder)), allow_pickle=False)


@pytest.mark.parametrize("mode", ["max_tokens", "lasttoken"])
def test_a_pooling_that_is_not_known(tmp_path, mode):
    folder = save_text(tmp_path / "encoder", pooling=mode)
    with pytest.raises(ConfigError, match=f"pools by pooling_mode_{mode}"):
        read_text(TextName(str(folder)), allow_pickle=False)
