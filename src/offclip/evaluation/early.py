"""Early metrics during training, from the labels of the reports alone."""

from __future__ import annotations

import numpy as np

from offclip.data.loader import PixelStore
from offclip.data.sampling import Pairs
from offclip.evaluation.statistics.ranks import auc
from offclip.models.interface import ClipModel
from offclip.zeroshot.prompts import NORMAL_PROMPTS
from offclip.zeroshot.score import score_images


def early_metrics(model: ClipModel, store: PixelStore, pairs: Pairs) -> dict[str, float]:
    """Normal AUC by the paper's prompt and by the worst prompt, on the validation studies.

    Truth is the pair label that the labeller gave the report; uncertain studies are left out. Returns
    nothing when only one label is there.
    """
    normal = pairs.normal[~pairs.uncertain]
    if not normal.any() or normal.all():
        return {}
    rows = [
        images[0] for images, uncertain in zip(pairs.images, pairs.uncertain, strict=True) if not uncertain
    ]
    subset = PixelStore(
        tuple(store.image_ids[row] for row in rows),
        store.squares[rows],
        tuple(store.geometry[row] for row in rows),
    )
    scores = score_images(model, subset, NORMAL_PROMPTS)
    by_prompt = [auc(np.asarray(scores.of(prompt)), normal) for prompt in NORMAL_PROMPTS]
    return {"validation_normal_auc": by_prompt[0], "validation_worst_prompt_normal_auc": min(by_prompt)}
