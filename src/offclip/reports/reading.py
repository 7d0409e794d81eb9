"""The sentences of a report that labels are read from: those of findings and impression."""

from offclip.errors import DataError
from offclip.reports.header_names import SectionKind
from offclip.reports.language import check_supported
from offclip.reports.sections import reading_sections
from offclip.reports.sentences import Sentence, split_sentences


def sentences_of(text: str) -> list[tuple[Sentence, SectionKind]]:
    """Return the sentences of findings and impression, each with its section.

    Args:
        text: The report.

    Returns:
        Sentences in order, with their offsets in the report; empty if there is nothing to read.

    Raises:
        DataError: The report is empty, or not in English.

    Example:
        >>> report = "INDICATION: Cough. FINDINGS: Clear lungs. No effusion."
        >>> [(sentence.text, section) for sentence, section in sentences_of(report)]
        [('Clear lungs.', 'findings'), ('No effusion.', 'findings')]
    """
    if not isinstance(text, str) or not text.strip():
        raise DataError("The report has no text.", "Leave out studies without a report.")
    check_supported(text)
    return [
        (sentence, section.kind)
        for section in reading_sections(text)
        for sentence in split_sentences(text, section.start, section.end)
    ]
