"""What a run measured, as `results.json` says it; parts that it does not have are None or empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from offclip.errors import DataError
from offclip.evaluation.result_page.measured_normal import Normal, read_normal
from offclip.evaluation.result_page.reading import Node
from offclip.evaluation.result_page.reliability import Calibration, read_calibration
from offclip.evaluation.results_format import FORMAT, MEANS
from offclip.evaluation.statistics.estimate import Estimate


@dataclass(frozen=True, slots=True)
class ProtocolUsed:
    """The protocol that the numbers were made by; see `protocols.Protocol`."""

    name: str
    title: str
    variant: str
    hash: str
    quirks: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class RunAbout:
    """What was scored, and of what.

    Attributes:
        name: For people.
        inputs: The paths that are known, by `"model"`, `"scores"`, `"labels"`, `"data"`.
        split, unit, fuse: Which part, images or studies, and how views were fused.
        cases, images, studies, patients, validation_cases: Numbers; None where they are not known.
        fingerprint: Of the data.
        created: Time in ISO form.
        command: That made it, where it was written down.
        synthetic: Whether the films were drawn, as those of the phantom.
        versions: From software to version.
    """

    name: str
    inputs: Mapping[str, str]
    split: str
    unit: str
    fuse: str
    cases: int | None
    images: int | None
    studies: int | None
    patients: int | None
    validation_cases: int | None
    fingerprint: str
    created: str
    command: str
    synthetic: bool
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class IntervalMethod:
    """How the intervals were made."""

    method: str
    level: float
    resamples: int | None
    seed: int | None

    @property
    def percent(self) -> str:
        """The level as the page names it."""
        return f"{100 * self.level:.3g} %"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and what happens at it; `origin` says where it was chosen."""

    threshold: float | None
    origin: str
    sensitivity: Estimate | None
    specificity: Estimate | None


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One finding; `no_...` says why there is none, `counts` whether it is part of the means."""

    name: str
    auc: Estimate | None
    delong: Estimate | None
    auprc: Estimate | None
    positives: int | None
    negatives: int | None
    unknown: int | None
    operating_point: OperatingPoint | None
    no_operating_point: str
    calibration: Calibration | None
    no_calibration: str
    counts: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A mean over some of the classes."""

    name: str
    classes: tuple[str, ...]
    auc: Estimate | None


@dataclass(frozen=True, slots=True)
class PromptChecked:
    """A prompt and what the linter said of it."""

    prompt: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """All of it.

    Attributes:
        offclip: Version that wrote the results.
        means: Those of `MEANS` that were measured.
        counted: Number of classes in the mean AUC; None where it is not known.
        left_out: From class to the reason.
        normal_reason: Why there is no `normal`.
        notes: What a reader should know.
        blocks: The further parts as they stand in the file: extras, negation, grounding, metrics.
    """

    offclip: str
    protocol: ProtocolUsed
    run: RunAbout
    interval: IntervalMethod
    means: Mapping[str, Estimate]
    counted: int | None
    groups: tuple[Group, ...]
    classes: tuple[ClassResult, ...]
    left_out: Mapping[str, str]
    normal: Normal | None
    normal_reason: str
    notes: tuple[str, ...]
    prompts: tuple[PromptChecked, ...]
    blocks: Mapping[str, Any]


def read_results(values: Mapping[str, Any], where: str = "results") -> Results:
    """Reads the content of `results.json`.

    Raises:
        DataError: It is something else, or a value has a wrong type.
    """
    if not isinstance(values, Mapping):
        raise DataError(f"{where} is no object.", "Give the content of results.json.")
    root = Node(values, where)
    written = root.text("format")
    if written not in ("", FORMAT):
        raise DataError(
            f"{where}.format is {written!r}, not {FORMAT!r}.", "Evaluate again with this version."
        )
    means = {name: mean for name in MEANS if (mean := root.estimate(name))}
    macro = values.get("macro_auc")
    interval = root.node("interval") or Node({}, f"{where}.interval")
    level = interval.number("level")
    return Results(
        root.text("offclip"),
        _protocol(root.node("protocol") or Node({}, f"{where}.protocol")),
        _run(root.node("run") or Node({}, f"{where}.run")),
        IntervalMethod(
            interval.text("method"),
            0.95 if level is None else level,
            interval.count("resamples"),
            interval.count("seed"),
        ),
        means,
        Node(macro, f"{where}.macro_auc").count("classes") if isinstance(macro, Mapping) else None,
        tuple(Group(n, g.texts("classes"), g.estimate("auc")) for n, g in root.children("groups")),
        tuple(_class(name, node) for name, node in root.children("per_class")),
        root.words("left_out"),
        read_normal(root.node("normal")),
        root.text("normal_reason"),
        root.texts("notes"),
        tuple(PromptChecked(n.text("prompt"), n.texts("warnings")) for n in root.nodes("prompts")),
        {name: values[name] for name in ("extras", "negation", "grounding", "metrics") if values.get(name)},
    )


def _protocol(node: Node) -> ProtocolUsed:
    return ProtocolUsed(
        node.text("name"),
        node.text("title"),
        node.text("variant"),
        node.text("hash"),
        node.texts("quirks"),
        node.text("source"),
    )


def _run(node: Node) -> RunAbout:
    inputs = {key: path for key in ("model", "scores", "labels", "data") if (path := node.text(key))}
    return RunAbout(
        node.text("name"),
        inputs,
        node.text("split"),
        node.text("unit"),
        node.text("fuse"),
        node.count("cases"),
        node.count("images"),
        node.count("studies"),
        node.count("patients"),
        node.count("validation_cases"),
        node.text("data_fingerprint"),
        node.text("created"),
        node.text("command"),
        node.flag("synthetic") is True,
        node.words("versions"),
    )


def _class(name: str, node: Node) -> ClassResult:
    point = node.node("operating_point")
    return ClassResult(
        name,
        node.estimate("auc"),
        node.estimate("auc_delong"),
        node.estimate("auprc"),
        node.count("positives"),
        node.count("negatives"),
        node.count("unknown"),
        OperatingPoint(
            point.number("threshold"),
            point.text("from"),
            point.estimate("sensitivity"),
            point.estimate("specificity"),
        )
        if point
        else None,
        node.text("no_operating_point"),
        read_calibration(node.node("calibration")),
        node.text("no_calibration"),
        node.flag("counts") is not False,
    )
