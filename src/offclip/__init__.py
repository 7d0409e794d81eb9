"""OFF-CLIP for radiology: CLIP models that know what a normal chest X-ray is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offclip.version import __version__

if TYPE_CHECKING:
    from offclip.models.interface import ClipModel

__all__ = ["__version__", "load"]


def load(path: str) -> ClipModel:
    """Loads a trained model, in evaluation mode, after its hashes and tensors were checked.

    Args:
        path: A run folder made by `offclip train`, or a model folder.

    Returns:
        A model with `encode_image`, `encode_text`, `similarity` and `heat_map`.

    Raises:
        CheckpointError: There is no model, or it is damaged.

    Example:
        >>> import offclip
        >>> offclip.load("no-such-run")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        offclip.errors.CheckpointError: no-such-run: no model here (card.json is missing). ...
    """
    # Here and not above: `import offclip.losses` must not load every part of the package.
    from offclip.models.checkpoint import load_model

    return load_model(path)
