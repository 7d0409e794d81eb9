"""What a set calls a finding becomes what offclip calls it, by the one table `labels.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from offclip.data.study import LABEL_KEYS
from offclip.errors import DataError

NORMAL = "= normal"
IGNORED = "= ignored"
SAME = "= same"
ALL_ABSENT = "(none)"
ANY_OTHER = "*"
# Public labellers call a film with a device and nothing else "no finding". Offclip calls a device a finding.
BESIDE_NORMAL = frozenset({"device"})

PRESENT, ABSENT, UNKNOWN = "1", "0", "-"
_CODES: dict[Hashable, str] = {1: PRESENT, 0: ABSENT, None: UNKNOWN}
_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class FilmLabels:
    """The labels of a film in offclip's words, as text, so that a table can hold many.

    Attributes:
        code: A character for `normal`, then one a finding: `1` present, `0` absent, `-` unknown.
        contradiction: What speaks against itself, in words, or empty; `normal` is then unknown.
        with_device: Whether the set called it normal in spite of a device.
    """

    code: str
    contradiction: str = ""
    with_device: bool = False


class LabelMap:
    """The labels of one set.

    Args:
        set_name: A section of the table.
        names: The set's own label names, in the order of its records.
        table: From the set's name of a label to offclip's; the section of `labels.toml` by default.

    Attributes:
        names: The set's own names.
        findings: Offclip's names, each once, in the order of the set.

    Raises:
        DataError: A label of the set has no entry.

    Example:
        >>> table = {"Effusion": "pleural effusion", "No Finding": "= normal", "Bad film": "= ignored"}
        >>> labels = LabelMap("some-set", ["Effusion", "No Finding", "Bad film"], table)
        >>> labels.findings, labels.read((1, 0, None)).code
        (('pleural effusion',), '01')
    """

    def __init__(self, set_name: str, names: Iterable[str], table: Mapping[str, str] | None = None) -> None:
        self.set_name = set_name
        self.names = tuple(names)
        self._table = label_table().get(set_name, {}) if table is None else table
        words = [self.word_of(name) for name in self.names]
        self.findings = tuple(dict.fromkeys(word for word in words if not word.startswith("=")))
        self._places = {
            finding: tuple(place for place, word in enumerate(words) if word == finding)
            for finding in self.findings
        }
        self._normal = tuple(place for place, word in enumerate(words) if word == NORMAL)
        self._exhaustive = self._table.get(ALL_ABSENT) == NORMAL
        self.read = lru_cache(_REMEMBERED)(self._read)

    def word_of(self, name: str) -> str:
        """Offclip's word for a label of the set; one that begins with `=` is no finding.

        Raises:
            DataError: There is none.
        """
        word = self._table.get(name) or self._table.get(ANY_OTHER)
        if name in (ALL_ABSENT, ANY_OTHER) or word is None:
            raise DataError(
                f"{self.set_name}: the label {name!r} has no entry in labels.toml.",
                "Report it: offclip must say what it means before the set can be used.",
            )
        return (
            _checked(self.set_name, name, " ".join(name.lower().replace("_", " ").split()))
            if word == SAME
            else word
        )

    def _read(self, values: tuple[int | None, ...]) -> FilmLabels:
        """The labels of a film from its values in the order of `names`.

        Several labels of the set may stand for one finding: present beats unknown beats absent.

        Raises:
            DataError: A value is not 1, 0 or None.
        """
        try:
            codes = [_CODES[value] for value in values]
        except KeyError as error:
            raise DataError(
                f"{self.set_name}: a label has the value {error.args[0]!r}.",
                "Only 1, 0 and None are values of a label; this is a fault of the reader.",
            ) from error
        findings = [_highest(codes[place] for place in self._places[name]) for name in self.findings]
        normal = _highest(codes[place] for place in self._normal) if self._normal else UNKNOWN
        present = [name for name, code in zip(self.findings, findings, strict=True) if code == PRESENT]
        if normal == PRESENT and present:
            with_device = BESIDE_NORMAL.issuperset(present)
            problem = "" if with_device else f"normal, and yet with {', '.join(present)}"
            return FilmLabels((ABSENT if with_device else UNKNOWN) + "".join(findings), problem, with_device)
        if normal == UNKNOWN and present:
            normal = ABSENT
        elif normal == UNKNOWN and self._exhaustive and findings and set(findings) == {ABSENT}:
            normal = PRESENT
        return FilmLabels(normal + "".join(findings))


def study_label(films: Iterable[FilmLabels]) -> str:
    """The label of a study from the labels of its films.

    Example:
        >>> study_label([FilmLabels("1000"), FilmLabels("0010")]), study_label([FilmLabels("--00")])
        ('abnormal', 'uncertain')
    """
    films = tuple(films)
    if any(film.contradiction for film in films):
        return "uncertain"
    if any(film.code[:1] == ABSENT or PRESENT in film.code[1:] for film in films):
        return "abnormal"
    return "normal" if any(film.code[:1] == PRESENT for film in films) else "uncertain"


@lru_cache(1)
def label_table() -> Mapping[str, Mapping[str, str]]:
    """All of `labels.toml`, checked: from set to label to word.

    Raises:
        DataError: An entry is malformed.

    Example:
        >>> label_table()["folder"]["normal"]
        '= normal'
    """
    text = files("offclip.data.datasets").joinpath("labels.toml").read_text(encoding="utf-8")
    return check_table(tomllib.loads(text))


def check_table(table: Mapping[str, object]) -> Mapping[str, Mapping[str, str]]:
    """The same table, if each of its entries is of the right form.

    Raises:
        DataError: One is not.
    """
    checked: dict[str, dict[str, str]] = {}
    for set_name, section in table.items():
        if not isinstance(section, dict):
            raise DataError(f"labels.toml: {set_name!r} is no section.", "Write [set-name] above its labels.")
        checked[set_name] = {name: _entry(set_name, name, word) for name, word in section.items()}
    return checked


def _entry(set_name: str, name: str, word: object) -> str:
    allowed = {ANY_OTHER: (SAME,), ALL_ABSENT: (NORMAL,)}.get(name, (NORMAL, IGNORED))
    if isinstance(word, str) and word in allowed:
        return word
    if name in (ANY_OTHER, ALL_ABSENT) or not isinstance(word, str):
        raise DataError(
            f"labels.toml: [{set_name}] {name!r} = {word!r} is unknown.", f"Known: {', '.join(allowed)}."
        )
    return _checked(set_name, name, word)


def _checked(set_name: str, name: str, word: str) -> str:
    plain = " ".join(word.lower().replace("_", " ").split())
    if not plain or word != plain or word.startswith("=") or word in LABEL_KEYS or word.startswith("no "):
        raise DataError(
            f"{set_name}: {word!r} cannot be the name of a finding (label {name!r}).",
            "A finding stands in lower case, as in 'There is pleural effusion.'.",
        )
    return word


def _highest(codes: Iterable[str]) -> str:
    found = set(codes)
    return PRESENT if PRESENT in found else UNKNOWN if UNKNOWN in found else ABSENT
