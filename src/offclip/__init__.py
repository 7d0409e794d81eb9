"""OFF-CLIP for radiology: CLIP models that know what a normal chest X-ray is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offclip.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from offclip.models.interface import ClipModel

__all__ = ["__version__", "load"]


def load(
    name: str | Path, *, allow_pickle: bool = False, image_size: int | None = None, local: str = "values"
) -> ClipModel:
    """Loads a model by its name, in evaluation mode.

    Args:
        name: A run folder made by `offclip train` or a model folder (hashes and tensors are checked); a model
            of another library, `open_clip:...`, `hf:...`, `timm:...+hf:...`; a name that
            `offclip models list` shows; or what a package with an entry point offers. See `docs/models.md`.
        allow_pickle: Read weights from a pickle file where there is nothing else; only tensors are taken
            from it.
        image_size: Side of the input in pixels, where the model can take another than its own.
        local: What a cell of a heat map is read off, for vision transformers of other libraries: `"values"`,
            `"tokens"` or `"self-attention"`.

    Returns:
        A model with `encode_image`, `encode_text`, `similarity` and `heat_map`.

    Raises:
        CheckpointError: There is no model, or it is damaged or cannot be trusted.
        ConfigError: The name means nothing, or a library that it needs is not installed.

    Example:
        >>> import offclip
        >>> offclip.load("runs/no-such-run/model")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        offclip.errors.CheckpointError: runs/no-such-run/model: no model here (card.json is missing). ...
        >>> offclip.load("medsiglp")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        offclip.errors.ConfigError: There is no model 'medsiglp'; near to it: medsiglip, medclip. ...
    """
    # Here and not above: `import offclip.losses` must not load every part of the package.
    from offclip.models.adapters.families import LoadOptions
    from offclip.models.adapters.last_block import LOCAL
    from offclip.models.names import load_by_name

    if local not in LOCAL:
        from offclip.errors import ConfigError

        raise ConfigError(f"local is {local!r}.", f"Known: {', '.join(LOCAL)}.")
    return load_by_name(name, LoadOptions(allow_pickle, image_size, local))
