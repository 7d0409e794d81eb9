"""A model by its name: a folder of ours, a model of another library, a named one, or a third party's.

- `runs/first`, `offclip:runs/first`: a run or model folder.
- `open_clip:ViT-B-16@FILE`, `open_clip:ViT-B-16@TAG`, `open_clip:hf-hub:org/name`, `open_clip:FOLDER`
- `hf:org/name`, `hf:FOLDER`
- `timm:NAME+hf:NAME`, `timm:NAME@FILE+hf:FOLDER`
- the name of a card, see `offclip models list`
- `SCHEME:...` of a package that has an entry point in the group `offclip.models`
"""

from __future__ import annotations

from pathlib import Path

from offclip.models.adapters.families import FAMILIES, LoadOptions, family
from offclip.models.checkpoint import load_model
from offclip.models.interface import ClipModel


def load_by_name(name: str | Path, options: LoadOptions = LoadOptions()) -> ClipModel:
    """Loads a model in evaluation mode.

    Raises:
        CheckpointError: There is no such model, or it cannot be read or trusted.
        ConfigError: The name means nothing, or a library is missing.
    """
    scheme, colon, rest = str(name).partition(":")
    if colon and scheme in FAMILIES:
        return family(scheme).load(rest, options)
    if colon and scheme == "offclip":
        return load_model(rest)
    return load_model(name)
