"""What a protocol asks a model, and the answers as cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit

from offclip.data.stream import ImageRef
from offclip.evaluation.cases import Cases
from offclip.evaluation.protocols.apply import normal_rule
from offclip.evaluation.protocols.protocol import Protocol
from offclip.evaluation.protocols.truth.data import ProtocolData
from offclip.zeroshot.ensemble import PromptSet, score_prompt_set
from offclip.zeroshot.prompts import NORMAL_PROMPTS
from offclip.zeroshot.score import Scores
from offclip.zeroshot.words import NORMAL_CLASS, plain_words


def prompts_of(protocol: Protocol) -> PromptSet:
    """The prompts of a protocol, and the fixed normal prompts behind its own, for the worst prompt.

    Example:
        >>> from offclip.evaluation.protocols.load import load_protocol
        >>> prompts_of(load_protocol("vindr-cxr-peer")).normal[:2]
        ('There is no finding', 'No acute cardiopulmonary abnormality.')
    """
    rule = normal_rule(protocol)
    own = rule.prompts if rule else ()
    said = {plain_words(prompt) for prompt in own}
    normal = (*own, *(prompt for prompt in NORMAL_PROMPTS if plain_words(prompt) not in said))
    return PromptSet({NORMAL_CLASS: normal} | {r.name: r.prompts for r in protocol.classes if not r.normal})


def with_prompts(protocol: Protocol, prompts: PromptSet) -> Protocol:
    """The protocol with a user's prompts in place of its own; its hash is another one, and its name says so.

    Raises:
        DataError: A finding has no prompt.
    """
    chosen = prompts.for_findings([rule.name for rule in protocol.classes if not rule.normal])
    classes = tuple(
        replace(rule, prompts=(chosen.normal or rule.prompts) if rule.normal else chosen.prompts[rule.name])
        for rule in protocol.classes
    )
    return replace(protocol, name=f"{protocol.name}, other prompts", classes=classes)


def images_by_split(data: ProtocolData) -> dict[str, list[ImageRef]]:
    """The images of `"test"` and of `"validate"`, where there are any."""
    images: dict[str, list[ImageRef]] = {}
    for image, split in zip(data.images, data.splits, strict=True):
        images.setdefault(split, []).append(image)
    return images


def protocol_cases(protocol: Protocol, data: ProtocolData, asked: PromptSet, scores: Scores) -> Cases:
    """The scored images as cases, joined with the truth by image id.

    Args:
        protocol: Its classes and its activation count.
        data: Truth of the images.
        asked: `prompts_of(protocol)`.
        scores: Of images of `data`, for all prompts of `asked`.
    """
    place = {image.image_id: row for row, image in enumerate(data.images)}
    rows = [place[image_id] for image_id in scores.image_ids]
    findings = [rule.name for rule in protocol.classes if not rule.normal]
    columns = [column for column, rule in enumerate(protocol.classes) if not rule.normal]
    activate = expit if protocol.activation == "sigmoid" else np.asarray
    logits = score_prompt_set(scores, PromptSet({name: asked.prompts[name] for name in findings}))
    return Cases.of(
        scores.image_ids,
        findings,
        activate(logits),
        data.truth[np.ix_(rows, columns)],
        normal=data.normal[rows],
        study_ids=[data.study_ids[row] for row in rows],
        patient_ids=[data.patient_ids[row] for row in rows],
        normal_scores={p: activate(scores.of(p).astype(np.float64)) for p in asked.normal},
        attributes={name: [values[row] for row in rows] for name, values in data.attributes.items()},
    )
