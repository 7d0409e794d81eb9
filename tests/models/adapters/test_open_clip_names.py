"""What stands behind `open_clip:`, and what is said when it means nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

pytest.importorskip("open_clip", reason="needs 'offclip[openclip]'")

import open_clip
import open_clip_small as small

from offclip.errors import CheckpointError, ConfigError
from offclip.models.adapters.families import LoadOptions
from offclip.models.adapters.open_clip import architecture, names, tokenizer
from offclip.models.names import load_by_name

PICKLES = LoadOptions(allow_pickle=True)


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> Path:
    return small.save("vit", tmp_path_factory.mktemp("names") / "vit")[0]


@pytest.fixture(scope="module")
def biomedclip(tmp_path_factory) -> Path:
    return small.save("biomedclip", tmp_path_factory.mktemp("names") / "biomedclip")[0]


@pytest.fixture
def own(vit, tmp_path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(vit, tmp_path / "own @ copy"))


@pytest.fixture
def hub(monkeypatch) -> dict[str, Path]:
    """Folders that stand for ids on the hub; other ids are refused, as offline."""
    known: dict[str, Path] = {}

    def fetch(source: str, *, allow_pickle: bool = False, weights: bool = True) -> Path:
        del allow_pickle, weights
        if source not in known:
            raise CheckpointError(f"{source}: not in the hub's cache.", "Download it.")
        return known[source]

    for module in (names, architecture, tokenizer):
        monkeypatch.setattr(module, "fetch", fetch)
    return known


@pytest.fixture
def own_architecture(monkeypatch) -> str:
    """The tiny architecture under a name in open_clip's registry."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-Tiny-8", small.describe("vit")["model_cfg"])
    return "ViT-Tiny-8"


def logits(model) -> torch.Tensor:
    pixels = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)
    with torch.no_grad():
        return model.similarity(model.encode_image(pixels), model.embed_texts(small.SENTENCES))


def refused(error: type[Exception], name: object, *words: str, options: LoadOptions = LoadOptions()) -> None:
    with pytest.raises(error) as raised:
        load_by_name(f"open_clip:{name}", options)
    for word in words:
        assert word in str(raised.value)


def test_all_forms_mean_the_same_model(vit, own, hub, own_architecture, monkeypatch):
    file = own / "open_clip_model.safetensors"
    (own / "model.json").write_text(json.dumps(small.describe("vit")["model_cfg"]))
    hub["org/tiny"] = hub["org/tagged"] = vit
    tag = {"hf_hub": "org/tagged/", "mean": (0.5,) * 3, "std": (0.5,) * 3}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, own_architecture, {"films": tag})
    expected = logits(load_by_name(f"open_clip:{vit}"))
    forms = [
        f"local-dir:{vit}",
        "hf-hub:org/tiny",
        f"{own_architecture}@{file}",
        f"{own_architecture.replace('-8', '/8')}@{file}",
        f"{own_architecture}@{own}",
        f"{own_architecture}@films",
        f"{own / 'model.json'}@{file}",
    ]
    for form in forms:
        model = load_by_name(f"open_clip:{form}")
        assert torch.equal(logits(model), expected), form
        assert model.config.source == f"open_clip:{form}"
        assert model.preprocess.mean == (
            (0.5,) * 3 if form.endswith("films") else open_clip.OPENAI_DATASET_MEAN
        )


def test_unknown_architecture_names_the_closest():
    refused(ConfigError, "ViT-B16@weights.safetensors", "ViT-B-16", "list_models")
    refused(ConfigError, "org/name", "open_clip:hf-hub:org/name")


def test_architecture_without_weights_says_how_to_name_them():
    refused(ConfigError, "ViT-B-16", "names no weights", "open_clip:ViT-B-16@FILE", "openai")


def test_unknown_tag_names_the_known_ones(tmp_path):
    refused(ConfigError, "ViT-B-16@openia", "no tag", "openai")
    refused(CheckpointError, f"ViT-B-16@{tmp_path}/none.safetensors", "no such file")


def test_tag_that_is_not_on_the_hub(own_architecture, monkeypatch):
    tag = {"url": "https://example.org/weights.pt", "hf_hub": ""}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, own_architecture, {"films": tag})
    refused(CheckpointError, f"{own_architecture}@films", "https://example.org/weights.pt", "@FILE")


def test_tag_is_built_with_its_activation(vit, hub, monkeypatch):
    plain = small.describe("vit")["model_cfg"] | {"quick_gelu": False}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-Tiny-8", plain)
    tag = {"hf_hub": "org/tagged/", "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "ViT-Tiny-8", {"films": tag})
    hub["org/tagged"] = vit
    tagged = load_by_name("open_clip:ViT-Tiny-8@films")
    assert torch.equal(logits(tagged), logits(load_by_name(f"open_clip:{vit}")))


def test_tag_of_a_single_file(own, hub, own_architecture, monkeypatch):
    (own / "open_clip_model.safetensors").rename(own / "pytorch_model.safetensors")
    tag = {"hf_hub": "org/tagged/pytorch_model.bin"}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, own_architecture, {"films": tag})
    hub["org/tagged"] = own
    assert load_by_name(f"open_clip:{own_architecture}@films").config.embed_dim == small.JOINT


def test_model_that_is_not_in_the_cache(hub):
    refused(CheckpointError, "hf-hub:org/none", "org/none", "cache")
    refused(CheckpointError, "ViT-B-16@openai", "timm/vit_base_patch16_clip_224.openai")


def test_folder_that_is_none_or_of_another_kind(tmp_path):
    refused(CheckpointError, tmp_path / "none", "no such folder")
    refused(CheckpointError, f"local-dir:{tmp_path}/none", "no such folder")
    refused(CheckpointError, tmp_path, "open_clip_config.json: missing")
    (tmp_path / "config.json").write_text("{}")
    refused(CheckpointError, tmp_path, f"hf:{tmp_path}")
    (tmp_path / "card.json").write_text("{}")
    refused(CheckpointError, tmp_path, f"offclip:{tmp_path}")


def test_half_downloaded_folder(own):
    weights = own / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    refused(CheckpointError, own, "open_clip_model.safetensors: not readable")
    weights.unlink()
    refused(CheckpointError, own, "no weights", "open_clip_model.safetensors")
    (own / "open_clip_config.json").write_text('{"model_cfg": {')
    refused(CheckpointError, own, "not readable JSON")


def test_pickle_only_with_consent(own, hub):
    model = small.build("vit")
    (own / "open_clip_model.safetensors").unlink()
    torch.save(model.state_dict(), own / "open_clip_pytorch_model.bin")
    refused(CheckpointError, own, "pickle", "--allow-pickle")
    hub["org/pickles"] = own
    refused(CheckpointError, "hf-hub:org/pickles", "pickle", "--allow-pickle")
    expected = logits(load_by_name(f"open_clip:{own}", PICKLES))
    assert torch.equal(logits(load_by_name("open_clip:hf-hub:org/pickles", PICKLES)), expected)
    (own / "open_clip_pytorch_model.bin").unlink()
    hub["org/pickles"] = own  # as without consent: the pickle was not fetched
    refused(CheckpointError, "hf-hub:org/pickles", "not fetched without consent", "--allow-pickle")


def test_description_of_no_clip(own):
    for said in (
        {"embed_dim": 12, "vision_cfg": {}},
        {"embed_dim": 12, "vision_cfg": {}, "text_cfg": 3},
        None,
    ):
        (own / "open_clip_config.json").write_text(json.dumps({"model_cfg": said}))
        refused(CheckpointError, own, "no CLIP", "text_cfg")
    (own / "open_clip_config.json").write_text(json.dumps(small.describe("vit") | {"preprocess_cfg": [3]}))
    refused(CheckpointError, own, "preprocess_cfg is no object")


@pytest.mark.parametrize("broken", [{"colour": 3}, {"timm_model_name": "no_such_model"}])
def test_description_that_cannot_be_built(own, broken):
    said = small.describe("vit")
    said["model_cfg"]["vision_cfg"] = said["model_cfg"]["vision_cfg"] | broken
    (own / "open_clip_config.json").write_text(json.dumps(said))
    refused(CheckpointError, own, "cannot build it", "colour" if "colour" in broken else "no_such_model")


def test_models_that_do_not_pool(own):
    said = small.describe("vit")
    said["model_cfg"]["vision_cfg"] = said["model_cfg"]["vision_cfg"] | {"pool_type": "none"}
    (own / "open_clip_config.json").write_text(json.dumps(said))
    refused(CheckpointError, own, "no CLIP", "(1, 17, 12)")


def test_trunk_from_elsewhere_is_not_fetched(own):
    said = small.describe("vit")
    said["model_cfg"]["vision_cfg"] = {"timm_model_name": "hf-hub:org/trunk", "image_size": 32}
    (own / "open_clip_config.json").write_text(json.dumps(said))
    refused(CheckpointError, own, "hf-hub:org/trunk", "read from elsewhere")


def test_images_that_are_not_square(own):
    said = small.describe("vit")
    said["model_cfg"]["vision_cfg"] = said["model_cfg"]["vision_cfg"] | {"image_size": [32, 64]}
    (own / "open_clip_config.json").write_text(json.dumps(said))
    refused(ConfigError, own, "32 x 64", "square")


def test_text_encoder_beside_the_weights_or_by_its_name(biomedclip, tmp_path, hub):
    folder = Path(shutil.copytree(biomedclip, tmp_path / "copy"))
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    expected = load_by_name(f"open_clip:{folder}").embed_texts(small.SENTENCES).pooled
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.move(folder / file, encoder / file)
    refused(CheckpointError, folder, "no tokenizer beside the weights", "org/encoder", "cache")
    hub["org/encoder"] = encoder
    found = load_by_name(f"open_clip:{folder}").embed_texts(small.SENTENCES).pooled
    assert torch.equal(found, expected)


def test_text_encoder_with_fewer_places_than_the_tokenizer(biomedclip, tmp_path):
    folder = Path(shutil.copytree(biomedclip, tmp_path / "copy"))
    said = small.describe("biomedclip")
    said["model_cfg"]["text_cfg"]["context_length"] = 41
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    refused(CheckpointError, folder, "do not return", "40")


def test_text_encoder_that_is_missing_or_unknown(biomedclip, tmp_path, hub):
    folder = Path(shutil.copytree(biomedclip, tmp_path / "copy"))
    (folder / "config.json").write_text('{"architecture": "vit_base_patch16_224"}')  # timm's
    refused(CheckpointError, folder, "config.json", "org/encoder", "beside the weights")
    (folder / "config.json").write_text('{"model_type": "cxr-bert", "auto_map": {"AutoModel": "a.B"}}')
    refused(ConfigError, folder, "cxr-bert", "bert")


def test_file_of_an_architecture_with_other_pixels(own, own_architecture, monkeypatch, caplog):
    tag = {"hf_hub": "org/tagged/", "mean": (0.5,) * 3, "std": (0.5,) * 3}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, own_architecture, {"films": tag})
    load_by_name(f"open_clip:{own_architecture}@{own / 'open_clip_model.safetensors'}")
    assert "normalised as CLIP's" in caplog.text
