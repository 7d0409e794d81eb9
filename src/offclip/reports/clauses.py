"""Reads a sentence clause by clause: which findings it asserts, denies, hedges, or only asks for.

The sentence falls into clauses ("no effusion **but** ...", "**with** ..."). Within a clause a negation
reaches forward, a post-negation ("... has resolved") backward to the last comma.
"""

from collections.abc import Sequence

from offclip.reports.labels import Status
from offclip.reports.lexicon import Cue, Lexicon, Term
from offclip.reports.phrases import Match

# How many findings a word can reach back over. Real clauses are shorter; the bound keeps a text without any
# punctuation from costing quadratic time.
_REACH = 12
# Statuses that a word behind the finding can change.
_PRESENT = ("asserted", "hedged")


class Found:
    """A finding while its clause is being read."""

    __slots__ = ("cue", "match", "segment", "status", "term")

    def __init__(self, match: Match[Cue | Term], segment: int, status: Status, cue: str) -> None:
        self.term: Term = match.payload  # type: ignore[assignment]
        self.match = match
        self.segment = segment
        self.status: Status = status
        self.cue = cue


class Clause:
    """What has been read of one clause.

    Attributes:
        found: Its findings, in order.
        normal: The first words that say normal; empty if none do.
        negation: The first words that deny something.
        non_finding: The first words that ask, recommend or speak of the examination.
        unchanged: The first words that say nothing but "as before".
        start: Its first word in the sentence.
        end: One past its last.
    """

    normal = ""
    negation = ""
    non_finding = ""
    unchanged = ""
    denying = ""  # the words in force; empty where none are
    asking = ""
    segment = 0  # number of commas read
    denied_at = 0  # segment of the last negation
    opening = ""  # first word of the segment

    def __init__(self, start: int = 0, hedging: str = "") -> None:
        self.found: list[Found] = []
        self.start = self.end = start
        self.hedging = hedging

    def add(self, match: Match[Cue | Term]) -> None:
        """Add a finding, with the status that the words before it give."""
        if self.asking:
            found = Found(match, self.segment, "not_stated", self.asking)
        elif self.denying:
            found = Found(match, self.segment, "negated", self.denying)
        elif self.hedging:
            found = Found(match, self.segment, "hedged", self.hedging)
        else:
            found = Found(match, self.segment, "asserted", "")
        self.found.append(found)

    def change_back(self, was: tuple[Status, ...], status: Status, cue: str, only: str | None = None) -> None:
        """Change the findings of the last comma segment that have one of the statuses `was`."""
        for found in self.found[-_REACH:]:
            meant = found.segment == self.segment and found.status in was
            if meant and (only is None or found.term.group == only):
                found.status, found.cue = status, cue

    def assert_back(self) -> None:
        """Take back a negation: "no effusion, chest tube in place"."""
        # But not in "no effusion, or pneumothorax, is unchanged".
        if self.segment != self.denied_at and self.opening not in ("or", "nor", "and"):
            self.change_back(("negated",), "asserted", "")


def read_clauses(
    words: Sequence[str], matches: Sequence[Match[Cue | Term]], lexicon: Lexicon
) -> list[Clause]:
    """Read the clauses of a sentence.

    Args:
        words: The sentence in words.
        matches: What `lexicon.index` finds in it.
        lexicon: Gives the words that begin a new statement after a comma.

    Returns:
        At least one clause.

    Example:
        >>> from offclip.reports.lexicon import load_lexicon
        >>> from offclip.reports.phrases import tokenize
        >>> words, lexicon = tokenize("No pneumothorax, but a small effusion."), load_lexicon()
        >>> clauses = read_clauses(words, lexicon.index.scan(words), lexicon)
        >>> [(found.term.name, found.status) for clause in clauses for found in clause.found]
        [('pneumothorax', 'negated'), ('pleural effusion', 'asserted')]
    """
    clause = Clause()
    clauses = [clause]
    commas = "," in words
    position = 0
    for match in matches:
        payload, first, last = match
        if commas:
            for i in range(position, first):
                if words[i] == ",":
                    _comma(clause, words, i, lexicon)
            position = last
        if isinstance(payload, Term):
            clause.add(match)
            continue
        kind = payload.kind
        cue = words[first] if last - first == 1 else " ".join(words[first:last])
        if kind == "terminator":
            if last == len(words):
                break
            clause.end = first
            clause = Clause(last, "" if cue in (".", ";") else clause.hedging)
            clauses.append(clause)
        else:
            _apply(kind, cue, clause, words[last] if last < len(words) else "")
    clause.end = len(words)
    return clauses


def _comma(clause: Clause, words: Sequence[str], i: int, lexicon: Lexicon) -> None:
    clause.segment += 1
    clause.opening = words[i + 1] if i + 1 < len(words) else ""
    if clause.opening in lexicon.openers:
        clause.denying = clause.asking = ""


def _apply(kind: str, cue: str, clause: Clause, following: str) -> None:
    """Let a cue act on its clause; `following` is the word behind it."""
    if kind == "negation":
        clause.denying, clause.denied_at = cue, clause.segment
        clause.negation = clause.negation or cue
    elif kind == "bare_negation":
        clause.denying, clause.denied_at = cue, clause.segment
    elif kind == "normal":
        clause.normal = clause.normal or cue
    elif kind == "normal_back":
        clause.change_back(_PRESENT, "negated", cue, only="pathology")
        clause.normal = clause.normal or cue
    elif kind == "post_negation":
        clause.change_back(_PRESENT, "negated", cue)
    elif kind == "hedge":
        clause.hedging = cue
    elif kind == "post_hedge":
        # "Pneumonia is possible", "infection is not excluded".
        clause.change_back(("asserted",), "hedged", cue)
    elif kind == "assertion":
        clause.assert_back()
        clause.unchanged = clause.unchanged or cue
    elif kind == "unchanged":
        clause.unchanged = clause.unchanged or cue
    elif kind == "closer":
        if following == ",":
            clause.denying = ""
    elif kind in ("non_finding", "post_non_finding", "remark"):
        if kind == "non_finding":
            clause.asking = cue
        elif kind == "post_non_finding":
            clause.change_back(_PRESENT, "not_stated", cue)
        clause.non_finding = clause.non_finding or cue
