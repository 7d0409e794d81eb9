"""Where a finding is: side and zone from the words around it."""

from offclip.reports.labels import Mention
from offclip.reports.lexicon import Cue, Lexicon
from offclip.reports.phrases import tokenize

_BARRIERS = frozenset({",", ";", ".", ":"})


def location_of(sentence: str, mention: Mention, lexicon: Lexicon) -> str:
    """Return side and zone of a finding, such as `"left lower lung"`, or an empty string.

    Words before the finding count first ("small left pleural effusion"), up to a comma or another finding;
    what they leave open is taken from the words behind it ("consolidation in the left lower lobe").

    Args:
        sentence: The sentence.
        mention: A finding in it.
        lexicon: Gives the words for sides and zones.

    Returns:
        Some of side ("left", "right", "bilateral"), zone ("upper", "mid", "lower") and "lung".

    Example:
        >>> from offclip.reports.lexicon import load_lexicon
        >>> from offclip.reports.rules import label_sentence
        >>> text = "Consolidation in the left lower lobe."
        >>> location_of(text, label_sentence(text).mentions[0], load_lexicon())
        'left lower lung'
    """
    tokens = tokenize(sentence)
    first = next((i for i, span in enumerate(tokens.spans) if span[1] > mention.start), len(tokens.spans))
    last = next((i for i, span in enumerate(tokens.spans) if span[0] >= mention.end), len(tokens.spans))
    # Findings, turns of the sentence and commas bound the words that can belong to this finding.
    walls = [i for i, word in enumerate(tokens.words) if word in _BARRIERS]
    findings = set()
    for match in lexicon.index.scan(tokens.words):
        payload = match.payload
        elsewhere = match.last <= first or match.first >= last
        if elsewhere and (not isinstance(payload, Cue) or payload.kind == "terminator"):
            walls += range(match.first, match.last)
            if not isinstance(payload, Cue):
                findings.add(match.first)
    before = max((i + 1 for i in walls if i < first), default=0)
    after = min((i for i in walls if i >= last), default=len(tokens.words))
    if after in findings:
        # "cardiomegaly and left effusion": what follows "and" belongs to the next finding.
        after = min((i for i in range(last, after) if tokens.words[i] in _JOINTS), default=after)
    side, zone, organ = "", "", ""
    # The finding's own words may name the place ("bibasilar opacity"); then outward, nearest first.
    inside = lexicon.places.scan(tokens.words[first:last])
    left = lexicon.places.scan(tokens.words[before:first])
    right = lexicon.places.scan(tokens.words[last:after])
    for match in (*inside, *reversed(left), *right):
        parts = match.payload.split()
        other = next((part for part in parts if part in _SIDES), "")
        if other and side and other != side:
            break  # the other side's words belong to another finding
        side = side or other
        zone = zone or next((part for part in parts if part in _ZONES), "")
        organ = organ or ("lung" if "lung" in parts else "")
    if not side and not zone:
        return ""  # "of lung" says nothing
    return " ".join(part for part in (side, zone, organ) if part)


_JOINTS = frozenset({"and", "or", "versus", "vs", "/"})
_SIDES = frozenset({"left", "right", "bilateral"})
_ZONES = frozenset({"upper", "mid", "lower"})
