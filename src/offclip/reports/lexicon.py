"""The lexicon: reads `lexicon.toml`, checks it, and compiles it once.

The words of the rule labeller are data. A file of the same form, given to `load_lexicon`, adds its phrases
to the built-in ones; its findings come first, so that it can rename what is built in.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast, get_args

from offclip.errors import ConfigError
from offclip.reports.phrases import PhraseError, PhraseIndex

CueKind = Literal[
    "negation",
    "bare_negation",
    "post_negation",
    "pseudo_negation",
    "hedge",
    "post_hedge",
    "terminator",
    "normal",
    "normal_back",
    "non_finding",
    "post_non_finding",
    "remark",
    "closer",
    "assertion",
    "unchanged",
    "neutral",
]
Detail = Literal["named", "sign", "generic"]
Group = Literal["pathology", "chronic", "device", "postoperative", "volume", "borderline"]

CUE_KINDS: tuple[str, ...] = get_args(CueKind)
DETAILS: tuple[str, ...] = get_args(Detail)
GROUPS: tuple[str, ...] = get_args(Group)
SIDES = ("left", "right", "bilateral")
ZONES = ("upper", "mid", "lower")
SEVERITIES = ("mild", "moderate", "severe")
_PLACE_WORDS = frozenset({*SIDES, *ZONES, "lung"})
_SCHEMA = 1
_CHECK_REMEDY = "Compare the file with offclip/reports/lexicon.toml, which explains the form."


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that change what a finding beside them means.

    Attributes:
        kind: What they do: negate, hedge, end a clause and so on.
    """

    kind: CueKind


@dataclass(frozen=True, slots=True)
class Term:
    """A finding as the lexicon names it.

    Attributes:
        name: Canonical name, such as `"pleural effusion"`.
        group: Pathology or one of the conventions (devices, chronic change and so on).
        weak: Counts only where nothing in the clause says normal.
        detail: Whether it makes a prompt: a `"sign"` only where nothing better is named, `"generic"` never.
    """

    name: str
    group: Group = "pathology"
    weak: bool = False
    detail: Detail = "named"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A place or a severity.

    Attributes:
        kind: Which of the two.
        value: Such as `"left lower lung"` or `"mild"`.
    """

    kind: Literal["place", "severity"]
    value: str


@dataclass(frozen=True, slots=True)
class Lexicon:
    """A compiled lexicon.

    Attributes:
        index: Cues and findings.
        context: Words that speak of the film, the examination or the patient.
        implied: Structures, and the finding that is absent where they are normal.
        attributes: Sides and zones, such as `"left lower lung"`, and severities.
        openers: Words that, after a comma, begin a new statement.
        refinements: For a finding's name, indexes of words and the better name they give.
        findings: All canonical names.
    """

    index: PhraseIndex[Cue | Term]
    context: PhraseIndex[bool]
    implied: PhraseIndex[str]
    attributes: PhraseIndex[Attribute]
    openers: frozenset[str]
    refinements: dict[str, tuple[tuple[PhraseIndex[bool], Term], ...]]
    findings: tuple[str, ...]


def _texts(table: dict[str, Any], key: str, where: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ConfigError(f"{where}: {key!r} must be a list of strings.", _CHECK_REMEDY)
    return cast(list[str], value)


def _known(table: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(table) - set(keys))
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(keys)}.", _CHECK_REMEDY)


def _term(table: dict[str, Any], where: str) -> Term:
    name, group = table.get("name"), table.get("group", "pathology")
    if not isinstance(name, str) or not name.strip() or name != name.lower():
        raise ConfigError(f"{where}: a finding needs a lower-case 'name'.", _CHECK_REMEDY)
    if group not in GROUPS:
        raise ConfigError(f"{where}: group {group!r} is none of {', '.join(GROUPS)}.", _CHECK_REMEDY)
    weak, detail = table.get("weak", False), table.get("detail", "named")
    if not isinstance(weak, bool):
        raise ConfigError(f"{where}: 'weak' must be true or false.", _CHECK_REMEDY)
    if detail not in DETAILS:
        raise ConfigError(f"{where}: detail {detail!r} is none of {', '.join(DETAILS)}.", _CHECK_REMEDY)
    return Term(name, cast(Group, group), weak, cast(Detail, detail))


def _read(path: Path | None) -> tuple[str, dict[str, Any]]:
    where = "lexicon.toml" if path is None else str(path)
    try:
        text = (
            files("offclip.reports").joinpath("lexicon.toml").read_text(encoding="utf-8")
            if path is None
            else path.read_text(encoding="utf-8")
        )
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where} cannot be read: {error}.", "Check the path and the encoding.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}.", _CHECK_REMEDY) from error
    if table.get("schema") != _SCHEMA:
        raise ConfigError(f"{where}: 'schema' must be {_SCHEMA}.", _CHECK_REMEDY)
    _known(table, ("schema", "cues", "finding", "refine", "implied", "places", "severity"), where)
    _known(table.get("cues", {}), (*CUE_KINDS, "context", "opener"), where)
    for place in table.get("places", {}):
        if not set(place.split()) <= _PLACE_WORDS:
            raise ConfigError(
                f"{where}: place {place!r} is not made of side, zone and 'lung'.", _CHECK_REMEDY
            )
    _known(table.get("severity", {}), SEVERITIES, f"{where}: [severity]")
    for finding in table.get("finding", []):
        _known(finding, ("name", "group", "weak", "detail", "phrases"), where)
    for refinement in table.get("refine", []):
        _known(refinement, ("finding", "near", "to"), where)
    return where, table


@cache
def load_lexicon(*paths: Path) -> Lexicon:
    """Compile the built-in lexicon, with files of the user's own before it.

    Args:
        paths: Files of the same form as `lexicon.toml`.

    Returns:
        The lexicon; the same object for the same paths.

    Raises:
        ConfigError: A file cannot be read, or an entry is unknown or malformed.

    Example:
        >>> "pleural effusion" in load_lexicon().findings
        True
    """
    entries: list[tuple[str, Cue | Term]] = []
    attributes: list[tuple[str, Attribute]] = []
    implied: list[tuple[str, str]] = []
    refine: list[tuple[str, tuple[str, ...], str]] = []
    terms: dict[str, Term] = {}
    openers: set[str] = set()
    context: list[str] = []
    for path in (*paths, None):
        where, table = _read(path)
        for kind in CUE_KINDS:
            cue = Cue(cast(CueKind, kind))
            entries += [(phrase, cue) for phrase in _texts(table.get("cues", {}), kind, where)]
        openers.update(_texts(table.get("cues", {}), "opener", where))
        context += _texts(table.get("cues", {}), "context", where)
        for finding in table.get("finding", []):
            term = _term(finding, where)
            terms.setdefault(term.name, term)
            entries += [(phrase, term) for phrase in _texts(finding, "phrases", where)]
        for name in table.get("implied", {}):
            implied += [(phrase, name) for phrase in _texts(table["implied"], name, where)]
        for key, kind in (("places", "place"), ("severity", "severity")):
            for name in table.get(key, {}):
                attribute = Attribute(cast(Literal["place", "severity"], kind), name)
                attributes += [(phrase, attribute) for phrase in _texts(table[key], name, where)]
        for entry in table.get("refine", []):
            refine.append(
                (str(entry.get("finding")), tuple(_texts(entry, "near", where)), str(entry.get("to")))
            )
    refinements: dict[str, tuple[tuple[PhraseIndex[bool], Term], ...]] = {}
    try:
        for finding, near, to in refine:
            if finding not in terms or to not in terms:
                raise ConfigError(f"refinement {finding!r} -> {to!r} names no finding.", _CHECK_REMEDY)
            words: PhraseIndex[bool] = PhraseIndex((phrase, True) for phrase in near)
            refinements[finding] = (*refinements.get(finding, ()), (words, terms[to]))
        stops = [p for p, payload in entries if isinstance(payload, Cue) and payload.kind in _GAP_STOPS]
        index = PhraseIndex(entries, ("and", "or", *(phrase for phrase in stops if " " not in phrase)))
        return Lexicon(
            index,
            PhraseIndex((phrase, True) for phrase in context),
            PhraseIndex(implied),
            PhraseIndex(attributes),
            frozenset(openers),
            refinements,
            tuple(sorted(terms)),
        )
    except PhraseError as error:
        raise ConfigError(f"A phrase of the lexicon is malformed: {error}.", _CHECK_REMEDY) from error


# A gap such as "~3" must not reach over a word that turns the meaning.
_GAP_STOPS = frozenset({"negation", "bare_negation", "terminator", "normal", "normal_back"})
