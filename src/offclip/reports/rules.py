"""Labels a sentence by rule: findings from a lexicon, and clause-limited negation around them.

The sentence falls into clauses ("no effusion **but** ...", "**with** ..."). Within a clause a negation
reaches forward, a post-negation ("... has resolved") backward to the last comma. What remains asserted makes
the sentence abnormal; if nothing does, a negated finding or a normal phrase makes it normal; otherwise it is
uncertain. METHOD and measurements: docs/labelling.md.
"""

from dataclasses import dataclass, field
from functools import cache, lru_cache

from offclip.reports.labels import (
    DEFAULT_CONVENTIONS,
    Conventions,
    Label,
    Mention,
    SentenceLabel,
    SentenceLabeller,
    Status,
)
from offclip.reports.lexicon import Cue, Lexicon, Term, load_lexicon
from offclip.reports.phrases import Match, Tokens, tokenize

# Reports repeat their sentences: Open-I's 22,809 are 8,649 different ones.
_CACHE_SIZE = 65_536
_LONGEST_CACHED = 2_000
# How many findings a word can reach back over, and how many words around a finding may refine its name.
# Real clauses are shorter; the bounds keep a text without any punctuation from costing quadratic time.
_REACH = 12
_WINDOW = 30


@dataclass(slots=True)
class _Found:
    """A finding while its clause is being read."""

    term: Term
    match: Match[Cue | Term]
    segment: int
    status: Status


@dataclass(slots=True)
class _Clause:
    """What has been read of one clause."""

    found: list[_Found] = field(default_factory=list)
    normal: str = ""
    negation: str = ""
    non_finding: str = ""
    denying: bool = False
    denied_at: int = 0  # segment of the last negation
    opening: str = ""  # first word of the segment
    asking: bool = False
    hedging: bool = False
    segment: int = 0
    start: int = 0
    end: int = 0


class RuleLabeller:
    """The rule labeller: deterministic, pure Python.

    Args:
        lexicon: Compiled lexicon; the built-in one by default.
        conventions: What counts as abnormal.

    Example:
        >>> RuleLabeller()("No pneumothorax, but a small effusion.").reason
        'asserted:pleural effusion'
    """

    def __init__(
        self, lexicon: Lexicon | None = None, conventions: Conventions = DEFAULT_CONVENTIONS
    ) -> None:
        self.lexicon = load_lexicon() if lexicon is None else lexicon
        self.conventions = conventions

    def __call__(self, sentence: str, /) -> SentenceLabel:
        """Label one sentence."""
        tokens = tokenize(sentence)
        clauses = self._clauses(tokens)
        mentions = self._mentions(clauses, tokens)
        return self._decide(clauses, mentions)

    def _clauses(self, tokens: Tokens) -> list[_Clause]:
        words = tokens.words
        clause = _Clause()
        clauses = [clause]
        position = 0
        for match in self.lexicon.index.scan(words):
            # Commas between the last cue and this one.
            for i in range(position, match.first):
                if words[i] == ",":
                    self._comma(clause, words, i)
            position = match.last
            payload = match.payload
            if isinstance(payload, Term):
                clause.found.append(_Found(payload, match, clause.segment, self._status(clause)))
                continue
            kind = payload.kind
            if kind == "terminator":
                clause.end = match.first
                carried = clause.hedging and words[match.first] not in ".;"
                clause = _Clause(hedging=carried, start=match.last)
                clauses.append(clause)
            elif kind in ("negation", "bare_negation"):
                clause.denying, clause.denied_at = True, clause.segment
                if kind == "negation":
                    clause.negation = clause.negation or " ".join(words[match.first : match.last])
            elif kind == "post_negation":
                self._deny_back(clause)
            elif kind == "assertion":
                self._assert_back(clause)
            elif kind == "hedge":
                clause.hedging = True
            elif kind == "post_hedge":
                self._hedge_back(clause)
            elif kind in ("normal", "normal_back"):
                if kind == "normal_back":
                    self._deny_back(clause, only="pathology")
                clause.normal = clause.normal or " ".join(words[match.first : match.last])
            elif kind == "closer":
                if clause.denying and words[match.last : match.last + 1] == (",",):
                    clause.denying = False
            elif kind in ("non_finding", "post_non_finding", "remark"):
                if kind == "non_finding":
                    clause.asking = True
                elif kind == "post_non_finding":
                    self._ask_back(clause)
                clause.non_finding = clause.non_finding or " ".join(words[match.first : match.last])
        clause.end = len(words)
        return clauses

    def _comma(self, clause: _Clause, words: tuple[str, ...], i: int) -> None:
        clause.segment += 1
        following = words[i + 1] if i + 1 < len(words) else ""
        clause.opening = following
        if following in self.lexicon.openers:
            clause.denying = False
            clause.asking = False

    @staticmethod
    def _status(clause: _Clause) -> Status:
        if clause.asking:
            return "not_stated"
        if clause.denying:
            return "negated"
        return "hedged" if clause.hedging else "asserted"

    @staticmethod
    def _deny_back(clause: _Clause, only: str = "") -> None:
        for found in clause.found[-_REACH:]:
            if found.segment == clause.segment and found.status in ("asserted", "hedged"):
                if only and found.term.group != only:
                    continue
                found.status = "negated"

    @staticmethod
    def _assert_back(clause: _Clause) -> None:
        # "No effusion, chest tube in place": but not "no effusion, or pneumothorax, is unchanged".
        if clause.segment == clause.denied_at or clause.opening in ("or", "nor", "and"):
            return
        for found in clause.found[-_REACH:]:
            if found.segment == clause.segment and found.status == "negated":
                found.status = "asserted"

    @staticmethod
    def _ask_back(clause: _Clause) -> None:
        for found in clause.found[-_REACH:]:
            if found.segment == clause.segment and found.status in ("asserted", "hedged"):
                found.status = "not_stated"

    @staticmethod
    def _hedge_back(clause: _Clause) -> None:
        # "Pneumonia is possible", "infection is not excluded".
        for found in clause.found[-_REACH:]:
            if found.segment == clause.segment and found.status == "asserted":
                found.status = "hedged"

    def _mentions(self, clauses: list[_Clause], tokens: Tokens) -> tuple[Mention, ...]:
        mentions = []
        for clause in clauses:
            for found in clause.found:
                term = self._refined(found, clause, tokens.words)
                status = found.status
                if status in ("asserted", "hedged"):
                    if term.weak and (clause.normal or clause.negation):
                        status = "negated"
                    elif not self.conventions.counts(term.group) or (
                        status == "hedged" and not self.conventions.hedges
                    ):
                        status = "waived"
                start, end = tokens.spans[found.match.first][0], tokens.spans[found.match.last - 1][1]
                mentions.append(Mention(term.name, status, term.group, term.detail, start, end))
        return tuple(mentions)

    def _refined(self, found: _Found, clause: _Clause, words: tuple[str, ...]) -> Term:
        for index, better in self.lexicon.refinements.get(found.term.name, ()):
            first = max(clause.start, found.match.first - _WINDOW)
            if index.scan(words[first : min(clause.end, found.match.last + _WINDOW)]):
                return better
        return found.term

    def _decide(self, clauses: list[_Clause], mentions: tuple[Mention, ...]) -> SentenceLabel:
        outcomes: tuple[tuple[Status, Label], ...] = (
            ("asserted", "abnormal"),
            ("hedged", "abnormal"),
            ("negated", "normal"),
            ("waived", "normal"),
        )
        for status, label in outcomes:
            named = [mention for mention in mentions if mention.status == status]
            if named:
                leading = next((mention for mention in named if mention.detail != "generic"), named[0])
                return SentenceLabel(label, f"{status}:{leading.finding}", mentions)
        normal = next((clause.normal for clause in clauses if clause.normal), "")
        if normal:
            return SentenceLabel("normal", f"normal-phrase:{normal}", mentions)
        denied = next((c.negation for c in clauses if c.negation), "")
        if denied and not any(clause.non_finding for clause in clauses):
            return SentenceLabel("normal", f"negated:{denied}", mentions)
        asking = next((clause.non_finding for clause in clauses if clause.non_finding), "")
        if asking:
            return SentenceLabel("uncertain", f"non-finding:{asking}", mentions)
        return SentenceLabel(self.conventions.undecided, "undecided", mentions)


@cache
def default_labeller(conventions: Conventions = DEFAULT_CONVENTIONS) -> SentenceLabeller:
    """Return the rule labeller with the built-in lexicon and a bounded cache of sentences."""
    labeller = RuleLabeller(conventions=conventions)
    remembered = lru_cache(maxsize=_CACHE_SIZE)(labeller.__call__)

    def label(sentence: str, /) -> SentenceLabel:
        return remembered(sentence) if len(sentence) <= _LONGEST_CACHED else labeller(sentence)

    return label


def label_sentence(text: str, *, conventions: Conventions = DEFAULT_CONVENTIONS) -> SentenceLabel:
    """Label one sentence of a chest X-ray report by rule.

    Args:
        text: The sentence.
        conventions: What counts as abnormal.

    Returns:
        Label, reason and the findings named.

    Example:
        >>> label_sentence("The lungs are clear.").label
        'normal'
        >>> label_sentence("Pneumonia cannot be excluded.").reason
        'hedged:pneumonia'
        >>> label_sentence("PA and lateral views of the chest.").label
        'uncertain'
    """
    return default_labeller(conventions)(text)
