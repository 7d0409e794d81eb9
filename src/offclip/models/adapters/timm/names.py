"""`IMAGE+hf:TEXT`: which image tower and which text encoder a name means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from offclip.errors import CheckpointError, ConfigError

JOINT = "+hf:"
RANDOM = "@random"
HUB = "hf-hub:"


@dataclass(frozen=True, slots=True)
class ImageName:
    """Where an image tower comes from.

    Attributes:
        architecture: Of timm; empty where the folder says it.
        file: With its weights; None for another source.
        folder: As timm saves models, or an id on the hub; empty for another source.
        tag: Of weights that timm publishes, such as `resnet18.a1_in1k`; empty for another source.
    """

    architecture: str = ""
    file: Path | None = None
    folder: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class TextName:
    """Where a text encoder comes from.

    Attributes:
        folder: A folder, or an id on the hub.
        random: Whether its weights are left random.
    """

    folder: str
    random: bool = False


def split_names(name: str) -> tuple[ImageName, TextName]:
    """Takes a name apart.

    Args:
        name: What stands behind `timm:`.

    Raises:
        ConfigError: One of the two towers is missing.
        CheckpointError: It looks like a folder, and there is none.

    Example:
        >>> image, text = split_names("resnet18@random+hf:org/name")
        >>> image.architecture, text.folder
        ('resnet18', 'org/name')
    """
    image, joint, text = name.partition(JOINT)
    if not image or not joint or not text:
        raise ConfigError(
            f"timm:{name}: two towers are needed.",
            "Write timm:NAME+hf:NAME, such as timm:resnet18.a1_in1k+hf:org/name.",
        )
    return _image_name(image), TextName(text.removesuffix(RANDOM), text.endswith(RANDOM))


def _image_name(name: str) -> ImageName:
    if name.startswith(HUB):
        return ImageName(folder=name.removeprefix(HUB))
    if Path(name).expanduser().is_dir():
        return ImageName(folder=name)
    if name.endswith(RANDOM):
        return ImageName(architecture=name.removesuffix(RANDOM))
    architecture, at, file = name.partition("@")
    if at and "/" not in architecture:
        return ImageName(architecture=architecture, file=Path(file).expanduser())
    if "/" in name or name.startswith((".", "~")):
        raise CheckpointError(
            f"{name}: no such folder.", f"Give a folder that timm saved, {HUB}org/name, or ARCHITECTURE@FILE."
        )
    return ImageName(tag=name)
