"""Whether a set can carry the claim that a rule keeps so much of the abnormal cases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from offclip.errors import InputError

Verdict = Literal["supported", "not supported", "refused"]


@dataclass(frozen=True, slots=True)
class Claim:
    """The verdict on "the sensitivity is at least so much", with its reason in words."""

    verdict: Verdict
    reason: str


def abnormals_needed(sensitivity: float, level: float = 0.95) -> int:
    """The least number of abnormal cases that can support a sensitivity, when none of them is missed.

    With n of n kept, the lower Clopper-Pearson limit is (a/2)^(1/n) with a = 1 - level; the answer is the
    least n for which it reaches the sensitivity: 72 for 95 %, 183 for 98 %, 368 for 99 %, 736 for 99.5 %,
    3,688 for 99.9 %. (The shortcut -ln(a/2) / (1 - sensitivity) gives 369, 738 and 3,689 for the last three.)

    Raises:
        InputError: The sensitivity is not between 0 and 1.

    Example:
        >>> [abnormals_needed(s) for s in (0.95, 0.98, 0.99, 0.995, 0.999)]
        [72, 183, 368, 736, 3688]
    """
    if not 0 < sensitivity < 1:
        raise InputError(f"The sensitivity is {sensitivity:g}.", "Give a share between 0 and 1.")
    tail = (1 - level) / 2
    return max(1, math.ceil(math.log(tail) / math.log(sensitivity) - 1e-9))


def judge(sensitivity: float, reached: float, low: float, abnormals: int) -> Claim:
    """Judges the claim that a rule keeps at least this share of the abnormal cases.

    Args:
        sensitivity: What is claimed.
        reached: Share kept on the set.
        low: Lower 95 % limit of that share.
        abnormals: Number of abnormal cases of the set.

    Example:
        >>> judge(0.99, 1.0, 0.9638, 100).reason
        '100 abnormal cases cannot show 99 %, even with none missed: 368 are needed'
        >>> judge(0.95, 0.97, 0.9412, 500).verdict, judge(0.95, 0.97, 0.9512, 900).verdict
        ('not supported', 'supported')
    """
    needed = abnormals_needed(sensitivity)
    target = percent(sensitivity)
    if abnormals < needed:
        return Claim(
            "refused",
            f"{abnormals:,} abnormal cases cannot show {target}, even with none missed: "
            f"{needed:,} are needed",
        )
    limit = (
        f"{100 * reached:.2f} % of {abnormals:,} abnormal cases are kept, "
        f"and the lower limit is {100 * low:.2f} %"
    )
    if low < sensitivity:
        return Claim("not supported", f"{limit}, below {target}")
    return Claim("supported", f"{limit}, not below {target}")


def percent(share: float) -> str:
    """A share as it is written in sentences.

    Example:
        >>> percent(0.95), percent(0.999)
        ('95 %', '99.9 %')
    """
    return f"{100 * share:.6g} %"
