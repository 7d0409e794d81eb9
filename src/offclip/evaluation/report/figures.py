"""The line and dot plots of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from offclip.evaluation.ablation import Variant
from offclip.evaluation.drawing.svg import GRID, INK, MUTED, Plot
from offclip.evaluation.report.palette import colours
from offclip.evaluation.report.runs import FinishedRun
from offclip.evaluation.statistics.ranks import roc_curve
from offclip.evaluation.truth import Labels
from offclip.zeroshot.prompts import NORMAL_PROMPTS, finding_prompt

Groups = Mapping[Variant, Sequence[FinishedRun]]
_GRID = np.unique(np.concatenate([np.linspace(0, 0.1, 51), np.linspace(0.1, 1, 91)]))


def roc_by_worst_prompt(groups: Groups, labels: Labels) -> Markup | None:
    """Normal against abnormal by each run's own worst normal prompt."""
    return _roc(groups, labels, "worst", "by the worst normal prompt", worst_prompt=True)


def roc_by_max_finding(groups: Groups, labels: Labels) -> Markup | None:
    """Normal against abnormal by minus the largest finding logit."""
    return _roc(groups, labels, "findings", "by minus the largest finding logit", worst_prompt=False)


def prompt_dots(groups: Groups) -> Markup | None:
    """Normal AUC of every normal prompt: one dot a variant, a small one a seed."""
    found = {
        v: [r.normal_auc_by_prompt for r in runs if r.normal_auc_by_prompt] for v, runs in groups.items()
    }
    found = {variant: values for variant, values in found.items() if values}
    if not found:
        return None
    plot, palette = Plot(720, 430), colours(list(groups))
    axes = plot.axes
    offsets = np.linspace(-0.26, 0.26, len(found)) if len(found) > 1 else np.zeros(1)
    for (variant, values), offset in zip(found.items(), offsets, strict=True):
        for row, prompt in enumerate(NORMAL_PROMPTS):
            aucs = [by_prompt[prompt] for by_prompt in values if prompt in by_prompt]
            if not aucs:
                continue
            y = row + 0.12 + offset
            axes.plot([min(aucs), max(aucs)], [y, y], color=palette[variant], lw=1.6, alpha=0.45)
            axes.scatter(aucs, [y] * len(aucs), s=11, color=palette[variant], alpha=0.5, lw=0)
            axes.scatter(float(np.mean(aucs)), y, s=52, color=palette[variant], lw=0, zorder=3)
    for row, prompt in enumerate(NORMAL_PROMPTS):
        axes.axhline(row + 0.5, color=GRID, lw=0.8)
        axes.text(0, row - 0.32, f"“{prompt}”", va="center", ha="left", fontsize=11, color=INK)
    axes.axvline(0.5, color=MUTED, lw=1, ls=(0, (4, 3)))
    axes.text(0.507, -0.42, "chance", fontsize=10, color=MUTED, va="center")
    axes.set(xlim=(-0.015, 1.015), ylim=(len(NORMAL_PROMPTS) - 0.4, -0.55), yticks=[], xlabel="Normal AUC")
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    return plot.svg(
        "prompts", "Normal AUC of each of five normal prompts for every variant; numbers in the table."
    )


def loss_curves(groups: Groups) -> Markup | None:
    """Training loss after each epoch as a share of the first epoch's."""
    return _curves(groups, "loss", "Training loss / first epoch", relative=True)


def validation_curves(groups: Groups) -> Markup | None:
    """Worst-prompt normal AUC on the validation studies after each epoch."""
    return _curves(groups, "validation_worst_prompt_normal_auc", "Worst-prompt normal AUC", relative=False)


def _roc(groups: Groups, labels: Labels, name: str, how: str, *, worst_prompt: bool) -> Markup | None:
    known = ~np.isnan(labels.normal)
    truth = labels.select([i for i, k in zip(labels.image_ids, known, strict=True) if k])
    plot, palette, drawn = Plot(430, 400), colours(list(groups)), False
    axes = plot.axes
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (4, 3)))
    for variant, runs in groups.items():
        curves = []
        for run in runs:
            prompts = [run.worst_prompt] if worst_prompt else [finding_prompt(f) for f in truth.findings]
            image_ids, logits = _usable(run, [p for p in prompts if p], truth)
            normal = truth.select(image_ids).normal == 1
            if logits is None or not normal.any() or normal.all():
                continue
            score = logits[:, 0] if worst_prompt else -logits.max(axis=1)
            false, true = roc_curve(score, normal)
            curves.append(np.append(0.0, np.interp(_GRID, false, true)))
        x = np.append(0.0, _GRID)
        if len(curves) > 1:
            for curve in curves:
                axes.plot(x, curve, color=palette[variant], lw=0.9, alpha=0.35)
        if curves:
            axes.plot(x, np.mean(curves, axis=0), color=palette[variant], lw=2.2)
            drawn = True
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set(xlabel="Abnormal images called normal", ylabel="Normal images called normal")
    return plot.svg(f"roc-{name}", f"ROC curves, normal against abnormal {how}.") if drawn else None


def _usable(run: FinishedRun, prompts: Sequence[str], truth: Labels) -> tuple[list[str], np.ndarray | None]:
    """The scored images that have a label, and their logits."""
    if not prompts or "image_id" not in run.scores.columns:
        return [], None
    labelled = set(truth.image_ids)
    image_ids = [image_id for image_id in run.scores["image_id"].to_list() if image_id in labelled]
    return image_ids, run.logits(prompts, image_ids)


def _curves(groups: Groups, field: str, label: str, *, relative: bool) -> Markup | None:
    plot, palette, drawn = Plot(430, 320), colours(list(groups)), False
    last = 1
    for variant, runs in groups.items():
        series: dict[int, list[float]] = {}
        for run in runs:
            values = {entry["epoch"]: entry[field] for entry in run.history if field in entry}
            first = values.get(1, 0) if relative else 1.0
            for epoch, value in values.items() if first > 0 else ():
                series.setdefault(epoch, []).append(value / first)
        if not series:
            continue
        epochs = sorted(series)
        low, high = [min(series[e]) for e in epochs], [max(series[e]) for e in epochs]
        mean = [float(np.mean(series[e])) for e in epochs]
        if len(epochs) > 1:
            plot.axes.fill_between(epochs, low, high, color=palette[variant], alpha=0.14, lw=0)
        plot.axes.plot(
            epochs, mean, color=palette[variant], lw=2, marker="o", ms=3.5 if len(epochs) > 1 else 6
        )
        last, drawn = max(last, epochs[-1]), True
    if not drawn:
        return None
    if not relative:
        plot.axes.axhline(0.5, color=MUTED, lw=1, ls=(0, (4, 3)))
        plot.axes.set(ylim=(-0.02, 1.02))
    step = max(1, -(-last // 8))
    plot.axes.set(xlabel="Epoch", ylabel=label, xticks=range(1, last + 1, step), xlim=(0.7, last + 0.3))
    return plot.svg(f"curve-{field.split('_')[0]}", f"{label} after each epoch, one line a variant.")
