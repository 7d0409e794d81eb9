"""The families of models that can be loaded by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType

from offclip.models.adapters.adapted import AdaptedClip, AdaptedConfig, ImageTower, TextTower
from offclip.models.interface import Tokenizer


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a model is loaded by name.

    Attributes:
        allow_pickle: Read weights from a pickle file; even then only tensors are taken from it.
        image_size: Side of the input in pixels; None for the model's own.
        local: How cells of a vision transformer are read off, see `last_block.LOCAL`.
    """

    allow_pickle: bool = False
    image_size: int | None = None
    local: str = "values"


@dataclass(frozen=True, slots=True)
class Family:
    """Models of one library.

    Attributes:
        load: From what stands behind the scheme of a name to a model in evaluation mode.
        build: From a stored configuration to the towers, with random weights, without the hub.
        tokenizer: From what `to_json` of the family's tokenizer wrote, and `max_tokens`.
    """

    load: Callable[[str, LoadOptions], AdaptedClip]
    build: Callable[[AdaptedConfig], tuple[ImageTower, TextTower]]
    tokenizer: Callable[[str, int], Tokenizer]


# Where the families are; imported when one is asked for.
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "open_clip": "offclip.models.adapters.open_clip.family",
        "hf": "offclip.models.adapters.hugging_face.family",
        "timm": "offclip.models.adapters.timm.family",
    }
)

# What names the tensors of a family's models: another version may name them otherwise.
_LIBRARIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "open_clip": ("open_clip_torch", "timm", "transformers"),
        "hf": ("transformers",),
        "timm": ("timm", "transformers"),
    }
)


def library_versions(name: str) -> dict[str, str]:
    """The installed versions of a family's libraries."""
    found = {}
    for distribution in _LIBRARIES.get(name, ()):
        with suppress(PackageNotFoundError):
            found[distribution] = version(distribution)
    return found


def family(name: str) -> Family:
    """A family by its name.

    Raises:
        KeyError: There is none.
    """
    return importlib.import_module(FAMILIES[name]).FAMILY
