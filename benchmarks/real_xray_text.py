"""Weak pairing: a made-up report for an image that has labels only, out of real Open-I sentences.

A normal image gets the text of one report that its human coders called normal. An abnormal image gets, for
each of its findings, one sentence that asserts it, and the normal sentences of one abnormal report, except
those that deny a finding of the image. The text is real and the images are real; that they belong together
is not. Every result on such pairs says "weak pairing".
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from offclip.reports import SentenceLabel, label_report, label_sentence

# NIH ChestX-ray14 -> the labeller's name for it, which is what a prompt asks about.
CANONICAL = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Effusion": "pleural effusion",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Hernia": "hiatal hernia",
    "Infiltration": "infiltration",
    "Mass": "mass",
    "Nodule": "nodule",
    "Pleural_Thickening": "pleural thickening",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
}
FINDINGS = tuple(CANONICAL.values())

# Names of one shadow in the lung: who denies one of them denies the others.
_LUNG_SHADOW = frozenset(
    (
        "consolidation",
        "airspace disease",
        "infiltration",
        "pneumonia",
        "infection",
        "opacity",
        "edema",
        "vascular congestion",
        "interstitial opacity",
    )
)
_FOCUS = frozenset(("mass", "nodule", "nodular opacity", "lesion", "malignancy"))
# Signs that stand beside a named finding without being another one.
_SIGNS = frozenset(
    (
        "opacity",
        "airspace disease",
        "interstitial opacity",
        "nodular opacity",
        "costophrenic angle blunting",
        "vascular congestion",
        "abnormality",
        "other abnormality",
        "low lung volumes",
    )
)
# "The lungs are clear", "no acute abnormality": denies any finding at all.
_DENIES_ALL = re.compile(
    r"\b(?:lungs?|lung fields?|airspaces?|pleural spaces?)\b.*\b(?:clear|normal|unremarkable)\b"
    r"|\bclear lungs?\b|\b(?:no|without|negative for)\b"
    r".*\b(?:acute|active|cardiopulmonary|pulmonary|abnormalit|finding|disease|process)"
    r"|\bnormal\b.*\b(?:chest|examination|exam|study|radiograph|x-?ray)\b|\bheart and lungs\b",
    re.IGNORECASE,
)
_BONES = re.compile(r"\b(?:bon[ey]|osseous|skelet|spine|ribs?\b|fractures?\b)", re.IGNORECASE)
_UNUSABLE = "Technical Quality of Image Unsatisfactory"


@dataclass(frozen=True, slots=True)
class Asserting:
    """A sentence that asserts findings.

    Attributes:
        text: As written.
        findings: Everything that it says is present.
    """

    text: str
    findings: frozenset[str]


@dataclass(frozen=True, slots=True)
class SentenceBank:
    """What reports are composed of.

    Attributes:
        normal_reports: Whole texts of reports coded as normal.
        asserting: For each finding the unique sentences whose prompt names it.
        normal_sentences: For each report coded as abnormal its normal sentences.
    """

    normal_reports: tuple[str, ...]
    asserting: dict[str, tuple[Asserting, ...]]
    normal_sentences: tuple[tuple[str, ...], ...]


def read_bank(folder: Path, leave_out: Iterable[str] = ()) -> SentenceBank:
    """Reads the Open-I reports.

    Args:
        folder: Holds metadata.csv.
        leave_out: Ids of reports that something else is measured on.
    """
    left_out = set(leave_out)
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["uid"] not in left_out]
    reports = []
    for row in rows:
        parts = [
            f"{part.upper()}: {row[part].strip()}" for part in ("findings", "impression") if row[part].strip()
        ]
        if parts and row["abnormal_annotation"] and row["mesh_major"].strip() != _UNUSABLE:
            reports.append(("\n".join(parts), row["abnormal_annotation"] == "1"))
    return make_bank(reports)


def make_bank(reports: Sequence[tuple[str, bool]]) -> SentenceBank:
    """Sorts the sentences of (text, abnormal) reports."""
    asserting: dict[str, dict[str, Asserting]] = {finding: {} for finding in FINDINGS}
    normal_sentences = []
    for text, abnormal in reports:
        sentences = label_report(text).sentences
        for sentence in sentences:
            named = next((f for f in FINDINGS if re.match(rf"There is {f}\b", sentence.prompt)), None)
            if sentence.label == "abnormal" and named:
                present = stated(label_sentence(sentence.text), "asserted", "hedged")
                if named in stated(label_sentence(sentence.text), "asserted"):
                    asserting[named][sentence.text] = Asserting(sentence.text, present)
        normal = tuple(s.text for s in sentences if s.label == "normal")
        if abnormal and normal:
            normal_sentences.append(normal)
    normal_reports = tuple(text for text, abnormal in reports if not abnormal)
    return SentenceBank(
        normal_reports, {f: tuple(s.values()) for f, s in asserting.items()}, tuple(normal_sentences)
    )


def compose_report(bank: SentenceBank, findings: Sequence[str], seed: str) -> str:
    """The report of one image; the same seed gives the same text.

    Args:
        bank: The sentences.
        findings: Canonical names of what the image shows; none means normal.
        seed: Such as "0:<image id>".
    """
    rng = random.Random(seed)
    if not findings:
        return rng.choice(bank.normal_reports)
    present = frozenset(findings)
    chosen = [sentence for finding in findings if (sentence := _asserting(bank, finding, present, rng))]
    chosen += [s for s in rng.choice(bank.normal_sentences) if not denies(s, present)]
    rng.shuffle(chosen)
    return "FINDINGS: " + " ".join(f"{sentence.rstrip(' .')}." for sentence in chosen)


def denies(sentence: str, present: Iterable[str]) -> bool:
    """Whether a sentence denies one of the findings that are present, by name, by kind, or all at once.

    Example:
        >>> denies("No pleural effusion or pneumothorax.", ["pneumothorax"])
        True
        >>> denies("No pleural effusion.", ["cardiomegaly"])
        False
    """
    present = set(present)
    label = label_sentence(sentence)
    denied = set(stated(label, "negated"))
    if label.label == "normal" and re.search(
        r"\b(?:heart|cardiac|cardiomediastinal|cardio)", sentence, re.IGNORECASE
    ):
        denied.add("cardiomegaly")
    if label.label == "normal" and re.search(r"\bpleura", sentence, re.IGNORECASE):
        denied |= {"pleural effusion", "pleural thickening", "pneumothorax"}
    for family in (_LUNG_SHADOW, _FOCUS):
        if denied & family:
            denied |= family
    if "hernia" in denied:
        denied.add("hiatal hernia")
    denies_all = label.label == "normal" and _DENIES_ALL.search(sentence) and not _BONES.search(sentence)
    return bool(denied & present) or bool(denies_all)


def stated(label: SentenceLabel, *statuses: str) -> frozenset[str]:
    """The findings that a sentence mentions with one of these statuses."""
    return frozenset(mention.finding for mention in label.mentions if mention.status in statuses)


def _asserting(bank: SentenceBank, finding: str, present: frozenset[str], rng: random.Random) -> str | None:
    """A sentence that asserts the finding, if possible nothing that the image does not show."""
    usable = [s for s in bank.asserting[finding] if not denies(s.text, present)]
    clean = [s for s in usable if s.findings <= present | _SIGNS]
    return rng.choice(clean or usable).text if usable else None
