"""What a name of two towers means."""

from pathlib import Path

import pytest

from offclip.errors import CheckpointError, ConfigError
from offclip.models.adapters.timm.names import ImageName, TextName, split_names


def test_every_form_of_a_name(tmp_path):
    folder = tmp_path / "a@b"
    folder.mkdir()
    forms = {
        "resnet18.a1_in1k": ImageName(tag="resnet18.a1_in1k"),
        "resnet18@random": ImageName(architecture="resnet18"),
        "resnet18@/x/y@z.safetensors": ImageName(architecture="resnet18", file=Path("/x/y@z.safetensors")),
        "hf-hub:org/name@v1": ImageName(folder="org/name@v1"),
        str(folder): ImageName(folder=str(folder)),
    }
    for name, image in forms.items():
        assert split_names(f"{name}+hf:org/text") == (image, TextName("org/text"))
    assert split_names("a@random+hf:x/y@random")[1] == TextName("x/y", random=True)


@pytest.mark.parametrize("name", ["resnet18", "resnet18+org/name", "+hf:org/name", "resnet18+hf:"])
def test_two_towers_are_needed(name):
    with pytest.raises(ConfigError, match="two towers are needed"):
        split_names(name)


@pytest.mark.parametrize("name", ["/no/such/folder", "org/name", "./here", "~/there"])
def test_a_folder_that_is_not_there(name):
    with pytest.raises(CheckpointError, match="no such folder"):
        split_names(f"{name}+hf:org/name")
