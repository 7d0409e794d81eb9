"""Grounding of a model on a folder with boxes or masks: tables, intervals, checks of the maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from offclip.data.files import Skipped, atomic_path, write_csv, write_skipped
from offclip.data.loader import PixelStore, load_pixels
from offclip.errors import DataError
from offclip.evaluation.grounding.checks import (
    CheckOptions,
    MapFaithfulness,
    MapSanity,
    check_faithfulness,
    check_sanity,
    choose_pairs,
)
from offclip.evaluation.grounding.cuts import ChosenCuts, choose_cuts
from offclip.evaluation.grounding.measure import Measured, measure
from offclip.evaluation.grounding.summary import MethodGrounding, summarise_method, values_of
from offclip.evaluation.grounding.tables import GroundedImage, GroundingData, read_grounding_folder
from offclip.evaluation.progress import OnProgress, named
from offclip.evaluation.scoring import load_for_scoring, measured_model
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.grounding.faithfulness import FaithfulnessOptions
from offclip.grounding.maps import map_method, map_methods
from offclip.grounding.pointing import PointingRule
from offclip.models.interface import ClipModel

VALIDATION = "validate"


@dataclass(frozen=True, slots=True)
class GroundingResult:
    """Everything that one run measured.

    Attributes:
        table: A row an image, finding and method: see `docs/grounding.md` for the columns.
        methods: From a kind of map to its measures.
        rule: Of the pointing game.
        sanity: From a kind of map to its weight randomisation; empty if it was not asked for.
        faithfulness: From a kind of map to insertion and deletion; empty if it was not asked for.
        skipped: What was left out, and why.
    """

    table: pl.DataFrame
    methods: Mapping[str, MethodGrounding]
    rule: PointingRule
    sanity: Mapping[str, MapSanity] = field(default_factory=dict)
    faithfulness: Mapping[str, MapFaithfulness] = field(default_factory=dict)
    skipped: Sequence[Skipped] = ()

    def block(self) -> dict[str, Any]:
        """The part `grounding` of results.json: an entry a method, then the checks and the rule."""
        block: dict[str, Any] = {name: method.block() for name, method in self.methods.items()}
        if self.sanity:
            block["sanity"] = {name: found.block() for name, found in self.sanity.items()}
        if self.faithfulness:
            block["faithfulness"] = {name: found.block() for name, found in self.faithfulness.items()}
        return block | {"rule": rule_in_words(self.rule)}


def ground(
    model_path: str | Path,
    folder: str | Path,
    out: str | Path | None = None,
    *,
    methods: Sequence[str] | None = None,
    split: str = "test",
    tolerance: float = 0.0,
    rule: str = "centre",
    faithfulness: bool = False,
    sanity: bool = False,
    resampling: Resampling = Resampling(),
    on_progress: OnProgress | None = None,
) -> GroundingResult:
    """Measures the heat maps of a trained model on a folder with boxes or masks.

    Args:
        model_path: A run or model folder, or any other name of a model, see `offclip.load`.
        folder: Holds `studies.parquet` or `reports.csv`, and `boxes.csv`, `masks.csv` or both.
        out: Where grounding.csv, grounding.json and grounding_skipped.csv go; None writes nothing.
        methods: Kinds of heat map; None for all that the model has.
        split: The split that is reported; the cuts that make a map a region come from the validate split.
        tolerance: Of the pointing game: below 1 a share of the image's longer side, else original pixels.
        rule: Of the pointing game: `"centre"` or `"peer"`.
        faithfulness: Play insertion and deletion as well.
        sanity: Shuffle the weights as well.
        resampling: Of the patients, for the intervals.
        on_progress: Called with (what, done, all).

    Raises:
        ConfigError: The model has no such map, or the rule or the tolerance is unusable.
        DataError: The split has no boxes or masks, or a file is unusable.
        CheckpointError: The model cannot be loaded.
    """
    pointing, data = PointingRule(rule, tolerance), read_grounding_folder(folder)
    if not data.images.get(split):
        filled = ", ".join(name for name, images in data.images.items() if images)
        raise DataError(
            f"{folder}: no image with a box or a mask in the split {split!r}.",
            f"Splits with such images: {filled}.",
        )
    model = load_for_scoring(model_path)
    result = ground_model(
        model,
        data,
        methods=methods,
        split=split,
        rule=pointing,
        faithfulness=faithfulness,
        sanity=sanity,
        resampling=resampling,
        on_progress=on_progress,
    )
    if out is not None:
        about = {**measured_model(model_path, model), "data": str(folder), "split": split}
        write_grounding(result, Path(out), about)
    return result


def ground_model(
    model: ClipModel,
    data: GroundingData,
    *,
    methods: Sequence[str] | None = None,
    split: str = "test",
    rule: PointingRule = PointingRule(),
    faithfulness: bool = False,
    sanity: bool = False,
    resampling: Resampling = Resampling(),
    on_progress: OnProgress | None = None,
) -> GroundingResult:
    """As `ground`, with a model and data that are loaded.

    Raises:
        ConfigError: The model has no such map.
        DataError: No image can be read, or nothing can be measured.
    """
    methods = list(dict.fromkeys(methods)) if methods else list(map_methods(model))
    for method in methods:
        map_method(model, method)  # refused before any image is read
    skipped = list(data.skipped)
    measured: dict[str, list[Measured]] = {}
    stores: dict[str, PixelStore] = {}
    by_id = {image.ref.image_id: image for images in data.images.values() for image in images}
    for name in dict.fromkeys((split, VALIDATION)):
        measured[name] = []
        if data.images.get(name):
            stores[name], measured[name] = _measure_split(
                model, data.images[name], by_id, methods, rule, skipped, name, on_progress
            )
    rows = measured[split]
    if not rows:
        reason = f" The first reason: {skipped[0].reason}" if skipped else ""
        raise DataError(f"No map of the split {split!r} can be measured.{reason}", "Mend the rows.")
    of = {method: [m for m in rows if m.method == method] for method in methods}
    cuts = {
        method: choose_cuts(
            of[method],
            [] if split == VALIDATION else [m for m in measured[VALIDATION] if m.method == method],
            resampling.seed,
        )
        for method in methods
    }
    pairs = choose_pairs(rows, CheckOptions().maps)
    store = stores[split]
    return GroundingResult(
        table=pl.concat([_table(of[method], cuts[method]) for method in methods]),
        methods={method: summarise_method(of[method], cuts[method], resampling) for method in methods},
        rule=rule,
        sanity=check_sanity(
            model, store, by_id, methods, pairs, on_progress=named(on_progress, "shuffling weights")
        )
        if sanity
        else {},
        faithfulness=check_faithfulness(
            model,
            store,
            by_id,
            methods,
            pairs,
            resampling,
            FaithfulnessOptions(seed=resampling.seed),
            named(on_progress, "insertion and deletion"),
        )
        if faithfulness
        else {},
        skipped=skipped,
    )


def write_grounding(result: GroundingResult, out: Path, about: Mapping[str, Any]) -> None:
    """Writes grounding.csv, grounding_skipped.csv and grounding.json.

    Raises:
        DataError: The disk is full or the folder not writable.
    """
    write_csv(result.table, out / "grounding.csv")
    write_skipped(out / "grounding_skipped.csv", result.skipped)
    with atomic_path(out / "grounding.json") as temporary:  # the last, so that it says that all is there
        text = json.dumps({**about, **result.block()}, indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def rule_in_words(rule: PointingRule) -> str:
    """The rule of the pointing game in one line.

    Example:
        >>> rule_in_words(PointingRule(tolerance=15))
        'centre of the largest cell in any region of the finding, ties shared, tolerance 15 px'
    """
    words = {
        "centre": "centre of the largest cell in any region of the finding, ties shared",
        "peer": "top left corner of the first of the largest cells in any region, padding included",
    }[rule.name]
    if not rule.tolerance:
        return words
    by = f"{rule.tolerance:g} px" if rule.tolerance >= 1 else f"{rule.tolerance:.3g} of the longer side"
    return f"{words}, tolerance {by}"


def _measure_split(
    model: ClipModel,
    images: Sequence[GroundedImage],
    by_id: Mapping[str, GroundedImage],
    methods: Sequence[str],
    rule: PointingRule,
    skipped: list[Skipped],
    name: str,
    on_progress: OnProgress | None,
) -> tuple[PixelStore, list[Measured]]:
    refs = [image.ref for image in images]
    store, unreadable = load_pixels(refs, model.preprocess, on_progress=named(on_progress, f"reading {name}"))
    measured, unusable = measure(model, store, by_id, methods, rule, named(on_progress, f"measuring {name}"))
    skipped += unreadable + unusable
    return store, measured


def _table(measured: Sequence[Measured], cuts: ChosenCuts) -> pl.DataFrame:
    values = values_of(measured, cuts)
    columns: dict[str, list] = {
        name: [getattr(m, name) for m in measured]
        for name in ("image_id", "patient_id", "finding", "method", "truth")
    }
    columns |= {name: column.tolist() for name, column in values.items() if name != "cnr_absolute"}
    return pl.DataFrame(columns).rename({"miou": "iou", "energy_chance": "area"}).fill_nan(None)
