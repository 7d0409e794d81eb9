"""What the public label sets call the findings of the lexicon: one table, `vocabulary.toml`."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, get_args

from offclip.errors import InputError
from offclip.reports.labels import Certainty, Mention

LabelSet = Literal["chexpert", "chestxray14", "vindr", "padchest", "openi"]
LABEL_SETS: tuple[LabelSet, ...] = get_args(LabelSet)
# Where a report says several things of a class, the weightiest counts.
_WEIGHT: dict[Certainty, int] = {"unstated": 0, "absent": 1, "possible": 2, "present": 3}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The findings of the lexicon in the words of one label set.

    Attributes:
        name: The label set.
        classes: Its classes, in its own order; of PadChest those that the lexicon reaches.
        normal: The class of an image without any finding.
        classes_of: The classes of each finding; a finding without a class is not in it.
    """

    name: LabelSet
    classes: tuple[str, ...]
    normal: str
    classes_of: MappingProxyType[str, tuple[str, ...]]


@cache
def load_vocabulary(name: LabelSet) -> Vocabulary:
    """Read one column of the table.

    Args:
        name: `"chexpert"`, `"chestxray14"`, `"vindr"`, `"padchest"` or `"openi"`.

    Raises:
        InputError: There is no such label set.

    Example:
        >>> load_vocabulary("chestxray14").classes_of["pleural effusion"]
        ('Effusion',)
    """
    if name not in LABEL_SETS:
        raise InputError(f"There is no label set {name!r}.", f"Known are {', '.join(LABEL_SETS)}.")
    table = tomllib.loads(files("offclip.reports").joinpath("vocabulary.toml").read_text(encoding="utf-8"))
    classes_of = {
        finding: tuple(classes[name]) for finding, classes in table["finding"].items() if classes.get(name)
    }
    return Vocabulary(
        name, tuple(table["label_sets"][name]), table["normal"][name], MappingProxyType(classes_of)
    )


def classes_named(mentions: Iterable[Mention], name: LabelSet) -> dict[str, Certainty]:
    """Say for each class of a label set what a report states of it.

    Args:
        mentions: The findings of all sentences of the report.
        name: The label set.

    Returns:
        For each class that is named, `"present"`, `"possible"`, `"absent"` or `"unstated"`; classes that the
        report does not name are left out, and so is the class for normal: that is the label of the pair.

    Example:
        >>> from offclip.reports import label_report
        >>> report = label_report("No pneumothorax. Small effusion, possible pneumonia.")
        >>> classes_named(report.mentions, "chexpert")
        {'Pneumothorax': 'absent', 'Pleural Effusion': 'present', 'Pneumonia': 'possible'}
    """
    classes_of = load_vocabulary(name).classes_of
    named: dict[str, Certainty] = {}
    for mention in mentions:
        for label in classes_of.get(mention.finding, ()):
            known = named.get(label, "unstated")
            if label not in named or _WEIGHT[mention.certainty] > _WEIGHT[known]:
                named[label] = mention.certainty
    return named
