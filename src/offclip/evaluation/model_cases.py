"""The scores of a model become cases, joined with the truth by image id."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from offclip.data.study import ATTRIBUTES
from offclip.evaluation.cases import Cases
from offclip.evaluation.image_table import About
from offclip.evaluation.truth import Labels
from offclip.zeroshot.ensemble import PromptSet, score_prompt_set
from offclip.zeroshot.score import Scores


def cases_of(
    scores: Scores,
    labels: Labels,
    about: Mapping[str, About],
    prompts: PromptSet,
) -> Cases:
    """Cases of the scored images.

    Args:
        scores: Holds every prompt of the set.
        labels: Truth; its findings are those of the cases.
        about: Study, patient and attributes of each image.
        prompts: What was asked for each finding, logits of several being averaged, and for the normal class,
            each prompt of which is a normal score of its own.

    Raises:
        DataError: A scored image has no label.
        InputError: A prompt was not scored.
    """
    truth = labels.select(scores.image_ids)
    known = [about[image_id] for image_id in scores.image_ids]
    attributes = {name: [entry.attributes.get(name) for entry in known] for name in ATTRIBUTES}
    return Cases.of(
        scores.image_ids,
        truth.findings,
        score_prompt_set(scores, PromptSet({name: prompts.prompts[name] for name in truth.findings})),
        truth.present,
        normal=truth.normal,
        study_ids=[entry.study_id for entry in known],
        patient_ids=[entry.patient_id for entry in known],
        normal_scores={prompt: scores.of(prompt).astype(np.float64) for prompt in prompts.normal},
        attributes={name: values for name, values in attributes.items() if any(values)},
    )
