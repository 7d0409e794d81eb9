"""How numbers are written for people: three decimals, no zero before the point, intervals in brackets."""

from __future__ import annotations

import math

from offclip.evaluation.statistics.estimate import Estimate

MISSING = "-"


def decimal(value: float | None, digits: int = 3) -> str:
    """A measure, without the zero before its point.

    Example:
        >>> decimal(0.8114), decimal(1.0), decimal(-0.0124), decimal(2.5), decimal(None), decimal(-1e-9)
        ('.811', '1.000', '-.012', '2.500', '-', '.000')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    shown = f"{value:.{digits}f}"
    if float(shown) == 0:
        shown = shown.lstrip("-")
    return shown.replace("0.", ".", 1) if shown.startswith(("0.", "-0.")) else shown


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


def p_value(value: float | None) -> str:
    """A p-value; what is smaller than a thousandth is said to be so.

    Example:
        >>> p_value(0.0321), p_value(0.00001), p_value(1.0), p_value(None)
        ('.032', '<.001', '1.000', '-')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    return "<.001" if value < 0.001 else decimal(value)


def count(value: float | None) -> str:
    """A whole number with its thousands apart.

    Example:
        >>> count(22433), count(None)
        ('22,433', '-')
    """
    return MISSING if value is None else f"{value:,.0f}"


def setting(value: float | None) -> str:
    """A threshold or a parameter: four digits that count.

    Example:
        >>> setting(0.123456), setting(-12.34567), setting(3.0), setting(None)
        ('0.1235', '-12.35', '3', '-')
    """
    return MISSING if value is None or not math.isfinite(value) else f"{value:.4g}"
