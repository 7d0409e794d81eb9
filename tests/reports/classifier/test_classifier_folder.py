"""A labeller on disk: the same bytes, the same labels, and a clear word on every kind of damage."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from offclip.errors import CheckpointError, ConfigError
from offclip.reports import Conventions, RuleLabeller
from offclip.reports.classifier import HandLabel, load_labeller
from offclip.reports.classifier.card import FORMAT
from offclip.reports.classifier.folder import check_target, save_fitted, write_labeller
from offclip.reports.config import LabellingConfig

RULES = RuleLabeller()
UNKNOWN = "There is a new left floop."
HAND = [HandLabel("Small effusion.", "normal", "row 2")]


@pytest.fixture(scope="module")
def shared(fitted, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("labeller") / "classifier"
    save_fitted(folder, fitted, RULES, hand=HAND)
    return folder


@pytest.fixture
def folder(shared, tmp_path) -> Path:
    return Path(shutil.copytree(shared, tmp_path / "classifier"))


def change(folder: Path, **values) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | values))


def reseal(folder: Path, name: str, content: bytes) -> None:
    """Replaces a file and its hash on the card."""
    import hashlib

    (folder / name).write_bytes(content)
    card = json.loads((folder / "card.json").read_text())
    change(folder, sha256=card["sha256"] | {name: hashlib.sha256(content).hexdigest()})


def test_saved_and_loaded_it_labels_as_before(shared, fitted):
    labeller = load_labeller(shared, RULES)
    assert RULES(UNKNOWN).reason == "undecided"
    texts = [UNKNOWN, "No left floop is seen.", "한국어"]
    np.testing.assert_array_equal(labeller.model.probabilities(texts), fitted.model.probabilities(texts))
    assert labeller("small  EFFUSION.").reason == "classifier:hand"
    assert labeller("Large effusion.") == RULES("Large effusion.")


def test_the_configuration_builds_it(folder):
    change(folder, thresholds={"abnormal_from": 0.51})
    labeller = LabellingConfig(labeller=str(folder)).build()
    found = labeller(UNKNOWN)
    assert found.label == "abnormal"
    assert found.reason.startswith("classifier:0.")


def test_the_same_labeller_gives_the_same_bytes_and_no_report_text(shared, fitted, tmp_path):
    save_fitted(tmp_path / "again", fitted, RULES, hand=HAND)
    names = sorted(file.name for file in shared.iterdir())
    assert names == ["card.json", "corrections.json", "weights.safetensors"]
    for name in names:
        content = (shared / name).read_bytes()
        assert content == (tmp_path / "again" / name).read_bytes()
        assert b"effusion" not in content.lower()


def test_the_card_says_where_it_comes_from(shared):
    card = json.loads((shared / "card.json").read_text())
    assert card["kind"] == "linear"
    assert card["training"]["config"]["seed"] == 0
    assert card["training"]["report"]["sentences"]["abnormal"] == 48
    assert card["training"]["report"]["validation"]["accuracy"] > 0.9
    assert len(card["lexicon_sha256"]) == 64
    assert set(card["sha256"]) == {"corrections.json", "weights.safetensors"}


def test_loading_needs_no_scikit_learn_and_no_torch(shared):
    code = (
        "import sys\nfrom offclip.reports import RuleLabeller\n"
        "from offclip.reports.classifier import load_labeller\n"
        f"load_labeller({str(shared)!r}, RuleLabeller())({UNKNOWN!r})\n"
        "heavy = {'sklearn', 'scipy', 'torch', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_reports_stays_light():
    code = "import sys, offclip.reports; assert not {'numpy', 'sklearn', 'torch'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: shutil.rmtree(f), "no labeller here"),
        (lambda f: (f / "card.json").unlink(), "no labeller here"),
        (lambda f: (f / "card.json").write_text("{"), "not readable JSON"),
        (lambda f: (f / "card.json").write_bytes(b"\xff\xfe"), "not readable JSON"),
        (
            lambda f: (f / "card.json").write_text('{"architecture": "dual-encoder"}'),
            "not the card of a sentence",
        ),
        (lambda f: (f / "card.json").write_text("[]"), "not the card of a sentence"),
        (lambda f: change(f, format=FORMAT + 1), "format 2"),
        (lambda f: change(f, kind="forest"), "'forest'"),
        (lambda f: change(f, classes=["a"]), "classes"),
        (lambda f: change(f, sha256=None), "'sha256' is missing"),
        (lambda f: change(f, sha256={"../x": "0"}), "'../x' is no file"),
        (lambda f: change(f, sha256={}), r"corrections\.json is not listed"),
        (lambda f: change(f, sha256={"corrections.json": "0"}), "no weights are listed"),
        (lambda f: (f / "adapter_config.json").write_text("{}"), r"adapter_config\.json: is not on the card"),
        (lambda f: change(f, settings={"version": 0}), "another version of the features"),
        (lambda f: change(f, settings={"version": 1, "words": 99}), "words is 99"),
        (lambda f: change(f, settings={"version": 1, "extra": 1}), "extra"),
        (lambda f: change(f, settings={"version": 1, "bits": 9}), "weights is float32"),
        (lambda f: change(f, thresholds={"other": 1}), "other"),
        (lambda f: (f / "weights.safetensors").unlink(), r"weights\.safetensors: cannot be read"),
        (lambda f: (f / "weights.safetensors").write_bytes(b"x"), r"weights\.safetensors: its SHA-256"),
        (lambda f: (f / "corrections.json").write_text("{}"), r"corrections\.json: its SHA-256"),
        (lambda f: reseal(f, "corrections.json", b"nonsense"), r"corrections\.json: not readable JSON"),
        (lambda f: reseal(f, "corrections.json", b'{"a": "sick"}'), "no table of labels"),
        (lambda f: reseal(f, "weights.safetensors", b"PK\x03\x04"), "no safetensors file"),
        (lambda f: reseal(f, "weights.safetensors", save({"bias": np.zeros(3)})), "holds bias"),
    ],
)
def test_damage_is_explained(folder, damage, message):
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_labeller(folder, RULES)
    assert caught.value.remedy


def test_weights_that_are_not_finite_are_refused(folder):
    tensors = load_file(folder / "weights.safetensors")
    tensors["weights"][1, 5] = np.nan
    reseal(folder, "weights.safetensors", save(tensors))
    with pytest.raises(CheckpointError, match="not finite"):
        load_labeller(folder, RULES)


def test_a_threshold_out_of_range_is_refused(folder):
    change(folder, thresholds={"abnormal_from": 0.2})
    with pytest.raises(ConfigError, match=r"abnormal_from is 0\.2"):
        load_labeller(folder, RULES)


def test_other_conventions_are_refused_but_not_another_policy(shared):
    with pytest.raises(ConfigError, match="devices = true"):
        load_labeller(shared, RuleLabeller(conventions=Conventions(devices=False)))
    load_labeller(shared, RuleLabeller(conventions=Conventions(undecided="abnormal")))


def test_a_folder_of_something_else_is_never_written_to(tmp_path, fitted):
    (tmp_path / "thesis.txt").write_text("precious")
    for target, message in ((tmp_path, "no labeller"), (tmp_path / "thesis.txt", "is a file")):
        with pytest.raises(CheckpointError, match=message):
            check_target(target)
        with pytest.raises(CheckpointError, match=message):
            save_fitted(target, fitted, RULES)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_older_labeller_is_replaced_without_leftovers(folder, fitted):
    card = json.loads((folder / "card.json").read_text())
    write_labeller(folder, {"model.safetensors": b"other"}, card)
    assert sorted(f.name for f in folder.iterdir()) == ["card.json", "corrections.json", "model.safetensors"]
    save_fitted(folder, fitted, RULES)
    assert not (folder / "model.safetensors").exists()
    load_labeller(folder, RULES)


def test_a_full_disk_is_reported_and_leaves_no_card(tmp_path, fitted, full_disk):
    full_disk("weights.safetensors")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_fitted(tmp_path / "out", fitted, RULES)
    assert not (tmp_path / "out" / "card.json").exists()
    assert not any(f.name.endswith(".tmp") for f in (tmp_path / "out").iterdir())
