"""Numbers as the page writes them.

Example:
    >>> decimal(0.81139), decimal(-0.0124), decimal(-0.0004), decimal(None)
    ('0.811', '−0.012', '0.000', 'n/a')
    >>> p_value(0.0312), p_value(1e-9), p_value(None)
    ('0.031', '< 0.001', 'n/a')
    >>> count(22433), count(None)
    ('22,433', 'n/a')
    >>> setting(0.123456), setting(-12.3456)
    ('0.1235', '−12.35')
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from offclip.evaluation.number_style import NumberStyle
from offclip.evaluation.statistics.estimate import Estimate

NOTHING = "n/a"
_STYLE = NumberStyle(missing=NOTHING, leading_zero=True, minus="−", less="< ")

decimal, p_value, count, setting = _STYLE.decimal, _STYLE.p_value, _STYLE.count, _STYLE.setting


def signed(value: float | None, digits: int = 3) -> str:
    """A difference, with its sign.

    Example:
        >>> signed(0.0124), signed(-0.0124), signed(0.0001)
        ('+0.012', '−0.012', '0.000')
    """
    shown = decimal(value, digits)
    return f"+{shown}" if value is not None and value > 0 and shown.strip("0.") else shown


def percent(value: float | None) -> str:
    """A share.

    Example:
        >>> percent(0.2194), percent(0.999), percent(1.0), percent(0.0004)
        ('21.9 %', '99.9 %', '100 %', '0.04 %')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    share = 100 * value
    digits = 2 if 0 < share < 0.1 or 99.9 < share < 100 else 1
    shown = f"{share:.{digits}f}"
    return ("100" if share == 100 else "0" if share == 0 else shown).replace("-", "−") + " %"


def target(sensitivity: float) -> str:
    """A sensitivity that was asked for.

    Example:
        >>> target(0.95), target(0.999)
        ('95 %', '99.9 %')
    """
    return f"{100 * sensitivity:.6g} %"


def bounds(estimate: Estimate | None, digits: int = 3) -> str:
    """The interval alone; empty where there is none.

    Example:
        >>> bounds(Estimate(0.811, 0.803, 0.817)), bounds(Estimate(0.01, -0.02, 0.04)), bounds(None)
        ('0.803–0.817', '−0.020 to 0.040', '')
    """
    if not has_bounds(estimate) or estimate is None:
        return ""
    between = " to " if estimate.low < 0 else "–"
    return f"{decimal(estimate.low, digits)}{between}{decimal(estimate.high, digits)}"


def percent_bounds(estimate: Estimate | None) -> str:
    """The interval of a share; empty where there is none.

    Example:
        >>> percent_bounds(Estimate(0.219, 0.2, 0.241))
        '20.0–24.1 %'
    """
    if not has_bounds(estimate) or estimate is None:
        return ""
    return f"{percent(estimate.low).removesuffix(' %')}–{percent(estimate.high)}"


def has_bounds(estimate: Estimate | None) -> bool:
    """Whether there is an interval."""
    return estimate is not None and math.isfinite(estimate.low) and math.isfinite(estimate.high)


def with_bounds(estimate: Estimate | None, digits: int = 3) -> str:
    """A number with its interval.

    Example:
        >>> with_bounds(Estimate(0.811, 0.803, 0.817))
        '0.811 (0.803–0.817)'
    """
    if estimate is None:
        return NOTHING
    interval = bounds(estimate, digits)
    return decimal(estimate.value, digits) + (f" ({interval})" if interval else "")


def percent_with_bounds(estimate: Estimate | None) -> str:
    """A share with its interval."""
    if estimate is None:
        return NOTHING
    interval = percent_bounds(estimate)
    return percent(estimate.value) + (f" ({interval})" if interval else "")


def plural(number: int | None, one: str, many: str = "") -> str:
    """A number of things with their name.

    Example:
        >>> plural(1, "study", "studies"), plural(1200, "case")
        ('1 study', '1,200 cases')
    """
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def listed(items: Sequence[str]) -> str:
    """Words in a sentence.

    Example:
        >>> listed(["a"]), listed(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def plain(name: str) -> str:
    """A name of the results, such as that of a finding, as people write it.

    Example:
        >>> plain("Pleural_Thickening"), plain("hit_rate")
        ('Pleural Thickening', 'hit rate')
    """
    return name.replace("_", " ")
