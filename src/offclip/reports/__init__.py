"""Report text to labelled pairs: sections, sentences, findings, labels, prompts. Pure Python, no torch.

Example:
    >>> from offclip.reports import label_report, label_sentence
    >>> label_sentence("No pleural effusion.").label
    'normal'
    >>> label_report("FINDINGS: Clear lungs. IMPRESSION: Normal chest.").label
    'normal'
"""

from offclip.reports.conventions import DEFAULT_CONVENTIONS, Conventions
from offclip.reports.labels import BatchLabeller, Label, Mention, SentenceLabel, SentenceLabeller, Statement
from offclip.reports.lexicon import Lexicon, load_lexicon
from offclip.reports.pairs import (
    LabelledSentence,
    ReportLabel,
    ReportLabeller,
    label_report,
    pair_label,
    pair_sentences,
)
from offclip.reports.prompts import NO_FINDING, prompt_for
from offclip.reports.reading import sentences_of
from offclip.reports.rules import RuleLabeller, label_sentence
from offclip.reports.sections import Section, find_sections, reading_sections
from offclip.reports.sentences import Sentence, split_sentences
from offclip.reports.vocabulary import LABEL_SETS, classes_named, load_vocabulary

__all__ = [
    "DEFAULT_CONVENTIONS",
    "LABEL_SETS",
    "NO_FINDING",
    "BatchLabeller",
    "Conventions",
    "Label",
    "LabelledSentence",
    "Lexicon",
    "Mention",
    "ReportLabel",
    "ReportLabeller",
    "RuleLabeller",
    "Section",
    "Sentence",
    "SentenceLabel",
    "SentenceLabeller",
    "Statement",
    "classes_named",
    "find_sections",
    "label_report",
    "label_sentence",
    "load_lexicon",
    "load_vocabulary",
    "pair_label",
    "pair_sentences",
    "prompt_for",
    "reading_sections",
    "sentences_of",
    "split_sentences",
]
