"""The fourteen labels of CheXpert, in which CheXpert, CheXpert Plus and MIMIC-CXR are labelled.

Source: Irvin et al., AAAI 2019. A cell is 1 (present), 0 (absent), -1 (uncertain) or blank (not mentioned).

A blank says nothing of the film, so it is unknown, with two exceptions that follow from how the labeller
sets "No Finding": it is 1 only where every other label but "Support Devices" is 0 or blank. So where it is
1, blanks of the others are absent; where another label is 1 and it is blank, it is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from offclip.errors import DataError

NO_FINDING, DEVICES = "No Finding", "Support Devices"
CHEXPERT_LABELS = (
    NO_FINDING,
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    DEVICES,
)
NONE_KNOWN: Mapping[str, int | None] = dict.fromkeys(CHEXPERT_LABELS)
# The radiologist's table of MIMIC-CXR-JPG 2.1.0 has other names for two of them.
_ALIASES = {"Lung Opacity": "Airspace Opacity", NO_FINDING: "No Findings"}


def label_columns(columns: Sequence[str], path: Path) -> tuple[str, ...]:
    """The columns of a table that hold the labels, in the order of `CHEXPERT_LABELS`.

    Args:
        columns: The columns of the table.
        path: The table, for the message.

    Raises:
        DataError: One is missing.
    """
    found = []
    for label in CHEXPERT_LABELS:
        name = label if label in columns else _ALIASES.get(label, label)
        if name not in columns:
            raise DataError(
                f"{path}: column {label!r} is missing (found: {', '.join(columns)[:300]}).",
                f"The columns needed are: {', '.join(CHEXPERT_LABELS)}.",
            )
        found.append(name)
    return tuple(found)


def read_labels(cells: Mapping[str, str], columns: Sequence[str]) -> Mapping[str, int | None] | str:
    """The labels of a row, or what is wrong with them.

    Args:
        cells: The row.
        columns: What `label_columns` found.

    Example:
        >>> read_labels({"No Finding": "", "Edema": "1.0"} | dict.fromkeys(CHEXPERT_LABELS[1:5], ""),
        ...             CHEXPERT_LABELS[:6])["No Finding"]
        0
    """
    return _read(tuple(cells.get(column, "") for column in columns))


@lru_cache(maxsize=4096)  # 377,110 images have a few hundred combinations; they share one mapping
def _read(cells: tuple[str, ...]) -> Mapping[str, int | None] | str:
    labels: dict[str, int | None] = {}
    for label, cell in zip(CHEXPERT_LABELS, cells, strict=False):
        value = _VALUES.get(cell)
        if value is _UNKNOWN:
            labels[label] = None
        elif isinstance(value, int):
            labels[label] = value
        else:
            return f"{label} is {cell[:20]!r}, expected 1, 0, -1 or nothing"
    blank = {label for label, cell in zip(CHEXPERT_LABELS, cells, strict=False) if not cell}
    others = [label for label in labels if label not in (NO_FINDING, DEVICES)]
    if labels.get(NO_FINDING) == 1:
        labels |= dict.fromkeys((label for label in others if label in blank), 0)
    elif NO_FINDING in blank and any(labels[label] == 1 for label in others):
        labels[NO_FINDING] = 0
    return labels


_UNKNOWN = "unknown"
_VALUES: Mapping[str, int | str] = {
    "1": 1,
    "1.0": 1,
    "0": 0,
    "0.0": 0,
    "-1": _UNKNOWN,
    "-1.0": _UNKNOWN,
    "": _UNKNOWN,
}
