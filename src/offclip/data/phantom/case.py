"""One synthetic study: the picture, what it shows, and the report about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from offclip.data.phantom.acquisition import View
from offclip.data.phantom.findings import Finding, draw_findings
from offclip.data.phantom.render import Box, render
from offclip.data.phantom.streams import DEFAULT_FRACTIONS, Purpose, patient_number, split_of, stream
from offclip.data.phantom.text import STYLES, ReportSentence, Style, write_report
from offclip.errors import ConfigError

SMALLEST, LARGEST = 32, 2048


@dataclass(frozen=True, slots=True)
class PhantomCase:
    """A synthetic study with its truth.

    Attributes:
        study_id, patient_id, image_id: ``S000123``, ``P00098``, ``S000123_PA``.
        split: ``train``, ``validate`` or ``test``, by patient.
        view: ``PA`` or ``AP``.
        image: (size, size) 8-bit grey, bone white.
        findings: What the study shows; empty for a normal one.
        boxes: One box for each finding, in pixels of the image.
        report: The text of the report.
        sentences: The sentences of its findings and impression, with their true labels.
    """

    study_id: str
    patient_id: str
    image_id: str
    split: str
    view: View
    image: NDArray[np.uint8]
    findings: tuple[Finding, ...]
    boxes: tuple[Box, ...]
    report: str
    sentences: tuple[ReportSentence, ...]

    @property
    def normal(self) -> bool:
        """Whether the study shows no finding."""
        return not self.findings


def phantom_case(
    seed: int,
    index: int,
    size: int = 256,
    style: str = "icu",
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
) -> PhantomCase:
    """Make study ``index`` of the phantom ``seed``.

    The same seed and index give the same patient, findings and report at every size.

    Args:
        seed: Seed of the phantom, not negative.
        index: Number of the study, not negative.
        size: Side of the image in pixels, 32 to 2048.
        style: Style of the report, ``icu`` or ``neutral``.
        fractions: Shares of the patients in train, validate and test.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        >>> case = phantom_case(seed=0, index=3, size=64)
        >>> case.study_id, case.image.shape, case.image.dtype.name
        ('S000003', (64, 64), 'uint8')
        >>> len(case.boxes) == len(case.findings)
        True
    """
    check_arguments(seed, size, style, fractions)
    if index < 0:
        raise ConfigError(f"The index of a phantom study is {index}.", "Give an index of 0 or more.")
    findings = draw_findings(stream(seed, index, Purpose.FINDINGS))
    picture = render(seed, index, size, findings)
    report = write_report(findings, picture.view, cast(Style, style), stream(seed, index, Purpose.REPORT))
    patient = patient_number(seed, index)
    return PhantomCase(
        study_id=f"S{index:06d}",
        patient_id=f"P{patient:05d}",
        image_id=f"S{index:06d}_{picture.view}",
        split=split_of(seed, patient, fractions),
        view=picture.view,
        image=picture.image,
        findings=findings,
        boxes=picture.boxes,
        report=report.text,
        sentences=report.sentences,
    )


def check_arguments(seed: int, size: int, style: str, fractions: tuple[float, float, float]) -> None:
    """Refuse what cannot be a phantom.

    Raises:
        ConfigError: A value is out of range; the message says which and what to give instead.
    """
    if seed < 0:
        raise ConfigError(f"The seed is {seed}.", "Give a seed of 0 or more.")
    if not SMALLEST <= size <= LARGEST:
        raise ConfigError(
            f"A phantom of {size} pixels cannot be drawn.", f"Choose a size from {SMALLEST} to {LARGEST}."
        )
    if style not in STYLES:
        raise ConfigError(f"There is no report style '{style}'.", f"Choose one of {', '.join(STYLES)}.")
    if len(fractions) != 3 or min(fractions) < 0 or not np.isclose(sum(fractions), 1.0, atol=1e-6):
        raise ConfigError(
            f"The split fractions {tuple(fractions)} are not three shares of one whole.",
            "Give three numbers of 0 or more that add up to 1, such as 0.7 0.1 0.2.",
        )
