"""Every map of every marked image, measured once; nothing of the size of an image is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from offclip.data.files import Skipped
from offclip.data.loader import PixelStore
from offclip.errors import InputError
from offclip.evaluation.grounding.tables import GroundedImage, open_masks
from offclip.grounding.localisation import CUTS, Contrast, Overlap, contrast, overlaps
from offclip.grounding.maps import map_method
from offclip.grounding.pointing import Pointing, PointingRule, point
from offclip.grounding.regions import Region, union
from offclip.models.interface import ClipModel, TextFeatures
from offclip.zeroshot.prompts import finding_prompt

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Measured:
    """What one map of one image and finding is worth.

    Attributes:
        image_id, patient_id, finding, method: Which map it is.
        truth: `"mask"` or `"box"`: what it was compared with.
        pointing: The pointing game.
        contrast: Contrast-to-noise ratio, energy, and the share of the image that the region covers.
        overlaps: At each of `CUTS`.
    """

    image_id: str
    patient_id: str
    finding: str
    method: str
    truth: str
    pointing: Pointing
    contrast: Contrast
    overlaps: tuple[Overlap, ...]


def measure(
    model: ClipModel,
    store: PixelStore,
    images: Mapping[str, GroundedImage],
    methods: Sequence[str],
    rule: PointingRule,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Measured], list[Skipped]]:
    """Measures the maps of all images in the store.

    Where an image has masks of a finding, its boxes of that finding are not used.

    Args:
        model: In evaluation mode.
        store: The images at the model's size.
        images: From image id to what is marked there.
        methods: Kinds of heat map.
        rule: Of the pointing game.
        on_progress: Called with (images done, images in all).

    Returns:
        A row a map, by image, finding and method; and the masks and findings that were left out.

    Raises:
        ConfigError: The model has no such map.
    """
    measured: list[Measured] = []
    skipped: list[Skipped] = []
    done = 0
    for row, maps in maps_of_findings(model, store, images, methods):
        image, geometry = images[store.image_ids[row]], store.geometry[row]
        size = (geometry.height, geometry.width)
        masks, bad = open_masks(image.masks, image.ref.image_id, size)
        skipped += bad
        for finding in image.findings:
            regions: list[Region] = [mask for mask in masks if mask.finding == finding]
            kind = "mask" if regions else "box"
            regions = regions or [box for box in image.boxes if box.finding == finding]
            if not regions:
                continue  # its masks are among the skipped
            covered = union(regions, *size)
            try:
                if not covered.any():
                    raise InputError("the region lies outside of the image", "Mend the row.")
                for method in methods:
                    heat = maps[method][finding]
                    pointed = point(heat, geometry, regions, rule)
                    on_image = geometry.map_to_original(heat, outside=np.nan)
                    measured.append(
                        Measured(
                            image.ref.image_id,
                            image.patient_id,
                            finding,
                            method,
                            kind,
                            pointed,
                            contrast(on_image, covered),
                            tuple(overlaps(on_image, covered, CUTS)),
                        )
                    )
            except InputError as error:
                reason = f"{finding}: {error.message}"
                skipped.append(Skipped(str(image.ref.path), 0, image.ref.image_id, reason))
        done += 1
        if on_progress:
            on_progress(done, len(store.image_ids))
    return sorted(measured, key=lambda m: (m.image_id, m.finding, methods.index(m.method))), skipped


@torch.inference_mode()
def maps_of_findings(
    model: ClipModel,
    store: PixelStore,
    images: Mapping[str, GroundedImage],
    methods: Sequence[str],
) -> Iterator[tuple[int, dict[str, dict[str, np.ndarray]]]]:
    """Yields (row of the store, method -> finding -> map), for the findings that an image has.

    Images with the same findings go together, so that no batch is asked for what none of it shows.

    Raises:
        ConfigError: The model has no such map.
    """
    compute = {method: map_method(model, method) for method in methods}
    wanted = [images[image_id].findings for image_id in store.image_ids]
    findings = sorted({finding for some in wanted for finding in some})
    text = model.embed_texts([finding_prompt(finding) for finding in findings])
    order = sorted(range(len(wanted)), key=lambda row: (wanted[row], row))
    for start in range(0, len(order), _AT_ONCE):
        rows = order[start : start + _AT_ONCE]
        asked = sorted({finding for row in rows for finding in wanted[row]})
        texts = _select(text, [findings.index(finding) for finding in asked])
        pixels = model.preprocess.normalise(store.batch(rows).to(model.device))
        found = {method: maps(pixels, texts).float().cpu().numpy() for method, maps in compute.items()}
        for position, row in enumerate(rows):
            yield (
                row,
                {
                    method: {f: values[position, asked.index(f)] for f in wanted[row]}
                    for method, values in found.items()
                },
            )


def _select(text: TextFeatures, rows: list[int]) -> TextFeatures:
    return TextFeatures(text.pooled[rows], text.tokens[rows], text.mask[rows])
