"""The word lists that the comparison of labellers hands to the other packages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from offclip.reports import load_lexicon
from offclip.reports.lexicon import Term
from offclip.reports.phrases import tokenize


@dataclass(frozen=True, slots=True)
class WordList:
    """What a package looks for.

    Attributes:
        name: For the table.
        findings: Phrases that name a finding, lower case.
        neutral: Phrases that contain a finding's word and name none; the longer phrase wins.
    """

    name: str
    findings: tuple[str, ...]
    neutral: tuple[str, ...] = ()


# Our own phrases for the observations that CheXpert's labeller knows: no devices beyond "support devices", no
# old or degenerative change.
CHEXPERT_STYLE = WordList(
    "CheXpert-style",
    (
        *(
            "cardiomegaly",
            "enlarged heart",
            "heart is enlarged",
            "cardiac enlargement",
            "heart size is enlarged",
        ),
        *(
            "enlarged cardiac silhouette",
            "cardiac silhouette is enlarged",
            "enlarged cardiomediastinal silhouette",
        ),
        *("mediastinal widening", "widened mediastinum", "mediastinum is widened", "mediastinal enlargement"),
        *("opacity", "opacities", "opacification", "infiltrate", "infiltrates", "infiltration"),
        *("airspace disease", "air space disease", "interstitial markings", "reticular pattern", "hazy"),
        *("nodule", "nodules", "nodular density", "mass", "masses", "lesion", "lesions", "tumor", "neoplasm"),
        *("cavitary lesion", "metastasis", "metastases", "malignancy", "carcinoma"),
        *("edema", "congestive heart failure", "heart failure", "chf", "vascular congestion"),
        *("pulmonary congestion", "vascular prominence", "vascular engorgement"),
        *("consolidation", "consolidations", "pneumonia", "infection", "infectious process"),
        *("atelectasis", "atelectatic", "collapse", "volume loss", "atelectases"),
        *("pneumothorax", "pneumothoraces", "pleural effusion", "pleural effusions", "effusion", "effusions"),
        *("pleural fluid", "pleural thickening", "pleural scarring", "fibrothorax", "blunting"),
        *("fracture", "fractures", "rib fracture", "rib fractures"),
        *(
            "pacemaker",
            "picc",
            "catheter",
            "central line",
            "endotracheal tube",
            "nasogastric tube",
            "chest tube",
        ),
        *("icd", "defibrillator", "port a cath", "valve replacement", "sternotomy wires"),
    ),
)


def own_lexicon(texts: Iterable[str], *, weak: bool) -> WordList:
    """Writes out offclip's lexicon as the plain phrases with which it speaks in these texts.

    The wildcards of the lexicon are offclip's own; other packages match words. So every phrase that the
    lexicon takes for a finding anywhere in the texts becomes a phrase of the list, whether it is denied there
    or not. No label is looked at. A hyphen is a blank here, so the packages get their texts without hyphens.

    Args:
        texts: Reports and sentences.
        weak: With the words that offclip counts only where nothing beside them says normal ("changes").

    Example:
        >>> own_lexicon(["No pleural effusion. Air-space opacities."], weak=False).findings
        ('air space opacities', 'pleural effusion')
    """
    index = load_lexicon().index
    findings, neutral = set(), set()
    for text in texts:
        words = tokenize(text)
        for match in index.scan(words):
            phrase = " ".join(words[match.first : match.last])
            if isinstance(match.payload, Term):
                if weak or not match.payload.weak:
                    findings.add(phrase)
            elif match.payload.kind == "neutral":
                neutral.add(phrase)
    return WordList("offclip's lexicon", tuple(sorted(findings)), tuple(sorted(neutral - findings)))
