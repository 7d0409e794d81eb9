"""Turns a labelled sentence into a prompt, the form in which a CLIP model is asked.

Training text needs sentences in the shape of the prompts used later: a model that never saw "There is no
finding." answers it at random.
"""

import re

from offclip.reports.labels import Mention, SentenceLabel

NO_FINDING = "There is no finding."
# Between a sign and a finding, these say that the finding does not explain the sign.
_APART = re.compile(r"[,;.]|\b(?:and|with|or)\b", re.IGNORECASE)
_BLANKS = re.compile(r"(?:\s|<br\s{0,2}/?>)+", re.IGNORECASE)


def prompt_for(sentence: str, label: SentenceLabel) -> str:
    """Write a sentence as a prompt.

    Args:
        sentence: The sentence as written.
        label: Its label, with the findings it names.

    Returns:
        For an abnormal sentence `"There is <finding> of <location>."`, or `"There is <finding>."` without a
        location; for a normal one `"There is no <finding>."`, or `"There is no finding."` if it names none.
        Otherwise, or if the finding is too vague to name, the sentence itself on one line.

    Example:
        >>> from offclip.reports.rules import label_sentence
        >>> for text in ("Small left effusion.", "No pneumothorax.", "Lungs are clear.", "AP view"):
        ...     print(prompt_for(text, label_sentence(text)))
        There is pleural effusion of left.
        There is no pneumothorax.
        There is no finding.
        AP view.
    """
    if label.label == "normal":
        for mention in label.mentions:
            if mention.status == "negated" and mention.detail != "generic":
                return f"There is no {mention.finding}."
        return NO_FINDING
    if label.label == "abnormal":
        mention, sign = _leading(label.mentions)
        if mention is not None:
            location = mention.location
            if not location and sign is not None and not _APART.search(sentence[sign.end : mention.start]):
                location = sign.location
            return (
                f"There is {mention.finding} of {location}." if location else f"There is {mention.finding}."
            )
    return clean(sentence)


def clean(sentence: str) -> str:
    r"""Put a sentence on one line and end it with a single period.

    Example:
        >>> clean(" Views  of the\nchest ..")
        'Views of the chest.'
    """
    line = _BLANKS.sub(" ", sentence).strip().rstrip(" .")
    return f"{line}." if line and line[-1] not in "!?" else line


def _leading(mentions: tuple[Mention, ...]) -> tuple[Mention | None, Mention | None]:
    """Return the finding to name, and the sign that it explains if there is one.

    What is asserted is named before what is only possible, and before a sign what explains it: "opacity ...
    reflects atelectasis" names atelectasis, "opacity ... may reflect atelectasis" the opacity.
    """
    for status in ("asserted", "hedged"):
        present = [m for m in mentions if m.status == status and m.detail != "generic"]
        if present:
            first = present[0]
            if first.detail == "sign" and status == "asserted":
                named = next((mention for mention in present if mention.detail == "named"), first)
                return named, None if named is first else first
            return first, None
    return None, None
