"""Folders of transformers that are no CLIP, not whole, or not to be trusted."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from hf_small import PATCH, SENTENCES, save, transformers
from safetensors.torch import load_file, save_file

from offclip.errors import CheckpointError
from offclip.models.adapters.families import LoadOptions
from offclip.models.names import load_by_name


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save("clip", tmp_path_factory.mktemp("hf") / "clip")


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "clip")


def change(file, **fields):
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | fields))


def refused(folder, *words, **options):
    with pytest.raises(CheckpointError) as caught:
        load_by_name(f"hf:{folder}", LoadOptions(**options))
    assert caught.value.remedy
    for word in (str(folder), *words):
        assert word in str(caught.value)


def same(folder, saved, **options):
    ours = load_by_name(f"hf:{folder}", LoadOptions(**options)).state_dict()
    theirs = load_by_name(f"hf:{saved}").state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_what_is_missing_is_named(folder):
    for name, words in {
        "preprocessor_config.json": ("preprocessor_config.json and processor_config.json", "whole folder"),
        "tokenizer.json": ("no tokenizer", "vocab.txt"),
        "model.safetensors": ("no weights", "model.safetensors.index.json", "pytorch_model.bin"),
        "config.json": ("config.json", "missing"),
    }.items():
        hidden = (folder / name).rename(folder / "hidden")
        refused(folder, *words)
        hidden.rename(folder / name)


def test_a_missing_shard_is_named_and_whole_shards_load(folder, saved):
    state = load_file(folder / "model.safetensors")
    names = sorted(state)
    parts = {"model-1.safetensors": names[:20], "model-2.safetensors": names[20:]}
    for file, part in parts.items():
        save_file({name: state[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    same(folder, saved)
    (folder / "model-2.safetensors").unlink()
    refused(folder, "1 of 2", "model-2.safetensors")


def test_pickled_weights_need_consent(folder, saved):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    refused(folder, "pickle", "--allow-pickle")
    same(folder, saved, allow_pickle=True)


def test_weights_in_half_precision_are_computed_with_in_float32(folder):
    state = load_file(folder / "model.safetensors")
    save_file({name: tensor.half() for name, tensor in state.items()}, folder / "model.safetensors")
    change(folder / "config.json", dtype="float16")
    model = load_by_name(f"hf:{folder}")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    name = "image_tower.projection.weight"
    assert torch.equal(model.state_dict()[name], state["visual_projection.weight"].half().float())


def test_names_of_older_versions_are_known(folder, saved, tmp_path):
    state = load_file(folder / "model.safetensors")
    state["text_model.embeddings.position_ids"] = torch.arange(40)[None]
    save_file(state, folder / "model.safetensors")
    same(folder, saved)
    pair = save("clip+roberta", tmp_path / "pair")
    old = shutil.copytree(pair, tmp_path / "old")
    state = load_file(pair / "model.safetensors")
    assert not any(name.startswith("vision_model.vision_model.") for name in state)
    renamed = {name.replace("vision_model.", "vision_model.vision_model."): state[name] for name in state}
    save_file(renamed, old / "model.safetensors")
    same(old, pair)


def test_weights_that_do_not_fit_are_refused(folder):
    state = load_file(folder / "model.safetensors")
    name = "vision_model.post_layernorm.weight"
    for changed, what in (
        (
            {n: t for n, t in state.items() if n != name},
            f"1 tensors are missing in model.safetensors, such as {name}",
        ),
        (state | {"other": torch.zeros(1)}, "1 tensors are unexpected in model.safetensors, such as other"),
        (state | {name: torch.zeros(7)}, f"1 tensors are mismatched in model.safetensors, such as {name}"),
    ):
        save_file(changed, folder / "model.safetensors")
        refused(folder, what)
    (folder / "model.safetensors").write_bytes(b"no weights")
    refused(folder, "not readable")


def test_what_is_no_clip_is_named(folder):
    file = folder / "config.json"
    transformers.BertConfig().save_pretrained(folder)
    refused(folder, "'bert'", "clip", "siglip", "vision-text-dual-encoder")
    change(file, model_type="siglip2")
    refused(folder, "NaFlex", "google/siglip2-base-patch16-224")
    file.write_text("{}")
    refused(folder, "None")
    for broken in ("[]", "{", ""):
        file.write_text(broken)
        refused(folder, "config.json")


def test_programs_of_their_own_are_not_run(folder):
    (folder / "own.py").write_text("raise SystemExit")
    change(folder / "config.json", auto_map={"AutoModel": "own.Model"})
    refused(folder, "auto_map", "not run")
    change(folder / "config.json", auto_map={})
    refused(folder, "auto_map")


def test_a_tokenizer_that_is_a_program_is_not_run(folder):
    (folder / "own.py").write_text("raise SystemExit")
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Tokenizer", None]})
    refused(folder, "auto_map", "not run")


def test_configurations_that_make_no_model_are_refused(folder):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"vision_config": config["vision_config"] | {"hidden_size": "wide"}}))
    refused(folder, "describes no model")
    file.write_text(
        json.dumps(config | {"vision_config": config["vision_config"] | {"num_attention_heads": 0}})
    )
    refused(folder, "config.json")
    file.write_text(json.dumps(config | {"vision_config": config["vision_config"] | {"num_channels": 1}}))
    refused(folder, "1 channels")
    file.write_text(json.dumps(config | {"quantization_config": {"quant_method": "bitsandbytes"}}))
    refused(folder, "quantised")


def test_a_tower_of_another_kind_is_named(tmp_path):
    folder = save("vit+bert", tmp_path / "pair")
    config = json.loads((folder / "config.json").read_text())
    vision = transformers.ResNetConfig().to_dict()  # which the library itself cannot compare with texts
    change(folder / "config.json", vision_config=vision)
    refused(folder, "vision tower", "'resnet'", "swin")
    change(
        folder / "config.json",
        vision_config=config["vision_config"],
        text_config={"model_type": "distilbert"},
    )
    refused(folder, "text tower", "'distilbert'", "roberta")


def test_pixels_of_another_size_are_refused(folder):
    change(folder / "preprocessor_config.json", crop_size=40, size={"shortest_edge": 40})
    refused(folder, "40 pixels", f"takes {4 * PATCH}")


def test_a_tokenizer_of_another_model_is_refused(folder):
    change_text = lambda **fields: change(  # noqa: E731
        folder / "config.json",
        text_config=json.loads((folder / "config.json").read_text())["text_config"] | fields,
    )
    words = json.loads((folder / "config.json").read_text())["text_config"]["vocab_size"]
    change_text(eos_token_id=5)
    refused(folder, "does not end a text with the id 5")
    change_text(vocab_size=words - 1)
    refused(folder, f"has ids up to {words - 1}, the text tower knows {words - 1}")


def test_positions_that_count_from_another_padding_id_are_refused(tmp_path):
    folder = save("clip+roberta", tmp_path / "pair")
    config = json.loads((folder / "config.json").read_text())
    change(folder / "config.json", text_config=config["text_config"] | {"pad_token_id": 0})
    refused(folder, "pads with 1", "padding id 0")


def test_a_tokenizer_without_padding_is_refused(folder):
    own = transformers.AutoTokenizer.from_pretrained(folder)
    own.pad_token = None
    for file in folder.glob("*token*"):
        file.unlink()
    backend = own.backend_tokenizer
    transformers.PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>").save_pretrained(
        folder
    )
    refused(folder, "no padding token")


def test_what_the_library_says_does_not_reach_the_user(folder, capfd):
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_by_name(f"hf:{folder}")
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_the_licence_of_the_card_is_kept(folder):
    assert load_by_name(f"hf:{folder}").licence == ""
    (folder / "README.md").write_text(
        "---\nlicense: other\nlicense_name: terms-of-x\ntags: [a]\n---\nlicense: no\n"
    )
    assert load_by_name(f"hf:{folder}").licence == "terms-of-x"


def test_slow_vocabularies_load(folder, saved):
    own = transformers.AutoTokenizer.from_pretrained(folder)
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    for file in folder.glob("*token*"):
        file.unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(" ".join(merge) for merge in model["merges"])
    )
    ids, mask = load_by_name(f"hf:{folder}").tokenizer(SENTENCES)
    expected = own(SENTENCES, padding=True, truncation=True, return_tensors="pt")
    assert torch.equal(ids, expected["input_ids"])
    assert torch.equal(mask, expected["attention_mask"])
