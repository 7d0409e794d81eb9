"""A protocol applied to scored cases: its classes, its exclusions, and the normal class as one of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from offclip.errors import ConfigError
from offclip.evaluation.cases import Cases
from offclip.evaluation.protocols.exclusions import exclude
from offclip.evaluation.protocols.protocol import ClassRule, Protocol
from offclip.zeroshot.words import plain_words


def restrict(protocol: Protocol, cases: Cases) -> Cases:
    """The cases that the protocol measures, with its findings in its order.

    Args:
        protocol: Its `classes` and `exclude` count; without classes the cases stay as they are.
        cases: Findings under the names of the classes, in any spelling that `plain_words` takes for one; the
            normal class is in `normal` and `normal_scores`.

    Raises:
        ConfigError: A class is missing.
    """
    if not protocol.classes:
        return cases
    wanted = [rule.name for rule in protocol.classes if not rule.normal]
    place = {plain_words(name): column for column, name in enumerate(cases.findings)}
    missing = [name for name in wanted if plain_words(name) not in place]
    rule = normal_rule(protocol)
    if rule is not None and not cases.normal_scores:
        missing.append(rule.name)
    if missing:
        raise ConfigError(
            f"{protocol.name} needs {len(wanted)} classes, and there are no scores and labels for: "
            f"{', '.join(missing[:10])}{' and more' if len(missing) > 10 else ''}.",
            f"Name the columns as 'offclip protocols show {protocol.name}' does.",
        )
    columns = [place[plain_words(name)] for name in wanted]
    chosen = replace(
        cases, findings=tuple(wanted), scores=cases.scores[:, columns], truth=cases.truth[:, columns]
    )
    return chosen.select(~exclude(protocol, _in_order(protocol, chosen)))


def with_normal_class(protocol: Protocol, cases: Cases) -> Cases:
    """The cases with the normal class as one more finding, where the protocol lists it among its classes.

    It stands where the protocol has it, with the reported normal score, so that it can count in the means.
    """
    rule = normal_rule(protocol)
    if rule is None or not cases.normal_scores or rule.name in cases.findings:
        return cases
    scores = next(iter(cases.normal_scores.values()))
    place = [r.name for r in protocol.classes].index(rule.name)
    findings = (*cases.findings[:place], rule.name, *cases.findings[place:])
    return replace(
        cases,
        findings=findings,
        scores=np.insert(cases.scores, place, scores, axis=1),
        truth=np.insert(cases.truth, place, cases.normal, axis=1),
    )


def _in_order(protocol: Protocol, cases: Cases) -> np.ndarray:
    """(N, C) truth in the order of the protocol's classes, the normal class included."""
    columns = iter(cases.truth.T)
    return np.stack([cases.normal if rule.normal else next(columns) for rule in protocol.classes], axis=1)


def normal_rule(protocol: Protocol) -> ClassRule | None:
    """The class that says "normal"; None when the protocol has none."""
    return next((rule for rule in protocol.classes if rule.normal), None)
