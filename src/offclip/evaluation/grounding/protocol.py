"""Grounding on a public set, as a protocol says."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import polars as pl

from offclip.errors import ConfigError
from offclip.evaluation.grounding.run import (
    GroundingResult,
    ground_model,
    write_grounding,
)
from offclip.evaluation.grounding.tables import GroundedImage, GroundingData
from offclip.evaluation.progress import OnProgress
from offclip.evaluation.protocols.protocol import GroundingRule, Protocol
from offclip.evaluation.protocols.truth.data import ProtocolData
from offclip.evaluation.protocols.truth.read import read_protocol_data
from offclip.evaluation.scoring import load_for_scoring, measured_model
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.grounding.pointing import PointingRule


def ground_protocol(
    model_path: str | Path,
    root: str | Path,
    out: str | Path | None = None,
    *,
    protocol: Protocol,
    faithfulness: bool = False,
    sanity: bool = False,
    resampling: Resampling = Resampling(),
    on_progress: OnProgress | None = None,
) -> GroundingResult:
    """Measures the heat maps of a trained model on a public set.

    Args:
        model_path: A run or model folder, or any other name of a model, see `offclip.load`.
        root: The folder that the publishers' tree was downloaded to.
        out: Where grounding.csv, grounding.json and grounding_skipped.csv go; None writes nothing.
        protocol: One whose task is grounding.
        faithfulness: Play insertion and deletion as well.
        sanity: Shuffle the weights as well.
        resampling: Of the patients, for the intervals.
        on_progress: Called with (what, done, all).

    Raises:
        ConfigError: The protocol measures something else, or the model has no such map.
        DataError: A table of the set is missing, or no image of it is on disk.
        CheckpointError: The model cannot be loaded.
    """
    wanted = protocol.grounding
    if wanted is None:
        raise ConfigError(f"{protocol.name} measures no heat maps.", "'offclip evaluate' measures it.")
    model = load_for_scoring(model_path)
    result = ground_model(
        model,
        grounding_data(read_protocol_data(protocol, Path(root))),
        methods=None if wanted.maps == "any" else [wanted.maps],
        rule=PointingRule(wanted.rule, wanted.tolerance),
        faithfulness=faithfulness,
        sanity=sanity,
        resampling=resampling,
        on_progress=on_progress,
    )
    if out is not None:
        about = {
            **measured_model(model_path, model),
            "data": str(root),
            "split": protocol.split,
            "protocol": {"name": protocol.name, "hash": protocol.hash, **asdict(wanted)},
            "hit": {name: hit_rate(result.table, name, wanted) for name in result.methods},
        }
        write_grounding(result, Path(out), about)
    return result


def grounding_data(data: ProtocolData) -> GroundingData:
    """The images of a protocol that have boxes, by split."""
    splits: dict[str, list[GroundedImage]] = {}
    for image, patient, split in zip(data.images, data.patient_ids, data.splits, strict=True):
        boxes = data.boxes.get(image.image_id)
        if boxes:
            splits.setdefault(split, []).append(GroundedImage(image, patient, list(boxes)))
    return GroundingData(splits, list(data.skipped))


def hit_rate(table: pl.DataFrame, method: str, rule: GroundingRule) -> float:
    """The hit rate of one kind of map, averaged as the rule says.

    Args:
        table: Columns `finding`, `method`, `hit`.
        method: Kind of heat map.
        rule: Its `average` counts.

    Example:
        >>> table = pl.DataFrame({"finding": ["a", "a", "b"], "method": ["m"] * 3, "hit": [1.0, 0.0, 1.0]})
        >>> [round(hit_rate(table, "m", GroundingRule(average=a)), 2) for a in ("class", "pair")]
        [0.75, 0.67]
    """
    hits = table.filter(pl.col("method") == method)
    if rule.average == "class":
        hits = hits.group_by("finding", maintain_order=True).agg(pl.col("hit").mean())
    return float(hits.select(pl.col("hit").mean()).item())
