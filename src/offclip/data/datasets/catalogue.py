"""Every public set that offclip reads, by name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.record import PublicSet
from offclip.errors import ConfigError

# Read lazily: `offclip data list` needs the cards, `prepare` one reader.
_READERS = {
    "mimic-cxr": ("mimic_cxr", "MimicCxr"),
    "openi": ("openi", "OpenI"),
    "vindr-cxr": ("vindr_cxr", "VinDrCxr"),
    "chexpert": ("chexpert", "CheXpert"),
    "chexpert-test": ("chexpert_500", "CheXpertTest"),
    "chexpert-plus": ("chexpert_plus", "CheXpertPlus"),
    "padchest": ("padchest", "PadChest"),
    "chestxray14": ("chestxray14", "ChestXray14"),
    "chestx-det10": ("chestx_det10", "ChestXDet10"),
    "ms-cxr": ("ms_cxr", "MsCxr"),
    "rsna-pneumonia": ("rsna_pneumonia", "RsnaPneumonia"),
    "siim-pneumothorax": ("siim_pneumothorax", "SiimPneumothorax"),
    "montgomery": ("tuberculosis", "Montgomery"),
    "shenzhen": ("tuberculosis", "Shenzhen"),
    "jsrt": ("jsrt", "Jsrt"),
    "folder": ("folder", "Folder"),
}
NAMES = tuple(_READERS)


def _reader(name: str) -> type:
    if name not in _READERS:
        raise ConfigError(f"There is no public set {name!r}.", f"Known: {', '.join(NAMES)}.")
    module, reader = _READERS[name]
    return getattr(import_module(f"offclip.data.datasets.readers.{module}"), reader)


def card_of(name: str) -> Card:
    """The card of a set.

    Raises:
        ConfigError: There is no such set.

    Example:
        >>> card_of("vindr-cxr").access
        'credentialed'
    """
    return _reader(name).card


def open_set(name: str, root: Path, option: str = "") -> PublicSet:
    """The reader of a set.

    Args:
        name: One of `NAMES`.
        root: Folder of the publishers' tree.
        option: A variant named in the card; empty for the default.

    Raises:
        ConfigError: There is no such set, or it has no such option.
        DataError: A table without which nothing works is missing.
    """
    reader = _reader(name)
    if option and option not in reader.card.options:
        known = ", ".join(reader.card.options) or "none"
        raise ConfigError(f"{name} has no option {option!r}.", f"Known: {known}.")
    return reader(root, option)
