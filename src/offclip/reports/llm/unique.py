"""The sentences of many reports, each once: reports repeat themselves, and a model is paid by the word."""

from collections.abc import Iterable

from offclip.errors import DataError
from offclip.reports.reading import sentences_of


def one_line(sentence: str) -> str:
    r"""Put a sentence on one line; what cannot be encoded becomes a question mark.

    Two sentences that differ in white space alone are the same question to the model.

    Example:
        >>> one_line(" The lungs\n  are clear. ")
        'The lungs are clear.'
    """
    return " ".join(sentence.encode("utf-8", "replace").decode("utf-8").split())


def unique_sentences(texts: Iterable[str]) -> list[str]:
    """Return the different sentences of findings and impression of reports, in order of appearance.

    Args:
        texts: Reports; those that labelling refuses, such as Spanish ones, give nothing.

    Example:
        >>> unique_sentences(["FINDINGS: Clear lungs. No effusion.", "IMPRESSION: Clear  lungs."])
        ['Clear lungs.', 'No effusion.']
    """
    seen: dict[str, None] = {}
    for text in texts:
        try:
            sentences = sentences_of(text)
        except DataError:
            continue
        for sentence, _ in sentences:
            seen.setdefault(one_line(sentence.text))
    return list(seen)
