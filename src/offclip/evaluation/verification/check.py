"""One line of what was checked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked, and what came out.

    Attributes:
        name: What was checked.
        passed: Whether it is as it should be.
        found: What was found or measured.
        expected: What should have been, or the largest difference allowed.
    """

    name: str
    passed: bool
    found: str
    expected: str = ""


def difference(name: str, measured: float, allowed: float) -> Check:
    """A number that must not be larger than another; one that is not finite fails.

    Example:
        >>> difference("logits", 2e-6, 1e-5)
        Check(name='logits', passed=True, found='2.0e-06', expected='<= 1.0e-05')
    """
    return Check(name, measured <= allowed, f"{measured:.1e}", f"<= {allowed:.1e}")
