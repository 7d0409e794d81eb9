"""What a protocol fixes, so that two numbers that name the same hash can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

Variant = Literal["peer", "clean", "open"]
Thresholds = Literal["in-sample-youden", "validation"]
Auprc = Literal["average-precision", "trapezoid"]
Unit = Literal["image", "study"]
Fuse = Literal["mean", "max", "learned"]


@dataclass(frozen=True, slots=True)
class ClassRule:
    """One class of a protocol.

    Attributes:
        name: Column of scores, labels and results.
        prompts: What is asked; the logits of several are averaged.
        label: How the truth is made from the set's own tables; its meaning belongs to the protocol's
            `labels` rule. Empty: the column `name`.
        normal: This is the class that says "normal".
        counts: It counts in the means.
    """

    name: str
    prompts: tuple[str, ...]
    label: tuple[str, ...] = ()
    normal: bool = False
    counts: bool = True


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
        labels: Rule that makes the truth from the set's tables.
        split: Which part of the set.
        classes: In the order of the peer's columns; empty for `"open"`.
        exclude: Rules by which cases are left out, such as `"no-class-present"`.
        unit, fuse: Images or studies, and how the views of a study become one score.
        thresholds: Where thresholds come from. `"validation"` is a validation split, or nested
            cross-validation over patients where there is none.
        auprc: Average precision, or the trapezoid under the precision-recall curve.
        activation: What is done to the logits before they are written: `"none"` or `"sigmoid"`.
        extras: Further measures, by name, such as `"argmax-accuracy"`.
        groups: Head, medium and tail rules: from group to a rule such as `"positives <= 10"`.
        quirks: What differs from good practice, in words.
        source: Where the rules were read.
    """

    name: str
    title: str
    dataset: str = ""
    option: str = ""
    variant: Variant = "open"
    labels: str = ""
    split: str = "test"
    classes: tuple[ClassRule, ...] = ()
    exclude: tuple[str, ...] = ()
    unit: Unit = "image"
    fuse: Fuse = "mean"
    thresholds: Thresholds = "validation"
    auprc: Auprc = "average-precision"
    activation: Literal["none", "sigmoid"] = "none"
    extras: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
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


OPEN = Protocol("open", "Any scores with labels: the classes are the columns of the files")
