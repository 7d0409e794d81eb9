"""Where a finding is and how severe: side, zone and severity from the words around it."""

from collections.abc import Sequence

from offclip.reports.lexicon import SIDES, ZONES, Attribute, Cue, Term
from offclip.reports.phrases import Match

_BARRIERS = frozenset({",", ";", ".", ":"})
_JOINTS = frozenset({"and", "or", "versus", "vs", "/"})


class Surroundings:
    """The words of a sentence that can belong to a finding, and the walls between them.

    Args:
        words: The sentence in words.
        matches: Cues and findings in it.
        attributes: Places and severities in it.

    Example:
        >>> from offclip.reports.lexicon import load_lexicon
        >>> from offclip.reports.phrases import tokenize
        >>> words, lexicon = tokenize("Mild consolidation in the left lower lobe."), load_lexicon()
        >>> matches = lexicon.index.scan(words)
        >>> around = Surroundings(words, matches, lexicon.attributes.scan(words))
        >>> around.of(matches[0].first, matches[0].last)
        ('left lower lung', 'mild')
    """

    def __init__(
        self,
        words: Sequence[str],
        matches: Sequence[Match[Cue | Term]],
        attributes: Sequence[Match[Attribute]],
    ) -> None:
        self.words = words
        self.attributes = attributes
        self.findings: list[tuple[int, int]] = []
        self.walls = [(i, i + 1) for i, word in enumerate(words) if word in _BARRIERS]
        for payload, first, last in matches:
            if isinstance(payload, Term):
                self.findings.append((first, last))
            elif payload.kind == "terminator":
                self.walls.append((first, last))

    def of(self, first: int, last: int) -> tuple[str, str]:
        """Return location and severity of the finding that is words `first` to `last`.

        Words before the finding count first ("small left pleural effusion"), up to a comma or another
        finding; what they leave open is taken from the words behind it ("consolidation in the left lower
        lobe"). A sentence with a single finding may name the place anywhere.

        Returns:
            The location, some of side, zone and "lung" as in `"left lower lung"`, and the severity; each
            may be empty.
        """
        before, after, wall_is_finding, alone = 0, len(self.words), False, True
        for begin, end in self.findings:
            if begin == last:
                last = end  # "streaky opacities": two words of one thing
            elif end <= first:
                before, alone = end, False
            elif begin > last:
                after, wall_is_finding, alone = begin, True, False
                break
        for begin, end in self.walls:
            if begin < first:
                before = max(before, end)
            elif last <= begin < after:
                after, wall_is_finding = begin, False
        if wall_is_finding:
            # "cardiomegaly and left effusion": what follows "and" belongs to the next finding.
            after = next((i for i in range(last, after) if self.words[i] in _JOINTS), after)
        # The finding's own words may name the place ("bibasilar opacity"); then outward, nearest first.
        own: list[Attribute] = []
        ahead: list[Attribute] = []
        behind: list[Attribute] = []
        for attribute, begin, _ in self.attributes:
            if before <= begin < first:
                ahead.append(attribute)
            elif first <= begin < last:
                own.append(attribute)
            elif last <= begin < after:
                behind.append(attribute)
        ahead.reverse()
        near = own + ahead + behind
        if near:
            location = _join(near)
            severity = next((a.value for a in near if a.kind == "severity"), "")
        else:
            location = severity = ""
        if not location and alone:
            location = _join([match.payload for match in self.attributes])
        return location, severity


def _join(attributes: Sequence[Attribute]) -> str:
    """Combine places, nearest first, into one."""
    side, zone, organ = "", "", ""
    for attribute in attributes:
        if attribute.kind != "place":
            continue
        parts = attribute.value.split()
        other = next((part for part in parts if part in SIDES), "")
        if other and side and other != side:
            break  # the other side's words belong to another finding
        side = side or other
        zone = zone or next((part for part in parts if part in ZONES), "")
        organ = organ or ("lung" if "lung" in parts else "")
    # "of lung" alone says nothing.
    return " ".join(part for part in (side, zone, organ) if part) if side or zone else ""
