"""What a name stands for, models of other people's packages, and names that mean nothing."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

import fake_family
import offclip
from offclip.errors import CheckpointError, ConfigError
from offclip.models import names, save_model, third_party
from offclip.models.adapters.families import LoadOptions
from offclip.models.cards import model_cards
from offclip.models.names import load_by_name, read_name


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    fake_family.register(monkeypatch)


@pytest.fixture
def packages(monkeypatch):
    """Sets the entry points of installed packages: from a scheme to a function of `fake_family`."""

    def install(**schemes):
        found = [
            EntryPoint(name, f"fake_family:{value}", third_party.GROUP) for name, value in schemes.items()
        ]
        monkeypatch.setattr(third_party, "entry_points", lambda group: found)

    return install


@pytest.mark.parametrize(
    ("name", "scheme", "rest"),
    [
        ("runs/first/model", "offclip", "runs/first/model"),
        ("./first", "offclip", "./first"),
        ("offclip:first", "offclip", "first"),
        (Path("first"), "offclip", "first"),
        (r"C:\models\first", "offclip", r"C:\models\first"),
        ("D:/models", "offclip", "D:/models"),
        ("hf:org/name", "hf", "org/name"),
        (r"hf:C:\models", "hf", r"C:\models"),
        ("open_clip:ViT-B-16@/a/b.pt", "open_clip", "ViT-B-16@/a/b.pt"),
        ("open_clip:hf-hub:org/name", "open_clip", "hf-hub:org/name"),
        ("timm:resnet18+hf:org/name", "timm", "resnet18+hf:org/name"),
        ("medsiglip", "hf", "google/medsiglip-448"),
        ("efficientnet-lite0+minilm", "pretrained", "efficientnet-lite0+minilm"),
    ],
)
def test_what_a_name_stands_for(name, scheme, rest):
    meant = read_name(name)
    assert (meant.scheme, meant.rest) == (scheme, rest)
    assert (meant.folder is not None) == (scheme == "offclip")
    assert (meant.card is not None) == (name in model_cards())


def test_a_folder_with_a_model_wins_over_a_named_model(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("medsiglip").mkdir()  # such as the results of one
    assert read_name("medsiglip").scheme == "hf"
    save_model(tiny_model(), "medsiglip")
    assert read_name("medsiglip").folder == Path("medsiglip")
    save_model(tiny_model(), "first")
    assert read_name("first").folder == Path("first")
    save_model(tiny_model(), "a_b:c")
    assert read_name("a_b:c").folder == Path("a_b:c")


@pytest.mark.parametrize(
    ("name", "error", "message", "remedy"),
    [
        ("medsiglp", ConfigError, "no model 'medsiglp'; near to it: medsiglip", "hf:"),
        ("BiomedCLIP", ConfigError, "no model 'BiomedCLIP'; near to it: biomedclip", "offclip models list"),
        ("opencip:ViT-B-16", ConfigError, "no kind of model 'opencip'; near to it: open_clip:", "timm:"),
        ("zzz", ConfigError, "There is no model 'zzz'.", "run or model folder"),
        ("", ConfigError, "There is no model ''.", "run or model folder"),
        ("compact", ConfigError, "is an architecture without weights", "--model compact"),
        ("cxr-clip", ConfigError, "cannot load it by name", "models show cxr-clip"),
        ("org/name", CheckpointError, "org/name: no such folder", "hf:org/name"),
        ("/no/such/folder", CheckpointError, "no model here", "folder"),
        ("pretrained:vgg", ConfigError, "no model 'pretrained:vgg'", "efficientnet-lite0"),
        ("fake:none", CheckpointError, "no such model", "fake:tiny"),
    ],
)
def test_names_that_mean_nothing(name, error, message, remedy):
    with pytest.raises(error) as caught:
        load_by_name(name)
    assert message in caught.value.message
    assert remedy in caught.value.remedy


def test_options_reach_the_family():
    model = offclip.load("fake:tiny", image_size=48, local="tokens")
    assert not model.training
    assert (model.preprocess.size, model.config.local) == (48, "tokens")
    with pytest.raises(CheckpointError, match="pickle only") as caught:
        offclip.load("fake:pickle")
    assert "--allow-pickle" in caught.value.remedy
    assert offclip.load("fake:pickle", allow_pickle=True).config.source == "fake:pickle"
    with pytest.raises(ConfigError, match="local is 'cells'"):
        offclip.load("fake:tiny", local="cells")


def test_a_folder_is_what_it_is(tmp_path):
    save_model(load_by_name("fake:tiny", LoadOptions(local="tokens")), tmp_path / "m")
    for options in (LoadOptions(), LoadOptions(image_size=32), LoadOptions(local="tokens")):
        assert load_by_name(f"offclip:{tmp_path / 'm'}", options).config.local == "tokens"
    with pytest.raises(ConfigError, match="32 pixels wide, and 64 were asked for"):
        offclip.load(tmp_path / "m", image_size=64)
    with pytest.raises(ConfigError, match="'tokens', and 'self-attention' was asked for"):
        offclip.load(tmp_path / "m", local="self-attention")


def test_a_named_model_has_the_licence_of_its_card_where_the_files_state_none(monkeypatch):
    for name, licence in (("tiny", "CC0-1.0"), ("other", "of the card")):
        card = next(iter(model_cards().values()))
        changes = {"loads": f"fake:{name}", "licence": "of the card"}
        card = type(card)(**{field: getattr(card, field) for field in card.__slots__} | changes)
        monkeypatch.setattr(names, "model_cards", lambda card=card: {"named": card})
        assert load_by_name("named").licence == licence
    assert load_by_name("fake:other").licence == ""


def test_models_of_other_packages(packages):
    packages(theirs="Theirs")
    model = offclip.load("theirs:a:b", image_size=48)
    assert isinstance(model, fake_family.Theirs)
    assert (model.rest, model.preprocess.size, model.training) == ("a:b", 48, False)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("breaks", r"broken:x: the package \S+ failed \(KeyError: 'x'\)"),
        ("gone", r"broken:x: the package \S+ failed \(AttributeError"),
        ("no_model", r"broken:x: the package \S+ returned str, which is no ClipModel"),
    ],
)
def test_errors_of_other_packages_carry_their_name(packages, function, message):
    packages(broken=function)
    with pytest.raises(CheckpointError, match=message) as caught:
        offclip.load("broken:x")
    assert "authors" in caught.value.remedy


def test_our_kind_of_error_from_another_package_stays_as_it_is(packages):
    packages(old="refuses")
    with pytest.raises(ConfigError, match="x is out of print"):
        offclip.load("old:x")


def test_a_scheme_of_ours_cannot_be_taken(packages, caplog):
    packages(hf="Theirs", theirs="Theirs")
    assert list(third_party.third_party_schemes(names.OWN_SCHEMES)) == ["theirs"]
    assert "offers models as 'hf:', which is a name of offclip: refused" in caplog.text
    assert read_name("hf:org/name").scheme == "hf"


def test_an_installed_package_is_found(tmp_path, monkeypatch):
    about = tmp_path / "xray_models-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: xray-models\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[offclip.models]\nxray = xray_models:load\n")
    (tmp_path / "xray_models.py").write_text("def load(rest, options):\n    raise OSError(rest)\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises(CheckpointError, match=r"the package xray-models failed \(OSError: film\)"):
            offclip.load("xray:film")
    finally:
        sys.modules.pop("xray_models", None)


def test_the_logits_of_a_named_model_are_the_same_every_time():
    pixels = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        one, other = (
            model.similarity(model.encode_image(pixels), model.embed_texts(fake_family.TEXTS))
            for model in (offclip.load("fake:tiny"), offclip.load("fake:tiny"))
        )
    assert torch.equal(one, other)
