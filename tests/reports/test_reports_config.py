"""The configuration file of a labeller."""

from pathlib import Path

import pytest

from offclip.errors import ConfigError
from offclip.reports import Conventions
from offclip.reports.config import LabellingConfig, load_config


def write(folder: Path, text: str) -> Path:
    path = folder / "label.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "")) == LabellingConfig()


def test_every_part_is_read_and_paths_are_those_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'schema = 1\n[[finding]]\nname = "flump"\nphrases = ["flump*"]\n', encoding="utf-8"
    )
    path = write(
        tmp_path,
        'labeller = "rules"\nlexicon = ["own.toml"]\n[conventions]\ndevices = false\nundecided = "abnormal"\n'
        '[llm]\nmodel = "small"\n',
    )
    config = load_config(path)
    assert config.conventions == Conventions(devices=False, undecided="abnormal")
    assert config.llm.model == "small"
    labeller = config.build()
    assert labeller("Two flumps.").reason == "asserted:flump"
    assert labeller("Left pacemaker.").reason == "waived:pacemaker"


def test_the_folder_of_a_classifier_lies_beside_the_file(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, 'labeller = "classifier"')).labeller == str(tmp_path / "classifier")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labeler = 'rules'", "unknown key 'labeler'"),
        ("labeller = 3", "must be a string"),
        ("lexicon = 'own.toml'", "list of paths"),
        ("conventions = 1", "must be a table"),
        ("[conventions]\ndevice = false", "unknown key 'device'"),
        ("[conventions]\ndevices = 'no'", "must be bool"),
        ("[conventions]\ndevices = 0", "must be bool"),
        ("[conventions]\nundecided = 'ill'", "must be one of"),
        ("[llm]\nmodel = 1", "must be str"),
        ("labeller = ", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
