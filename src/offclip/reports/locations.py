"""Where a finding is: side and zone from the words around it."""

from offclip.reports.labels import Mention
from offclip.reports.lexicon import Cue, Lexicon
from offclip.reports.phrases import tokenize

_BARRIERS = frozenset({",", ";", ".", ":"})
_JOINTS = frozenset({"and", "or", "versus", "vs", "/"})
_SIDES = frozenset({"left", "right", "bilateral"})
_ZONES = frozenset({"upper", "mid", "lower"})


def location_of(sentence: str, mention: Mention, lexicon: Lexicon) -> str:
    """Return side and zone of a finding, such as `"left lower lung"`, or an empty string.

    Words before the finding count first ("small left pleural effusion"), up to a comma or another finding;
    what they leave open is taken from the words behind it ("consolidation in the left lower lobe"). A
    sentence with a single finding may name the place anywhere.

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
    words = tokens.words
    first = next((i for i, span in enumerate(tokens.spans) if span[1] > mention.start), len(words))
    last = next((i for i, span in enumerate(tokens.spans) if span[0] >= mention.end), len(words))
    walls = {i for i, word in enumerate(words) if word in _BARRIERS}
    others: set[int] = set()  # where other findings begin
    for match in lexicon.index.scan(words):
        if isinstance(match.payload, Cue):
            if match.payload.kind == "terminator":
                walls.update(range(match.first, match.last))
        elif match.first == last:
            last = match.last  # "streaky opacities": two words of one thing
        elif match.first >= last or match.last <= first:
            walls.update(range(match.first, match.last))
            others.add(match.first)
    before = max((i + 1 for i in walls if i < first), default=0)
    after = min((i for i in walls if i >= last), default=len(words))
    if after in others:
        # "cardiomegaly and left effusion": what follows "and" belongs to the next finding.
        after = min((i for i in range(last, after) if words[i] in _JOINTS), default=after)
    # The finding's own words may name the place ("bibasilar opacity"); then outward, nearest first.
    scan = lexicon.places.scan
    near = [*scan(words[first:last]), *reversed(scan(words[before:first])), *scan(words[last:after])]
    return _join([match.payload for match in near]) or (
        "" if others else _join([match.payload for match in scan(words)])
    )


def _join(places: list[str]) -> str:
    """Combine places, nearest first, into one."""
    side, zone, organ = "", "", ""
    for place in places:
        parts = place.split()
        other = next((part for part in parts if part in _SIDES), "")
        if other and side and other != side:
            break  # the other side's words belong to another finding
        side = side or other
        zone = zone or next((part for part in parts if part in _ZONES), "")
        organ = organ or ("lung" if "lung" in parts else "")
    # "of lung" alone says nothing.
    return " ".join(part for part in (side, zone, organ) if part) if side or zone else ""
