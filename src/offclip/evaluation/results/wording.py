"""How tables and cards write numbers: three decimals, no zero before the point, intervals in brackets.

Example:
    >>> decimal(0.8114), decimal(1.0), decimal(-0.0124), decimal(2.5), decimal(None), decimal(-1e-9)
    ('.811', '1.000', '-.012', '2.500', '-', '.000')
    >>> p_value(0.0321), p_value(0.00001), p_value(1.0), p_value(None)
    ('.032', '<.001', '1.000', '-')
    >>> count(22433), count(10.0), count(None)
    ('22,433', '10', '-')
    >>> setting(0.123456), setting(-12.34567), setting(3.0), setting(None)
    ('0.1235', '-12.35', '3', '-')
"""

from __future__ import annotations

import math

from offclip.evaluation.number_style import NumberStyle
from offclip.evaluation.statistics.estimate import Estimate

MISSING = "-"
_STYLE = NumberStyle(missing=MISSING, leading_zero=False, minus="-", less="<")

decimal, p_value, count, setting = _STYLE.decimal, _STYLE.p_value, _STYLE.count, _STYLE.setting


def interval(value: Estimate | None) -> str:
    """A number with its interval.

    Example:
        >>> interval(Estimate(0.811, 0.803, 0.817)), interval(Estimate(0.005, -0.002, 0.012))
        ('.811 (.803-.817)', '.005 (-.002 to .012)')
        >>> interval(Estimate(0.811, float("nan"), float("nan"))), interval(None)
        ('.811', '-')
    """
    if value is None:
        return MISSING
    if not (math.isfinite(value.low) and math.isfinite(value.high)):
        return decimal(value.value)
    low, high = decimal(value.low), decimal(value.high)
    between = " to " if low.startswith("-") or high.startswith("-") else "-"
    return f"{decimal(value.value)} ({low}{between}{high})"
