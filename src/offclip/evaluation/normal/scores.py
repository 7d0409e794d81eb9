"""Scores of being normal: the prompts that were asked, and what the findings say about it."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from offclip.errors import DataError
from offclip.evaluation.cases import Cases

NEG_MEAN = "-mean(findings)"
NEG_MAX = "-max(findings)"
MARGIN_MAX = "margin over max(findings)"
MARGIN_SUM = "margin over logsumexp(findings)"


def normal_scores(cases: Cases) -> dict[str, np.ndarray]:
    """Every normal score that the cases give, the one that is reported first.

    With p the score of the first prompt and f_1 .. f_C the scores of the findings of one case:

    - each prompt that was asked, as it is;
    - "ensemble of N prompts": the mean of the prompts' scores, when there are several;
    - "-mean(findings)": -(f_1 + .. + f_C) / C;
    - "-max(findings)": -max f_c;
    - "margin over max(findings)": p - max f_c;
    - "margin over logsumexp(findings)": p - log(exp f_1 + .. + exp f_C), which is, up to a monotone map, the
      softmax probability of the prompt beside the findings.

    The margins compare a prompt with findings, so they mean something only where one model gave both on one
    scale of logits. Without a prompt "-mean(findings)" is the reported score.

    Returns:
        From name to (N,), higher where normal is likelier.

    Raises:
        DataError: There is neither a prompt nor a finding, or a score is not finite.

    Example:
        >>> cases = Cases.of(["a", "b"], ["edema", "mass"], [[2.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 0]])
        >>> {name: score.tolist() for name, score in normal_scores(cases).items()}
        {'-mean(findings)': [-1.0, -0.5], '-max(findings)': [-2.0, -1.0]}
    """
    result = {name: np.asarray(score, np.float64) for name, score in cases.normal_scores.items()}
    prompts = list(result.values())
    if len(prompts) > 1:
        result[ensemble_name(len(prompts))] = np.mean(prompts, axis=0)
    if cases.findings:
        result[NEG_MEAN] = -cases.scores.mean(axis=1)
        result[NEG_MAX] = -cases.scores.max(axis=1)
        if prompts:
            result[MARGIN_MAX] = prompts[0] - cases.scores.max(axis=1)
            result[MARGIN_SUM] = prompts[0] - logsumexp(cases.scores, axis=1)
    if not result:
        raise DataError(
            "There is neither a normal score nor a finding.", "Give scores of at least one class or prompt."
        )
    for name, score in result.items():
        if not np.isfinite(score).all():
            raise DataError(
                f"{int((~np.isfinite(score)).sum())} of {len(score)} scores of {name!r} are not finite.",
                "Find their images and score them again.",
            )
    return result


def reported_score(cases: Cases) -> str:
    """Name of the score that is reported: the first prompt, or "-mean(findings)" when none was asked."""
    return next(iter(cases.normal_scores), NEG_MEAN)


def ensemble_name(n: int) -> str:
    """What the mean of n prompts is called."""
    return f"ensemble of {n} prompts"
