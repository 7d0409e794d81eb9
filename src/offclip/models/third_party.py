"""Models of other people's packages: an entry point gives a scheme of names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import EntryPoint, entry_points

from offclip.errors import CheckpointError, OffclipError
from offclip.models.adapters.families import LoadOptions
from offclip.models.interface import ClipModel

GROUP = "offclip.models"

_log = logging.getLogger(__name__)


def third_party_schemes(own: Collection[str]) -> Mapping[str, EntryPoint]:
    """The schemes of installed packages; one that would shadow one of `own`, or another, is refused.

    Args:
        own: Schemes that offclip has itself.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        if entry.name in own or entry.name in found:
            taken = "offclip" if entry.name in own else _package(found[entry.name])
            _log.warning(
                "The package %s offers models as %r, which is a name of %s: refused.",
                _package(entry),
                f"{entry.name}:",
                taken,
            )
            continue
        found[entry.name] = entry
    return found


def load_third_party(entry: EntryPoint, rest: str, options: LoadOptions) -> ClipModel:
    """Has a package load a model; what goes wrong in it is reported with its name.

    Raises:
        CheckpointError: Its code fails, or returns something else than a model.
    """
    who = f"{entry.name}:{rest}: the package {_package(entry)}"
    remedy = "Report it to the authors of that package."
    try:
        load: Callable[[str, LoadOptions], ClipModel] = entry.load()
        model = load(rest, options)
    except OffclipError:
        raise
    except Exception as error:  # of code that is not ours: anything
        raise CheckpointError(f"{who} failed ({type(error).__name__}: {error}).", remedy) from error
    if not isinstance(model, ClipModel):
        raise CheckpointError(f"{who} returned {type(model).__name__}, which is no ClipModel.", remedy)
    return model.eval()


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value
