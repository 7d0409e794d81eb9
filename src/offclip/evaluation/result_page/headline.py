"""The headline: the few numbers that a reader should take away, each with what limits it."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from offclip.evaluation.result_page.measured import Results
from offclip.evaluation.result_page.measured_normal import Normal, RuleOut
from offclip.evaluation.result_page.small import Axis, interval_bar
from offclip.evaluation.result_page.words import (
    bounds,
    count,
    decimal,
    percent,
    percent_bounds,
    percent_with_bounds,
    plural,
    target,
)
from offclip.evaluation.statistics.estimate import Estimate

SENSITIVITIES = (0.95, 0.99)
_UNIT = Axis(0.0, 1.0, 0.5)
_SHARE = Axis(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class HeadlineCard:
    """One number.

    Attributes:
        title: What it is.
        big: The number.
        interval: Its interval, in words.
        bar: It and its interval on a scale from 0 to 1; None for a number without that scale.
        note: What limits it.
        claim: Verdict of a claim; empty where none is made.
    """

    title: str
    big: str
    interval: str
    bar: Markup | None
    note: str
    claim: str = ""

    @property
    def held_back(self) -> bool:
        """Whether the number must not be quoted."""
        return self.claim == "refused"


def headline_cards(results: Results) -> list[HeadlineCard]:
    """The cards that the results can fill."""
    level = f"{results.interval.percent} interval"
    cards = _normal_cards(results.normal, level) if results.normal else []
    macro = results.means.get("macro_auc")
    if macro:
        over = f"Mean over {plural(results.counted, 'finding')}." if results.counted else ""
        if results.left_out:
            over = f"{over} {len(results.left_out)} left out.".strip()
        cards.append(_auc("Macro AUC, findings", macro, level, over))
    return cards


def _normal_cards(normal: Normal, level: str) -> list[HeadlineCard]:
    cards = []
    if normal.auc:
        kinds = ""
        if normal.normals is not None and normal.abnormals is not None:
            kinds = f"{count(normal.normals)} normal against {count(normal.abnormals)} abnormal. "
        cards.append(
            _auc(
                "Normal AUC", normal.auc, level, kinds + (f"Score: “{normal.score}”" if normal.score else "")
            )
        )
    if normal.worst and normal.worst.auc:
        note = f"“{normal.worst.name}”" if normal.worst.name else ""
        cards.append(_auc("Normal AUC, worst prompt", normal.worst.auc, level, note))
    for wanted in SENSITIVITIES:
        cards += [_cleared(r, level) for r in normal.rules_at(wanted) if r.cleared or r.claim]
    false = normal.false_findings
    if false and false.per_normal:
        note = (
            f"{percent_with_bounds(false.normals_with_any)} of the normals carry one or more. "
            if false.normals_with_any
            else ""
        )
        note += f"Thresholds: {false.origin}." if false.origin else ""
        interval = _interval(bounds(false.per_normal, 2), level)
        cards.append(
            HeadlineCard(
                "False findings per normal", decimal(false.per_normal.value, 2), interval, None, note
            )
        )
    return cards


def _auc(title: str, auc: Estimate, level: str, note: str) -> HeadlineCard:
    return HeadlineCard(
        title, decimal(auc.value), _interval(bounds(auc), level), interval_bar(auc, _UNIT), note
    )


def _cleared(rule: RuleOut, level: str) -> HeadlineCard:
    title = f"Normals cleared at {target(rule.sensitivity)} sensitivity"
    if rule.claim == "refused":
        seen = f"On these cases: {percent_with_bounds(rule.cleared)}." if rule.cleared else ""
        return HeadlineCard(title, "no claim", seen, None, _sentence(rule.reason), rule.claim)
    if rule.cleared is None:
        return HeadlineCard(title, "n/a", "", None, _sentence(rule.reason), rule.claim)
    interval = _interval(percent_bounds(rule.cleared), level)
    bar = interval_bar(rule.cleared, _SHARE)
    return HeadlineCard(title, percent(rule.cleared.value), interval, bar, _sentence(rule.reason), rule.claim)


def _interval(words: str, level: str) -> str:
    return f"{words}, {level}" if words else "no interval"


def _sentence(text: str) -> str:
    """Text as a sentence.

    Example:
        >>> _sentence("80 are too few"), _sentence("")
        ('80 are too few.', '')
    """
    return text if not text or text[-1] in ".!?" else f"{text}."
