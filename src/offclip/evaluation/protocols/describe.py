"""A protocol in words."""

from __future__ import annotations

from collections.abc import Iterator

from offclip.evaluation.protocols.protocol import ClassRule, Protocol
from offclip.evaluation.protocols.rules import EXCLUSIONS, EXTRAS, LABEL_RULES


def described(protocol: Protocol) -> str:
    """What a protocol fixes, line by line.

    Example:
        >>> from offclip.evaluation.protocols.protocol import OPEN
        >>> print(described(OPEN).splitlines()[0])
        open: Any scores with labels: the classes are the columns of the files
    """
    return "\n".join(_lines(protocol))


def _lines(protocol: Protocol) -> Iterator[str]:
    yield f"{protocol.name}: {protocol.title}"
    yield f"hash: {protocol.hash}"
    yield f"variant: {protocol.variant}"
    if protocol.dataset:
        option = f", option {protocol.option}" if protocol.option else ""
        part = "all parts" if protocol.split == "all" else f"the {protocol.split} part"
        yield f"set: {protocol.dataset}{option}; {part}; {protocol.views} views"
    if protocol.labels:
        yield f"labels: {protocol.labels}: {LABEL_RULES[protocol.labels]}"
    for rule in protocol.exclude:
        yield f"left out: {rule}: {EXCLUSIONS[rule]}"
    fuse = f", views of a study by their {protocol.fuse}" if protocol.unit == "study" else ""
    yield f"unit: {protocol.unit}{fuse}"
    yield f"thresholds: {_thresholds(protocol)}"
    yield f"AUPRC: {protocol.auprc}"
    if protocol.activation != "none":
        yield f"scores: {protocol.activation} of the logits"
    for name in protocol.extras:
        yield f"further: {name}: {EXTRAS[name]}"
    for group, rule in protocol.groups.items():
        yield f"group: {group}: {rule}"
    if grounding := protocol.grounding:
        yield (
            f"grounding: maps {grounding.maps}; rule {grounding.rule}; tolerance {grounding.tolerance:g}; "
            f"mean over each {grounding.average}"
        )
    if protocol.classes:
        yield f"classes ({len(protocol.classes)}):"
        yield from (_class(rule) for rule in protocol.classes)
    if protocol.quirks:
        yield "quirks:"
        yield from (f"  - {quirk}" for quirk in protocol.quirks)
    if protocol.source:
        yield f"source: {protocol.source}"


def _thresholds(protocol: Protocol) -> str:
    if protocol.thresholds == "in-sample-youden":
        return "in-sample-youden: fitted on the test set itself, optimistic"
    validation = protocol.validation
    if validation is None:
        return "nested cross-validation over patients"
    option = f" (option {validation.option})" if validation.option else ""
    most = f", {validation.images:,} images" if validation.images else ""
    return (
        f"the {validation.split} part of {validation.dataset}{option}{most}; "
        "nested cross-validation over patients where it is not there"
    )


def _class(rule: ClassRule) -> str:
    words = [" | ".join(repr(prompt) for prompt in rule.prompts)]
    if rule.label:
        words.append(f"labels {', '.join(rule.label)}")
    if rule.unless:
        words.append(f"never with {', '.join(rule.unless)}")
    if rule.normal:
        words.append("normal")
    if not rule.counts:
        words.append("not in the means")
    return f"  {rule.name}: {'; '.join(words)}"
