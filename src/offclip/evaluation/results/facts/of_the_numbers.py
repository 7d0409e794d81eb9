"""What was measured, how, and where the numbers stand."""

from __future__ import annotations

from collections.abc import Mapping

from offclip.evaluation.results.facts.fact import Fact
from offclip.evaluation.results.known import Known
from offclip.evaluation.results.reading import at, block, estimate, number, text, whole
from offclip.evaluation.results.summary import MEASURES, summary_estimates
from offclip.evaluation.results.wording import count, interval


def measures(known: Known) -> Fact | None:
    """The measures of the summary, with their numbers."""
    found = summary_estimates(known.results)
    if not found:
        return None
    told = [
        f"{MEASURES.get(name, name)} {interval(estimate(value))}"
        for name, value in found.items()
        if name in MEASURES
    ]
    return Fact("; ".join(told) + ".", "tables/summary") if told else None


def metrics(known: Known) -> Fact | None:
    """Which measures were computed."""
    per_class = list(block(known.results, "per_class").values())
    told = [MEASURES[name] for name in summary_estimates(known.results) if name in MEASURES]
    parts = {
        "AUC and AUPRC per class": any(at(row, "auc") for row in per_class),
        "sensitivity and specificity at a threshold": any(at(row, "operating_point") for row in per_class),
        "expected calibration error": any(at(row, "calibration") for row in per_class),
        "normal cases cleared at fixed sensitivity, NPV and PPV": at(known.results, "normal", "rule_out"),
        "net benefit": at(known.results, "normal", "decision_curve"),
        "grounding of heat maps": at(known.results, "grounding"),
        "negation": at(known.results, "negation"),
    }
    told += [name for name, there in parts.items() if there]
    return Fact("; ".join(told) + ".", "results.json") if told else None


def statistics(known: Known) -> Fact | None:
    """How intervals were made."""
    found = block(known.results, "interval")
    method = text(found.get("method"))
    if not method:
        return None
    level, resamples, seed = (number(found.get(name)) for name in ("level", "resamples", "seed"))
    told = f"{100 * level:g} % intervals by {method}" if level else f"Intervals by {method}"
    told += f", {count(resamples)} resamples" if resamples else ""
    told += f", seed {seed:g}" if seed is not None else ""
    delong = at(known.results, "normal", "auc_delong") or any(
        at(row, "auc_delong") for row in block(known.results, "per_class").values()
    )
    proportions = at(known.results, "normal", "rule_out")
    told += "; DeLong's interval beside it" if delong else ""
    told += "; exact (Clopper-Pearson) intervals of rule-out shares" if proportions else ""
    return Fact(told + ".", "results.json, interval")


def cutoffs(known: Known) -> Fact | None:
    """Where thresholds come from."""
    sources = sorted(
        {
            found
            for row in block(known.results, "per_class").values()
            if (found := text(at(row, "operating_point", "from")))
        }
        | {found for row in at(known.results, "normal", "rule_out") or () if (found := text(at(row, "from")))}
    )
    return (
        Fact(f"Thresholds from: {', '.join(sources)}.", "tables/per_class, tables/rule_out")
        if sources
        else None
    )


def subgroups(known: Known) -> Fact | None:
    """By what the results are split."""
    rows = at(known.results, "normal", "subgroups") or ()
    names = sorted({found for row in rows if (found := text(at(row, "attribute")))})
    if not names:
        return None
    return Fact(
        f"Normal AUC and counts by {', '.join(names)}; exploratory, not adjusted.", "tables/subgroups"
    )


def robustness(known: Known) -> Fact | None:
    """What was varied."""
    worst = text(at(known.results, "normal", "worst_prompt", "prompt"))
    auc = estimate(at(known.results, "normal", "worst_prompt", "auc"))
    told = [f"Worst normal prompt ({worst}): normal AUC {interval(auc)}."] if worst and auc else []
    scores = block(known.results, "normal", "scores")
    told += [f"{len(scores)} normal scores compared."] if len(scores) > 1 else []
    told += ["Pairs of a finding and its denial."] if at(known.results, "negation") else []
    return Fact(" ".join(told), "tables/normal_scores") if told else None


def explainability(known: Known) -> Fact | None:
    """Whether heat maps were measured."""
    if not at(known.results, "grounding"):
        return None
    return Fact("Heat maps measured against boxes or masks.", "tables/grounding")


def accuracy(known: Known) -> Fact | None:
    """Per class, with intervals."""
    rows = block(known.results, "per_class")
    if not rows:
        return None
    points = sum(1 for row in rows.values() if at(row, "operating_point"))
    told = f"AUC with intervals for {len(rows)} classes"
    told += f"; sensitivity and specificity with intervals for {points}" if points else ""
    return Fact(f"{told}.", "tables/per_class")


def cross_table(known: Known) -> Fact | None:
    """Counts of hits and errors at the thresholds."""
    points = [
        name
        for name, row in block(known.results, "per_class").items()
        if at(row, "operating_point", "tp") is not None
    ]
    if not points:
        return None
    return Fact(f"TP, FP, TN and FN at the threshold of {len(points)} classes.", "tables/per_class")


def failures(known: Known) -> Fact | None:
    """Abnormal cases that were called normal, and findings that were called on normal ones."""
    misses = whole(at(known.results, "normal", "misses"))
    false = estimate(at(known.results, "normal", "false_findings", "per_normal"))
    told = []
    if misses is not None:
        told.append(f"Abnormal cases that would be cleared: {count(misses)} rows, one a case and target.")
    told += [f"False findings per normal case: {interval(false)}."] if false else []
    return Fact(" ".join(told), "misses.csv, tables/summary") if told else None


def rule_out(known: Known) -> Fact | None:
    """Which claims of sensitivity the number of abnormal cases supports."""
    rows = [row for row in at(known.results, "normal", "rule_out") or () if isinstance(row, Mapping)]
    told = [
        f"{row['sensitivity']:g}: {row.get('claim')}"
        for row in rows
        if number(row.get("sensitivity")) is not None
    ]
    return Fact(f"Claims of sensitivity: {'; '.join(told)}.", "tables/rule_out") if told else None
