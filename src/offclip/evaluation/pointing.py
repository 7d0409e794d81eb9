"""The pointing game over a folder: every image and finding that has boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from offclip.data.loader import ImageRef, load_pixels
from offclip.grounding.maps import heat_maps
from offclip.grounding.pointing import Box, point
from offclip.models.interface import ClipModel
from offclip.zeroshot.prompts import finding_prompt

SCHEMA = {"image_id": pl.String, "finding": pl.String, "hit": pl.Float64, "chance": pl.Float64}


def point_all(
    model: ClipModel,
    images: Sequence[ImageRef],
    boxes: Mapping[str, Sequence[Box]],
    on_progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Plays the pointing game for every image and finding that has boxes.

    Args:
        model: In evaluation mode.
        images: Files that can be read; those without boxes are passed over.
        boxes: From image id to its boxes.
        on_progress: Called with (images done, images in all).

    Returns:
        Columns `image_id`, `finding`, `hit`, `chance`.
    """
    boxed = [image for image in images if boxes.get(image.image_id)]
    findings = sorted({box.finding for image in boxed for box in boxes[image.image_id]})
    results = []
    if boxed:
        store, _ = load_pixels(boxed, model.preprocess)
        rows = range(len(store.image_ids))
        maps = heat_maps(model, store, rows, [finding_prompt(finding) for finding in findings])
        for done, (row, image_maps) in enumerate(maps, start=1):
            image_id = store.image_ids[row]
            for finding, own in _by_finding(boxes[image_id]).items():
                played = point(image_maps[findings.index(finding)], store.geometry[row], own)
                results.append((image_id, finding, played.hit, played.chance))
            if on_progress:
                on_progress(done, len(boxed))
    return pl.DataFrame(results, schema=SCHEMA, orient="row")


def _by_finding(boxes: Sequence[Box]) -> dict[str, list[Box]]:
    result: dict[str, list[Box]] = {}
    for box in boxes:
        result.setdefault(box.finding, []).append(box)
    return result
