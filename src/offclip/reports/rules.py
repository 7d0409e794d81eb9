"""Labels a sentence by rule: findings from a lexicon, and clause-limited negation around them.

What a sentence asserts makes it abnormal; if it asserts nothing, a negated finding or a normal phrase makes
it normal; otherwise it is uncertain. METHOD and measurements: docs/labelling.md.
"""

from collections.abc import Sequence
from functools import cache, lru_cache

from offclip.reports.attributes import Surroundings
from offclip.reports.clauses import Clause, Found, read_clauses
from offclip.reports.conventions import DEFAULT_CONVENTIONS, Conventions
from offclip.reports.labels import Label, Mention, SentenceLabel, SentenceLabeller, Status
from offclip.reports.lexicon import Cue, Lexicon, Term, load_lexicon
from offclip.reports.phrases import Match, spans, tokenize

# Reports repeat their sentences: Open-I's 22,809 are 8,649 different ones.
_CACHE_SIZE = 65_536
_LONGEST_CACHED = 2_000
# How many words around a finding may refine its name.
_WINDOW = 30
# In a longer row of words the places of a finding would cost quadratic time.
_LONGEST_LOCATED = 400
# Fewer words than these, marks and de-identified words apart, state nothing: "Ribs.", "2 images."
_FEWEST_WORDS = 3
# What a sentence is called by the findings it names, the weightiest first.
_OUTCOMES: tuple[tuple[Status, Label], ...] = (
    ("asserted", "abnormal"),
    ("hedged", "abnormal"),
    ("negated", "normal"),
    ("waived", "normal"),
)


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
        words = tokenize(sentence)
        matches = self.lexicon.index.scan(words)
        clauses = read_clauses(words, matches, self.lexicon)
        mentions = self._mentions(sentence, words, matches, clauses)
        label, reason = self._decide(words, clauses, mentions)
        if reason.startswith("normal-phrase"):
            mentions += self._implied(sentence, words, reason.partition(":")[2])
        return SentenceLabel(label, reason, mentions)

    def _mentions(
        self,
        sentence: str,
        words: Sequence[str],
        matches: Sequence[Match[Cue | Term]],
        clauses: Sequence[Clause],
    ) -> tuple[Mention, ...]:
        last = 0  # one past the last word that is needed
        for clause in clauses:
            if clause.found:
                last = clause.found[-1].match.last
        if not last:
            return ()
        offsets = spans(sentence, words[:last])
        attributes = self.lexicon.attributes.scan(words) if len(words) <= _LONGEST_LOCATED else ()
        around = Surroundings(words, matches, attributes) if attributes else None
        mentions = []
        for clause in clauses:
            for found in clause.found:
                _, first, last = found.match
                term = found.term
                if term.name in self.lexicon.refinements:
                    term = self._refined(found, clause, words)
                status, cue = found.status, found.cue
                if status == "asserted" or status == "hedged":
                    status = self._convened(term, status, clause)
                location, severity = around.of(first, last) if around else ("", "")
                start, end = offsets[first][0], offsets[last - 1][1]
                mentions.append(
                    Mention(term.name, status, term.group, term.detail, start, end, cue, location, severity)
                )
        return tuple(mentions)

    def _implied(self, sentence: str, words: Sequence[str], cue: str) -> tuple[Mention, ...]:
        """Return the findings that normal structures rule out: a normal heart size, cardiomegaly."""
        found = self.lexicon.implied.scan(words)
        offsets = spans(sentence, words) if found else []
        return tuple(
            Mention(finding, "negated", "pathology", "named", offsets[first][0], offsets[last - 1][1], cue)
            for finding, first, last in found
        )

    def _refined(self, found: Found, clause: Clause, words: Sequence[str]) -> Term:
        for index, better in self.lexicon.refinements[found.term.name]:
            first = max(clause.start, found.match.first - _WINDOW)
            if index.scan(words[first : min(clause.end, found.match.last + _WINDOW)]):
                return better
        return found.term

    def _convened(self, term: Term, status: Status, clause: Clause) -> Status:
        """Return the status of a finding that is present after the conventions have had their say."""
        if term.weak and (clause.normal or clause.negation):
            return "negated"
        if not self.conventions.counts(term.group) or (status == "hedged" and not self.conventions.hedges):
            return "waived"
        return status

    def _decide(
        self, words: Sequence[str], clauses: Sequence[Clause], mentions: Sequence[Mention]
    ) -> tuple[Label, str]:
        leading: dict[Status, Mention] = {}  # the first of each status, rather one that can be named
        for mention in mentions:
            held = leading.get(mention.status)
            if held is None or (held.detail == "generic" and mention.detail != "generic"):
                leading[mention.status] = mention
        for status, label in _OUTCOMES if leading else ():
            if status in leading:
                return label, f"{status}:{leading[status].finding}"
        for clause in clauses:
            if clause.normal:
                return "normal", f"normal-phrase:{clause.normal}"
        non_finding = next((clause.non_finding for clause in clauses if clause.non_finding), "")
        denied = next((clause.negation for clause in clauses if clause.negation), "")
        if denied and not non_finding:
            return "normal", f"negated:{denied}"
        if non_finding:
            return "uncertain", f"non-finding:{non_finding}"
        unchanged = next((clause.unchanged for clause in clauses if clause.unchanged), "")
        if unchanged:
            return "uncertain", f"unchanged:{unchanged}"
        context = self.lexicon.context.scan(words)
        if context:
            return "uncertain", f"context:{' '.join(words[context[0].first : context[0].last])}"
        if sum(len(word) > 2 and word != "xxxx" for word in words) < _FEWEST_WORDS:
            return "uncertain", "fragment"
        return self.conventions.undecided, "undecided"


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
