"""What a protocol fixes, so that two numbers that name the same hash can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

Variant = Literal["peer", "clean", "open"]
Task = Literal["classification", "grounding"]
Views = Literal["all", "frontal"]
Thresholds = Literal["in-sample-youden", "validation"]
Auprc = Literal["average-precision", "trapezoid"]
Activation = Literal["none", "sigmoid"]
Unit = Literal["image", "study"]
Fuse = Literal["mean", "max", "learned"]


@dataclass(frozen=True, slots=True)
class ClassRule:
    """One class of a protocol.

    Attributes:
        name: Column of scores, labels and results.
        prompts: What is asked; the logits of several are averaged.
        label: How the truth is made from the set's own tables; its meaning belongs to the protocol's
            `labels` rule. Of several labels one that is present is enough. Empty: the column `name`.
        unless: Labels of the set that make the class absent wherever they are present.
        normal: This is the class that says "normal".
        counts: It counts in the means.
    """

    name: str
    prompts: tuple[str, ...]
    label: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    normal: bool = False
    counts: bool = True

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the set that stand for the class."""
        return self.label or (self.name,)


@dataclass(frozen=True, slots=True)
class Validation:
    """Where images for thresholds, calibration and weights come from; never the publisher's test part.

    Attributes:
        dataset: Name in the catalogue; it may be another set than the one that is tested.
        option: Of the catalogue's reader.
        split: The publisher's part.
        images: At least so many, where there are more: whole patients in the order of a hash. 0 takes all.
    """

    dataset: str
    option: str = ""
    split: str = "train"
    images: int = 0


@dataclass(frozen=True, slots=True)
class GroundingRule:
    """When a heat map hits a finding.

    Attributes:
        maps: Kind of heat map that the number is about, as `offclip.grounding.maps` names it; `"any"` leaves
            it to the model.
        rule: Of `offclip.grounding.pointing.PointingRule`: `"centre"` takes the centre of the largest cell,
            in original pixels, and tied cells by their share; `"peer"` the upper left corner of the first of
            the largest cells, as the largest pixel of a map that is enlarged by repetition is found.
        tolerance: How far from a box is still a hit, as `PointingRule` counts it.
        average: `"class"`: the mean over classes of their hit rates; `"pair"`: over all pairs of image and
            finding. Any box of the finding is good enough in both.
    """

    maps: Literal["any", "similarity", "attention", "gradient-attention", "grad-cam"] = "any"
    rule: Literal["centre", "peer"] = "centre"
    tolerance: float = 0.0
    average: Literal["class", "pair"] = "class"


@dataclass(frozen=True, slots=True)
class Protocol:
    """One way to measure.

    Attributes:
        name: Such as `"vindr-cxr-peer"`.
        title: For people.
        dataset: Name in the catalogue of public sets; empty for any scores with labels.
        option: Of the catalogue's reader.
        variant: `"peer"`: as published, quirks included; `"clean"`: what ought to be measured; `"open"`: no
            set, the classes are those of the files.
        task: What is measured: scores of images, or heat maps against boxes.
        labels: Rule that makes the truth from the set's tables; see `rules.LABEL_RULES`.
        split: Which part of the set: `"train"`, `"validate"` or `"test"` of the publishers, or `"all"`.
        views: `"frontal"` leaves out films that are known to be lateral.
        classes: In the order of the peer's columns; empty for `"open"`.
        exclude: Rules by which cases are left out, such as `"no-class-present"`; see `rules.EXCLUSIONS`.
        unit, fuse: Images or studies, and how the views of a study become one score.
        thresholds: Where thresholds come from. `"validation"` is a validation split, or nested
            cross-validation over patients where there is none.
        validation: Where the validation split comes from; None where there is none.
        auprc: Average precision, or the trapezoid under the precision-recall curve.
        activation: What is done to the logits before they are written: `"none"` or `"sigmoid"`.
        extras: Further measures, by name, such as `"argmax-accuracy"`; see `rules.EXTRAS`.
        groups: Head, medium and tail rules: from group to a rule such as `"positives <= 10"`; see `groups`.
        grounding: When a heat map hits; None unless the task is grounding.
        quirks: What differs from good practice, in words.
        source: Where the rules were read.
    """

    name: str
    title: str
    dataset: str = ""
    option: str = ""
    variant: Variant = "open"
    task: Task = "classification"
    labels: str = ""
    split: str = "test"
    views: Views = "all"
    classes: tuple[ClassRule, ...] = ()
    exclude: tuple[str, ...] = ()
    unit: Unit = "image"
    fuse: Fuse = "mean"
    thresholds: Thresholds = "validation"
    validation: Validation | None = None
    auprc: Auprc = "average-precision"
    activation: Activation = "none"
    extras: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    grounding: GroundingRule | None = None
    quirks: tuple[str, ...] = ()
    source: str = ""

    @property
    def hash(self) -> str:
        """16 hex digits over everything that the protocol fixes; words for people do not count.

        Example:
            >>> Protocol("a", "A").hash == Protocol("a", "Another title").hash
            True
            >>> Protocol("a", "A").hash == Protocol("a", "A", unit="study").hash
            False
        """
        fixed = asdict(self)
        for words in ("title", "quirks", "source"):
            del fixed[words]
        text = json.dumps(fixed, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def normal_class(self) -> ClassRule | None:
        """The class that says "normal", if one is asked for."""
        return next((rule for rule in self.classes if rule.normal), None)


OPEN = Protocol("open", "Any scores with labels: the classes are the columns of the files")
