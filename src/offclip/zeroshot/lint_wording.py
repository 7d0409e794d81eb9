"""What can be wrong with the wording of one prompt, whatever model is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from offclip.reports import label_sentence
from offclip.zeroshot.remarks import Remark
from offclip.zeroshot.words import NORMAL_LABELS, plain_words, words_of

# Short forms that stand in label tables and orders; reports write the words, or write them more often.
ABBREVIATIONS = {
    "ards": "acute respiratory distress syndrome", "cabg": "coronary artery bypass graft",
    "chf": "congestive heart failure", "copd": "chronic obstructive pulmonary disease",
    "cvc": "central venous catheter", "cxr": "chest radiograph", "ett": "endotracheal tube",
    "ggo": "ground glass opacity", "ild": "interstitial lung disease", "lll": "left lower lobe",
    "lul": "left upper lobe", "ngt": "nasogastric tube", "pa": "pulmonary artery",
    "picc": "peripherally inserted central catheter", "pna": "pneumonia", "ptx": "pneumothorax",
    "rll": "right lower lobe", "rml": "right middle lobe", "rul": "right upper lobe", "tb": "tuberculosis",
}  # fmt: skip
_NEGATION = re.compile(
    r"\b(?:no|not|never|without|absent|none|nor|neither|absence of|negative for|free of|lack of"
    r"|cannot|can't|isn't|aren't)\b",
    re.IGNORECASE,
)
# What separates two statements, each of which may be denied once.
_APART = re.compile(r"[,;:.]|\b(?:and|or|but|nor|with|which|that)\b", re.IGNORECASE)
_HEDGE = re.compile(
    r"\b(?:possible|possibly|probable|probably|likely|may|might|could|perhaps|suspected|suspicious|questionable"
    r"|equivocal|presumed|versus|vs|cannot be excluded|can not be excluded|rule out|r/o)\b",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:is|are|be|was|were|has|have|had|shows?|demonstrates?|reveals?|appears?|remains?|suggests?|represents?"
    r"|seen|noted|present|identified|consistent with|compatible with|visualized|visible)\b",
    re.IGNORECASE,
)
_DENIES_FIRST = re.compile(r"\s*(?:no|without|negative for)\b", re.IGNORECASE)
_CAMEL = re.compile(r"\b[A-Za-z]*[a-z][A-Z][A-Za-z]*\b")
_SLASH = re.compile(r"(?!and\s?/\s?or)\b[A-Za-z]{2,}\s?/\s?[A-Za-z]{2,}", re.IGNORECASE)
_SHORT_CAPITALS = re.compile(r"\b[A-Z]{2,6}\b")
_PLACE = re.compile(r"\{[^}]*\}|<[a-z ]+>|%s")
_LABEL_AS_FINDING = re.compile(r"\s*there (?:is|are) (.*)", re.IGNORECASE | re.DOTALL)
# Longer rows of words are sentences in the shorthand of reports.
_NAME_LENGTH = 6


def wording_remarks(prompt: str) -> Iterator[Remark]:
    """What the wording of a prompt gives rise to say; empty for a plain sentence.

    Example:
        >>> [remark.code for remark in wording_remarks("There is no No finding.")]
        ['doubled-negation']
        >>> list(wording_remarks("There is no finding."))
        []
    """
    words = words_of(prompt)
    if not words:
        yield Remark("empty", "it has no word", "Leave it out, or write a sentence.")
        return
    if _PLACE.search(prompt):
        yield Remark("unfilled", "a place of a template was not filled", "Fill the template first.")
    yield from _negations(prompt)
    yield from _form(prompt, words)
    yield from _label_remarks(prompt)
    yield from _certainty(prompt)


def _negations(prompt: str) -> Iterator[Remark]:
    spaced = prompt.replace("_", " ")
    for statement in _APART.split(spaced):
        denied = _NEGATION.findall(statement)
        if len(denied) > 1:
            yield Remark(
                "doubled-negation",
                f"it denies twice: {' ... '.join(word.lower() for word in denied[:3])}",
                "Deny once; a label such as 'No Finding' does not fit into 'There is no ...'.",
            )
            return


def _form(prompt: str, words: tuple[str, ...]) -> Iterator[Remark]:
    if len(words) == 1:
        yield Remark("one-word", "it is one word", f"Write a sentence: 'There is {words[0]}.'")
    elif (
        len(words) <= _NAME_LENGTH
        and not _VERB.search(prompt)
        and not _DENIES_FIRST.match(prompt)
        and label_sentence(prompt).label != "normal"  # "Clear lungs." says what it means
    ):
        yield Remark("no-sentence", "it is a name and no sentence", f"Write 'There is {' '.join(words)}.'")
    called = _LABEL_AS_FINDING.match(prompt)
    if called and plain_words(called[1]) in NORMAL_LABELS - {"no finding", "no findings"}:
        yield Remark(
            "normal-as-finding",
            f"the label {called[1].strip(' .')!r} was put where a finding belongs",
            "Ask 'There is no finding.'.",
        )


def _label_remarks(prompt: str) -> Iterator[Remark]:
    marks = [
        found
        for found, is_there in (
            ("an underscore", "_" in prompt),
            ("a slash", bool(_SLASH.search(prompt))),
            ("capitals inside a word", bool(_CAMEL.search(prompt))),
        )
        if is_there
    ]
    if marks:
        yield Remark(
            "table-label",
            f"it looks like the label of a table: {' and '.join(marks)}",
            "Write the words as a report does: 'nodule or mass' for 'Nodule/Mass'.",
        )
    shouted = len(words_of(prompt)) > 1 and prompt.upper() == prompt
    if shouted:
        yield Remark("capitals", "it is in capitals", "Write it in lower case.")
    shown = dict.fromkeys(word for word in words_of(prompt) if word in ABBREVIATIONS)
    for word in shown:
        yield Remark("abbreviation", f"{word!r} is short for {ABBREVIATIONS[word]!r}", "Write the words.")
    if not shouted:
        for word in dict.fromkeys(_SHORT_CAPITALS.findall(prompt)):
            if word.lower() not in shown and word.lower() not in ("no", "there", "is"):
                yield Remark("abbreviation", f"{word!r} looks like an abbreviation", "Write the words.")


def _certainty(prompt: str) -> Iterator[Remark]:
    if "?" in prompt:
        yield Remark("question", "it asks", "State it: 'There is pneumonia.'")
        return
    hedge = _HEDGE.search(prompt)
    cue = (
        hedge[0].lower()
        if hedge
        else next(
            (mention.cue for mention in label_sentence(prompt).mentions if mention.status == "hedged"), ""
        )
    )
    if cue:
        yield Remark(
            "uncertain",
            f"it is not certain: {cue!r}",
            "State it; whoever hedges in the prompt asks for the hedge as well.",
        )
