"""Protocol files: those of the package, with their hashes pinned, and a user's own, strictly read."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from offclip.errors import ConfigError
from offclip.evaluation.protocols.describe import described
from offclip.evaluation.protocols.load import load_protocol, protocol_names
from offclip.evaluation.protocols.protocol import OPEN

# A changed hash is a changed protocol: numbers of before and after cannot be compared. Change a line here
# only together with the changelog.
HASHES = {
    "chestx-det10-clean": "59882b9cbb97743b",
    "chestx-det10-peer": "e7d503f242be0fb9",
    "chestxray14-22433-clean": "6c8ac9f3eeaf216f",
    "chestxray14-clean": "29c891d98368d7e4",
    "chestxray14-official-peer": "c27afe393a10476a",
    "chestxray14-peer": "1eab90f6fea5ee64",
    "chexpert-14-clean": "a16c6d50eb1f021b",
    "chexpert-14-peer": "89c158a683bad5bf",
    "chexpert-5-clean": "e73afda9a4ffca28",
    "chexpert-5-peer": "65db9264b19ad311",
    "chexpert-5x200-clean": "5bf844a4a82e6fff",
    "chexpert-5x200-peer": "a6798e0cb18c0446",
    "ms-cxr-boxes-clean": "3e665cf0258f0bb1",
    "ms-cxr-boxes-peer": "e1fa5fc10db48b0f",
    "openi-18-peer": "c59eec30d02b1b8e",
    "openi-clean": "7513bfb0358dccfd",
    "openi-peer": "f1bff32ea03444ad",
    "padchest-192-peer": "2c6650d4a25339df",
    "padchest-20-clean": "fae960f7b9f25c9c",
    "padchest-20-peer": "8fcd19e7378121b9",
    "padchest-clean": "0ea1e27c39b8fda9",
    "padchest-peer": "09bc2a84b62e21d4",
    "rsna-clean": "0bf9cf2b5f28f007",
    "rsna-peer": "7e6715c186ba7325",
    "siim-clean": "d88e1fd18745b117",
    "siim-peer": "3d2bbb1c9e838463",
    "vindr-boxes-clean": "128f64699ef38cc9",
    "vindr-boxes-peer": "d1bd6537ea409059",
    "vindr-cxr-clean": "24c89b83521ce09b",
    "vindr-cxr-peer": "45e97f21be6cf622",
}
GOOD = 'variant = "clean"\ntemplate = "There is {name}."\nclasses = ["a", "b"]\n'


def test_the_hash_of_every_protocol_is_pinned():
    assert {name: load_protocol(name).hash for name in protocol_names()} == HASHES
    assert len(set(HASHES.values())) == len(HASHES)


def test_the_documents_name_every_protocol_with_its_hash():
    text = (Path(__file__).parents[3] / "docs" / "protocols.md").read_text(encoding="utf-8")
    for name, value in HASHES.items():
        assert re.search(rf"\| `{name}` \| `{value}` \|", text), name


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_says_what_it_is(name):
    protocol = load_protocol(name)
    assert protocol.name == name
    assert protocol.variant == name.rpartition("-")[2]
    assert protocol.title != name
    assert protocol.dataset
    assert protocol.quirks
    assert protocol.source
    assert protocol.thresholds == ("in-sample-youden" if protocol.variant == "peer" else "validation")
    assert protocol.auprc == ("trapezoid" if protocol.variant == "peer" else "average-precision")
    assert all(prompt.startswith("There is ") for rule in protocol.classes for prompt in rule.prompts)
    prompts = [prompt for rule in protocol.classes for prompt in rule.prompts]
    assert len(set(prompts)) == len(prompts)
    if protocol.variant == "clean":
        assert all(not rule.counts for rule in protocol.classes if rule.normal)
        assert protocol.normal_class is None or protocol.normal_class.prompts == ("There is no finding.",)
    assert described(protocol).count("\n") > 8


def test_the_peers_classes():
    vindr = load_protocol("vindr-cxr-peer")
    assert len(vindr.classes) == 17
    assert (vindr.exclude, vindr.activation) == (("no-class-present",), "sigmoid")
    assert [rule.prompts[0] for rule in vindr.classes[-2:]] == ["There is pneumonia", "There is no finding"]
    openi, eighteen = load_protocol("openi-peer"), load_protocol("openi-18-peer")
    assert openi.classes[:18] == eighteen.classes
    assert openi.classes[18].name == "No_Finding"
    assert set(eighteen.groups) == {"head", "medium", "tail"}
    assert [len(load_protocol(f"chexpert-{n}-peer").classes) for n in (14, 5)] == [14, 5]
    padchest = load_protocol("padchest-peer")
    assert len(padchest.classes) == 193
    assert padchest.classes[-1].normal
    names = [rule.name for rule in padchest.classes[:-1]]
    assert names == sorted(names)
    assert names == [rule.name for rule in load_protocol("padchest-192-peer").classes]
    assert {"exclude", "unchanged", "suboptimal study"} <= set(names)
    assert len(load_protocol("padchest-20-peer").classes) == 20
    assert len(load_protocol("chestxray14-peer").classes) == 14
    assert load_protocol("chestx-det10-peer").extras == ("argmax-f1",)


def test_what_the_clean_ones_repair():
    padchest = load_protocol("padchest-clean")
    assert not {"exclude", "unchanged", "suboptimal study"} & {rule.name for rule in padchest.classes}
    assert (len(padchest.classes), padchest.unit, padchest.views) == (190, "study", "frontal")
    counted = {rule.name for rule in load_protocol("chexpert-14-clean").classes if rule.counts}
    assert not {"Support Devices", "No Finding"} & counted
    granuloma = next(rule for rule in load_protocol("openi-clean").classes if rule.name == "Granuloma")
    assert granuloma.labels == ("Granuloma",)
    assert load_protocol("vindr-cxr-clean").exclude == ()


def test_grounding_protocols_state_the_hit_rule():
    for name in ("ms-cxr-boxes", "vindr-boxes"):
        peer, clean = (load_protocol(f"{name}-{variant}").grounding for variant in ("peer", "clean"))
        assert peer is not None
        assert clean is not None
        assert (peer.rule, peer.maps, clean.rule, clean.tolerance) == ("peer", "attention", "centre", 0)


def test_the_files_are_package_data_and_hold_plain_toml():
    for entry in files("offclip.evaluation.protocols").iterdir():
        if entry.name.endswith(".toml"):
            assert isinstance(tomllib.loads(entry.read_text(encoding="utf-8")), dict)


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "Mine"\nvariant = "clean"\nunit = "study"\ntemplate = "There is {finding}."\n'
        'dataset = "chexpert"\nlabels = "consistent"\n'
        'classes = ["Edema", {name = "Heart", label = ["Cardiomegaly"]}, '
        '{name = "No Finding", prompts = ["Clear.", "Normal."], normal = true, counts = false}]\n'
        '[groups]\nrare = "rarest 1"\n[validation]\ndataset = "chexpert"\nsplit = "validate"\n'
    )
    protocol = load_protocol(path)
    assert (protocol.name, protocol.title, protocol.unit) == ("mine", "Mine", "study")
    assert [rule.prompts for rule in protocol.classes] == [
        ("There is edema.",), ("There is cardiomegaly.",), ("Clear.", "Normal."),
    ]  # fmt: skip
    assert protocol.normal_class is protocol.classes[2]
    assert protocol.hash == load_protocol(str(path)).hash != OPEN.hash


def test_names_become_words_of_prompts(tmp_path):
    (tmp_path / "mine.toml").write_text(
        GOOD.replace("{name}", "{finding}").replace('"a"', '"Pleural_Thickening"')
    )
    own = load_protocol(tmp_path / "mine.toml")
    assert [rule.prompts[0] for rule in own.classes] == ["There is pleural thickening.", "There is b."]


def test_the_files_of_the_documents_can_be_read(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "protocols.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        (tmp_path / f"p{number}.toml").write_text(block, encoding="utf-8")
        protocol = load_protocol(tmp_path / f"p{number}.toml")
        assert protocol.title != protocol.name
        assert protocol.normal_class is not None


def test_a_file_extends_another(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'extends = "vindr-cxr-clean"\nwithout = ["ILD"]\nalso = [{name = "Other lesion", '
        'prompts = ["There is a lesion."]}]\n'
    )
    own, base = load_protocol(path), load_protocol("vindr-cxr-clean")
    assert (own.name, own.title, own.quirks) == ("mine", "mine", ())
    names = [rule.name for rule in base.classes if rule.name != "ILD"]
    assert [rule.name for rule in own.classes] == [*names, "Other lesion"]
    assert own.validation == base.validation
    second = tmp_path / "second.toml"
    second.write_text('extends = "mine.toml"\nfuse = "max"\n')
    assert load_protocol(second).classes == own.classes
    path.write_text('extends = "second.toml"\n')
    with pytest.raises(ConfigError, match="extend each other"):
        load_protocol(second)


@pytest.mark.parametrize(
    ("text", "message", "allowed"),
    [
        (GOOD + "auroc = 1\n", "unknown key 'auroc'", "auprc"),
        (GOOD + 'unit = "patient"\n', "unit = 'patient' is not allowed", "Allowed: image, study."),
        (GOOD + "unit = 3\n", "unit = 3 is not allowed", "image, study"),
        (GOOD + "title = 3\n", "title = 3 is of the wrong type", "a text"),
        (GOOD + 'exclude = ["all"]\n', "exclude = 'all' is not allowed", "no-class-present"),
        (GOOD + 'exclude = "no-label"\n', "exclude = no-label is no list", '["a", "b"]'),
        (GOOD + 'exclude = ["no-label", "no-label"]\n', "exclude names 'no-label' twice", "Leave one"),
        (GOOD + 'extras = ["f1"]\n', "extras = 'f1' is not allowed", "argmax-f1"),
        (GOOD + 'dataset = "cxr"\n', "dataset = 'cxr' is not allowed", "vindr-cxr"),
        (GOOD + 'dataset = "openi"\n', "labels = '' is not allowed", "as-labelled"),
        (GOOD + 'dataset = "openi"\noption = "x"\nlabels = "consistent"\n', "option = 'x'", "automatic"),
        (GOOD + 'split = "dev"\n', "split = 'dev' is not allowed", "train, validate, test, all"),
        (GOOD + '[groups]\ntail = "few"\n', "groups.tail: The group rule 'few'", "positives <= 10"),
        (GOOD + '[groups]\ntail = "classes c"\n', "names 'c', which is no class", "rarest"),
        (GOOD + '[validation]\ndataset = "openi"\nsplit = "test"\n', "validation.split = 'test'", "train"),
        (GOOD + '[validation]\nimages = 3\n', "validation.dataset is missing", "dataset"),
        (GOOD + '[grounding]\nrule = "centre"\n', "task is 'classification'", "grounding"),
        (GOOD + 'task = "grounding"\n', "is not there", "[grounding]"),
        (GOOD + 'task = "grounding"\n[grounding]\nrule = "any"\n', "grounding.rule = 'any'", "centre, peer"),
        (GOOD + 'without = ["a"]\n', "without needs 'extends'", "Name the protocol"),
        ('extends = "openi"\n', "extends = 'openi' is no protocol", "protocols list"),
        ('extends = "openi-peer"\nwithout = ["Lump"]\n', "without names 'Lump'", "Atelectasis"),
        (GOOD.replace('"a", "b"', '"a", "b", "A"'), "the class 'A' stands in it twice", "Leave one"),
        (GOOD.replace('"a", "b"', '"a", {prompts = ["x"]}'), "has no name", "Give a name"),
        (GOOD.replace('"a", "b"', '{name = "a", prompt = "x"}'), "a: unknown key 'prompt'", "prompts"),
        (GOOD.replace('"a", "b"', '{name = "a", prompts = [""]}'), "classes: a: prompts", '["a", "b"]'),
        (GOOD.replace('"a", "b"', '{name = "a", normal = 1}'), "classes: a: normal = 1", "true or false"),
        (GOOD.replace('"a", "b"', ""), "there is no class", "classes"),
        (GOOD.replace("{name}", "{label}"), "template = 'There is {label}.'", "{finding}"),
        (
            'dataset = "openi"\nlabels = "consistent"\nvariant = "clean"\ntemplate = "There is {finding}."\n'
            'classes = ["normal"]\n',
            "classes: normal: there is no prompt", "template",
        ),
        (GOOD.replace('template = "There is {name}."', ""), "classes: a: there is no prompt", "template"),
        (
            GOOD.replace('"a", "b"', '{name = "a", normal = true}, {name = "b", normal = true}'),
            "more than one class is normal", "Leave one",
        ),
        (GOOD.replace("clean", "open"), "variant is missing or 'open'", "peer, clean"),
        (GOOD.replace("clean", "mine"), "variant = 'mine' is not allowed", "peer"),
        ("classes = [", "not readable TOML", "Mend"),
    ],
)  # fmt: skip
def test_mistakes_name_file_key_and_what_is_allowed(tmp_path, text, message, allowed):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_protocol(path)
    assert "mine.toml" in caught.value.message
    assert message in caught.value.message
    assert allowed in caught.value.remedy


def test_names_that_are_not_there(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean vindr-cxr-peer"):
        load_protocol("vindr-cxr-pear")
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        load_protocol(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    with pytest.raises(ConfigError, match=r"latin\.toml: not readable"):
        load_protocol(tmp_path / "latin.toml")
    assert load_protocol("open") is OPEN
