"""A model by its name: a folder of ours, a model of another library, a named one, or a third party's.

- `runs/first`, `offclip:runs/first`: a run or model folder.
- `open_clip:ViT-B-16@FILE`, `open_clip:ViT-B-16@TAG`, `open_clip:hf-hub:org/name`, `open_clip:FOLDER`
- `hf:org/name`, `hf:FOLDER`
- `timm:NAME+hf:NAME`, `timm:NAME@FILE+hf:FOLDER`
- the name of a card, see `offclip models list`
- `SCHEME:...` of a package that has an entry point in the group `offclip.models`
"""

from __future__ import annotations

import difflib
import importlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from offclip.errors import CheckpointError, ConfigError
from offclip.models.adapters.adapted import AdaptedClip
from offclip.models.adapters.families import FAMILIES, LoadOptions, family
from offclip.models.cards import ModelCard, model_cards
from offclip.models.checkpoint import CARD, load_model
from offclip.models.interface import ClipModel
from offclip.models.registry import ARCHITECTURES
from offclip.models.third_party import load_third_party, third_party_schemes

_log = logging.getLogger(__name__)

FOLDER, PRETRAINED = "offclip", "pretrained"
OWN_SCHEMES = (FOLDER, PRETRAINED, *FAMILIES)
# Models that are made of weights which installed packages carry: where the function is that makes them.
_PRETRAINED: Mapping[str, str] = MappingProxyType(
    {"efficientnet-lite0+minilm": "offclip.models.adapters.timm.pretrained:load_efficientnet_minilm"}
)
FORMS = (
    "A name is a run or model folder, open_clip:..., hf:..., timm:...+hf:..., or one that "
    "'offclip models list' shows."
)
_SCHEME = re.compile(r"[A-Za-z][\w.+-]+")  # one letter is a drive: C:\models


@dataclass(frozen=True, slots=True)
class ModelName:
    """What a name stands for.

    Attributes:
        scheme: `"offclip"` for a folder of ours, a family, `"pretrained"`, or that of a third party.
        rest: The folder, or what the family or the package makes of it.
        card: Of a named model.
    """

    scheme: str
    rest: str
    card: ModelCard | None = None

    @property
    def folder(self) -> Path | None:
        """The run or model folder; None for a model of another library."""
        return Path(self.rest) if self.scheme == FOLDER else None


def read_name(name: str | Path) -> ModelName:
    """What a name stands for; nothing is loaded.

    A folder with a model in it wins over a named model of the same name.

    Raises:
        ConfigError: The name means nothing, or its model is one that offclip cannot load by itself.
        CheckpointError: It looks like a folder, and there is none.

    Example:
        >>> read_name("hf:org/name")
        ModelName(scheme='hf', rest='org/name', card=None)
        >>> read_name("medsiglip").rest
        'google/medsiglip-448'
    """
    if isinstance(name, Path):
        return ModelName(FOLDER, str(name))
    scheme, colon, rest = name.partition(":")
    if colon and scheme in OWN_SCHEMES:
        return ModelName(scheme, rest)
    if colon and _SCHEME.fullmatch(scheme) and not Path(name).exists():
        if scheme in third_party_schemes(OWN_SCHEMES):
            return ModelName(scheme, rest)
        raise _unknown(name, f"There is no kind of model {scheme!r}")
    card = model_cards().get(name)
    if card is not None and not _holds_model(Path(name)):
        if not card.loads:
            raise ConfigError(
                f"{card.title}: offclip cannot load it by name.",
                f"'offclip models show {name}' says what it needs.",
            )
        return replace(read_name(card.loads), card=card)
    if (name and Path(name).exists()) or re.search(r"[/\\]|^[.~]", name):
        if re.fullmatch(r"\w[\w.-]*/[\w.-]+", name) and not Path(name).exists():
            raise CheckpointError(
                f"{name}: no such folder.", f"Give a run or model folder; an id on the hub is hf:{name}."
            )
        return ModelName(FOLDER, name)
    raise _unknown(name, f"There is no model {name!r}")


def load_by_name(name: str | Path, options: LoadOptions = LoadOptions()) -> ClipModel:
    """Loads a model in evaluation mode; warns of one of which a part is random.

    Raises:
        CheckpointError: There is no such model, or it cannot be read or trusted.
        ConfigError: The name means nothing, a library is missing, or the model does not take the options.
    """
    model = _loaded(read_name(name), options)
    if model.untrained:
        _log.warning("%s: %s. Its scores mean nothing before that.", name, model.untrained)
    return model


def _loaded(meant: ModelName, options: LoadOptions) -> ClipModel:
    if meant.folder is not None:
        return _of_folder(meant.folder, options)
    if meant.scheme in FAMILIES:
        model: ClipModel = family(meant.scheme).load(meant.rest, options)
    elif meant.scheme == PRETRAINED:
        model = _pretrained(meant.rest, options)
    else:
        model = load_third_party(third_party_schemes(OWN_SCHEMES)[meant.scheme], meant.rest, options)
    if meant.card is not None and not model.licence:
        model.licence = meant.card.licence
    return model


def _of_folder(folder: Path, options: LoadOptions) -> ClipModel:
    model = load_model(folder)
    size = model.preprocess.size
    if options.image_size not in (None, size):
        raise ConfigError(
            f"{folder}: its input is {size} pixels wide, and {options.image_size} were asked for.",
            "Give the size when the model is loaded from its library, and save it then.",
        )
    local = model.config.local if isinstance(model, AdaptedClip) else LoadOptions().local
    if options.local not in (LoadOptions().local, local):
        raise ConfigError(
            f"{folder}: its cells are read off by {local!r}, and {options.local!r} was asked for.",
            "Give it when the model is loaded from its library, and save it then.",
        )
    return model


def _pretrained(rest: str, options: LoadOptions) -> ClipModel:
    if rest not in _PRETRAINED:
        raise ConfigError(f"There is no model 'pretrained:{rest}'.", f"Known: {', '.join(_PRETRAINED)}.")
    module, _, function = _PRETRAINED[rest].partition(":")
    return getattr(importlib.import_module(module), function)(options)


def _holds_model(folder: Path) -> bool:
    return any((place / CARD).is_file() for place in (folder, folder / "model"))


def _unknown(name: str, message: str) -> ConfigError:
    if name in ARCHITECTURES:
        return ConfigError(
            f"{name} is an architecture without weights.",
            f"Train it: offclip train studies.parquet --model {name} --out RUN.",
        )
    known = [*model_cards(), *(f"{scheme}:" for scheme in (*OWN_SCHEMES, *third_party_schemes(OWN_SCHEMES)))]
    scheme, colon, _ = name.partition(":")
    near = ", ".join(difflib.get_close_matches(f"{scheme.lower()}{colon}", known, n=3))
    return ConfigError(f"{message}{f'; near to it: {near}' if near else ''}.", FORMS)
