"""How numbers are written for people, in the style of a table or of a page."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """One way of writing numbers.

    Attributes:
        missing: For a number that is not there or not finite.
        leading_zero: Write the zero before the point.
        minus: The sign of a negative measure or setting.
        less: What stands before a limit that a p-value is below.

    Example:
        >>> style = NumberStyle(missing="-", leading_zero=False, minus="-", less="<")
        >>> style.decimal(0.8114), style.p_value(0.00001), style.count(22433), style.setting(0.123456)
        ('.811', '<.001', '22,433', '0.1235')
    """

    missing: str
    leading_zero: bool
    minus: str
    less: str

    def decimal(self, value: float | None, digits: int = 3) -> str:
        """A measure; what rounds to zero has no sign."""
        if value is None or not math.isfinite(value):
            return self.missing
        shown = f"{value:.{digits}f}"
        if float(shown) == 0:
            shown = shown.lstrip("-")
        if not self.leading_zero and shown.startswith(("0.", "-0.")):
            shown = shown.replace("0.", ".", 1)
        return shown.replace("-", self.minus)

    def p_value(self, value: float | None) -> str:
        """A p-value; what is smaller than a thousandth is said to be so."""
        if value is None or not math.isfinite(value):
            return self.missing
        return f"{self.less}{self.decimal(0.001)}" if value < 0.001 else self.decimal(value)

    def count(self, value: float | None) -> str:
        """A number of things, its thousands apart."""
        if value is None:
            return self.missing
        return f"{value:,.0f}" if isinstance(value, float) else f"{value:,}"

    def setting(self, value: float | None) -> str:
        """A threshold or a parameter: four digits that count."""
        if value is None or not math.isfinite(value):
            return self.missing
        return f"{value:.4g}".replace("-", self.minus)
