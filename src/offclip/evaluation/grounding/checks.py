"""Do the maps belong to the model? Weight randomisation, insertion and deletion, on a few images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from offclip.data.loader import PixelStore
from offclip.evaluation.grounding.measure import Measured, maps_of_findings
from offclip.evaluation.grounding.tables import GroundedImage
from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling
from offclip.evaluation.statistics.estimate import Estimate
from offclip.grounding.faithfulness import FaithfulnessOptions, faithfulness
from offclip.grounding.sanity import likeness, randomise, stages, verdict
from offclip.models.interface import ClipModel
from offclip.zeroshot.prompts import finding_prompt

OnProgress = Callable[[int, int], None]
MapsByMethod = dict[str, dict[tuple[str, str], np.ndarray]]


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How much is checked.

    Attributes:
        maps: Most pairs of image and finding, every finding in turn.
        shufflings: Times that all weights are shuffled.
    """

    maps: int = 32
    shufflings: int = 3


@dataclass(frozen=True, slots=True)
class StageLikeness:
    """After the weights of a stage, and of those before it, were shuffled.

    Attributes:
        stage: The last that was shuffled.
        spearman, ssim: Mean over the maps, with the maps of the trained model.
    """

    stage: str
    spearman: float
    ssim: float


@dataclass(frozen=True, slots=True)
class MapSanity:
    """Weight randomisation of one kind of map.

    Attributes:
        verdict: Whether it depends on the model, see `sanity.verdict`.
        spearman_absolute: Mean absolute rank correlation, all weights shuffled: what the verdict rests on.
        spearman, ssim: Means with their sign, all weights shuffled.
        cascade: From the logit down to the pixels, one shuffling.
        maps, shufflings: What the means are over.
    """

    verdict: str
    spearman_absolute: float
    spearman: float
    ssim: float
    cascade: tuple[StageLikeness, ...]
    maps: int
    shufflings: int

    def block(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"cascade": [asdict(stage) for stage in self.cascade]}


@dataclass(frozen=True, slots=True)
class MapFaithfulness:
    """Insertion and deletion of one kind of map, means over maps with intervals.

    Attributes:
        insertion_gain: Area under the insertion curve minus that of random orders, in units of the logit;
            above 0 is better than chance.
        deletion_gain: That of random orders minus the area under the deletion curve; above 0 is better.
        insertion_rank, deletion_rank: Share of random orders that are beaten; 0.5 is chance.
        baseline: What stands for missing cells.
        maps: Number of maps.
    """

    insertion_gain: Estimate
    deletion_gain: Estimate
    insertion_rank: Estimate
    deletion_rank: Estimate
    baseline: str
    maps: int

    def block(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def choose_pairs(measured: Sequence[Measured], most: int) -> list[tuple[str, str]]:
    """(image id, finding) of the first images by id, every finding in turn; no result plays a part.

    Example:
        >>> choose_pairs([], 3)
        []
    """
    by_finding: dict[str, list[str]] = {}
    for image_id, finding in sorted({(m.image_id, m.finding) for m in measured}):
        by_finding.setdefault(finding, []).append(image_id)
    depth = max(map(len, by_finding.values()), default=0)
    in_turn = [
        (images[turn], finding)
        for turn in range(depth)
        for finding, images in sorted(by_finding.items())
        if turn < len(images)
    ]
    return in_turn[:most]


def check_sanity(
    model: ClipModel,
    store: PixelStore,
    images: Mapping[str, GroundedImage],
    methods: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    options: CheckOptions = CheckOptions(),
    on_progress: OnProgress | None = None,
) -> dict[str, MapSanity]:
    """Shuffles the weights, all at once and from the logit down, and compares the maps.

    Args:
        model: In evaluation mode; stays as it is.
        store: Images at the model's size.
        images: From image id to what is marked there.
        methods: Kinds of map.
        pairs: Image id and finding of each map that is compared, at least one.
        options: How often.
        on_progress: Called with (shufflings done, shufflings in all).
    """
    few = _rows(store, {image_id for image_id, _ in pairs})
    trained = _maps(model, few, images, methods, pairs)
    names = [name for name, _ in stages(model)]
    plan: list[tuple[int, int | None]] = [(seed, None) for seed in range(options.shufflings)]
    plan += [(0, number) for number in range(1, len(names) + 1)]
    found: dict[str, list[list[tuple[float, float]]]] = {method: [] for method in methods}
    for done, (seed, number) in enumerate(plan, start=1):
        shuffled = _maps(randomise(model, seed, number), few, images, methods, pairs)
        for method in methods:
            alike = [likeness(trained[method][pair], shuffled[method][pair]) for pair in pairs]
            found[method].append([(each.spearman, each.ssim) for each in alike])
        if on_progress:
            on_progress(done, len(plan))
    return {method: _sanity(np.array(values), names, options) for method, values in found.items()}


def check_faithfulness(
    model: ClipModel,
    store: PixelStore,
    images: Mapping[str, GroundedImage],
    methods: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    resampling: Resampling,
    options: FaithfulnessOptions = FaithfulnessOptions(),
    on_progress: OnProgress | None = None,
) -> dict[str, MapFaithfulness]:
    """Plays insertion and deletion with the maps of some pairs of image and finding."""
    few = _rows(store, {image_id for image_id, _ in pairs})
    maps = _maps(model, few, images, methods, pairs)
    place = few.position()
    bootstrap = Bootstrap.of([images[image_id].patient_id for image_id, _ in pairs], None, resampling)
    result, done = {}, 0
    for method in methods:
        rows = []
        for image_id, finding in pairs:
            row = place[image_id]
            f = faithfulness(
                model,
                few.squares[row],
                few.geometry[row],
                finding_prompt(finding),
                maps[method][image_id, finding],
                options,
            )
            gains = (f.insertion - f.random_insertion, f.random_deletion - f.deletion)
            rows.append((*gains, f.insertion_rank, f.deletion_rank))
            done += 1
            if on_progress:
                on_progress(done, len(methods) * len(pairs))
        gained, spared, *ranks = (bootstrap.mean(column).estimate for column in np.array(rows).T)
        result[method] = MapFaithfulness(gained, spared, ranks[0], ranks[1], options.baseline, len(pairs))
    return result


def _sanity(values: np.ndarray, names: Sequence[str], options: CheckOptions) -> MapSanity:
    """From (plan, pairs, 2) likenesses."""
    at_once, cascade = values[: options.shufflings], values[options.shufflings :].mean(axis=1)
    rank = at_once[..., 0].ravel()
    return MapSanity(
        verdict(rank.tolist()),
        float(np.abs(rank).mean()),
        float(rank.mean()),
        float(at_once[..., 1].mean()),
        tuple(StageLikeness(n, float(s), float(i)) for n, (s, i) in zip(names, cascade, strict=True)),
        values.shape[1],
        options.shufflings,
    )


def _maps(
    model: ClipModel,
    store: PixelStore,
    images: Mapping[str, GroundedImage],
    methods: Sequence[str],
    pairs: Sequence[tuple[str, str]],
) -> MapsByMethod:
    wanted = set(pairs)
    result: MapsByMethod = {method: {} for method in methods}
    for row, maps in maps_of_findings(model, store, images, methods):
        image_id = store.image_ids[row]
        for method, by_finding in maps.items():
            kept = {(image_id, f): heat for f, heat in by_finding.items() if (image_id, f) in wanted}
            result[method].update(kept)
    return result


def _rows(store: PixelStore, image_ids: set[str]) -> PixelStore:
    rows = [row for row, image_id in enumerate(store.image_ids) if image_id in image_ids]
    return PixelStore(
        tuple(store.image_ids[row] for row in rows),
        store.squares[rows],
        tuple(store.geometry[row] for row in rows),
    )
