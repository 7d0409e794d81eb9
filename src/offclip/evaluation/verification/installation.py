"""Checks of an installation: packages, image decoders, preprocessing, and the numbers of CARZero."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec

from offclip.evaluation.verification.check import Check, difference
from offclip.models.carzero.parity import Size, deviations, expected_pictures, picture_crc

DECODERS = {"gdcm": "JPEG", "jpeg_ls": "JPEG-LS", "openjpeg": "JPEG 2000"}


def check_installation(*, full: bool = False) -> Iterator[Check]:
    """Yields the checks, the quick ones first.

    Args:
        full: Compute the model at the published geometry too: some 2 GB and half a minute on one core.
    """
    yield _packages()
    yield _decoders()
    yield _pictures()
    yield from _parity("tiny", "small CARZero")
    if full:
        yield from _parity("published", "whole CARZero")


def too_old(installed: str, lowest: str) -> bool:
    """Whether a version is below a bound; what stands behind the numbers is not looked at.

    Example:
        >>> too_old("2.10.0+cpu", "2.4"), too_old("1.9", "1.10")
        (False, True)
    """
    return _numbers(installed) < _numbers(lowest)


def _packages() -> Check:
    name = "core packages"
    try:
        requirements = metadata.requires("offclip") or []
    except metadata.PackageNotFoundError:
        return Check(name, False, "not installed, run from a folder", "pip install offclip")
    found = [match for line in requirements if (match := re.fullmatch(r"([\w.-]+)>=([\d.]+)", line))]
    problems = []
    for package, lowest in (match.groups() for match in found):
        try:
            installed = metadata.version(package)
        except metadata.PackageNotFoundError:
            problems.append(f"{package} is missing")
            continue
        if too_old(installed, lowest):
            problems.append(f"{package} {installed} is older than {lowest}")
    fine = f"{len(found)}; torch {metadata.version('torch')}"
    return Check(name, not problems, "; ".join(problems) or fine, "lower bounds")


def _decoders() -> Check:
    """Without them compressed DICOM files are refused with a reason, so that their absence is no failure."""
    name, wanted = "DICOM decoders (optional)", "offclip[dicom]"
    if find_spec("pydicom") is None:
        return Check(name, True, "no DICOM at all: pydicom is missing", wanted)
    missing = [what for module, what in DECODERS.items() if find_spec(module) is None]
    return Check(name, True, f"missing for {', '.join(missing)}" if missing else "present", wanted)


def _pictures() -> Check:
    pictures = expected_pictures()
    wrong = [picture for picture in pictures if picture_crc(picture) != picture.crc]
    sizes = ", ".join(f"{picture.height} x {picture.width}" for picture in wrong)
    found = f"other pixels at {sizes}" if wrong else f"{len(pictures)} pictures equal"
    return Check("preprocessing of CARZero", not wrong, found, "published pixels")


def _parity(size: Size, what: str) -> Iterator[Check]:
    weights, *outputs = deviations(size)
    yield Check(
        f"{what}: weights",
        weights.within,
        "equal bits" if weights.within else "other bits",
        "CRC-32 of all",
    )
    for deviation in outputs:
        yield difference(f"{what}: {deviation.output}", deviation.measured, deviation.allowed)


def _numbers(version: str) -> list[int]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return [int(part) for part in match[0].split(".")] if match else []
