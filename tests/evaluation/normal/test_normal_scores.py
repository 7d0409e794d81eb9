"""Normal scores against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from offclip.errors import DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.normal.scores import (
    MARGIN_MAX,
    MARGIN_SUM,
    NEG_MAX,
    NEG_MEAN,
    normal_scores,
    reported_score,
)


def _cases(scores, normal_scores=None):
    n = len(scores)
    names = ["mass", "edema"][: np.shape(scores)[1]]
    return Cases.of(
        [f"i{i}" for i in range(n)],
        names,
        scores,
        np.zeros_like(scores, float),
        normal=[1.0, 0.0][:n],
        normal_scores=normal_scores,
    )


def test_without_a_prompt_the_findings_make_two_scores_and_the_mean_is_reported():
    cases = _cases([[1.0, 3.0], [-1.0, 0.0]])
    scores = normal_scores(cases)
    assert list(scores) == [NEG_MEAN, NEG_MAX]
    assert scores[NEG_MEAN].tolist() == [-2.0, 0.5]
    assert scores[NEG_MAX].tolist() == [-3.0, 0.0]
    assert reported_score(cases) == NEG_MEAN


def test_one_prompt_has_margins_and_no_ensemble():
    cases = _cases([[0.0, np.log(3.0)], [1.0, 1.0]], {"There is no finding.": np.array([2.0, 0.5])})
    scores = normal_scores(cases)
    assert list(scores) == ["There is no finding.", NEG_MEAN, NEG_MAX, MARGIN_MAX, MARGIN_SUM]
    assert scores[MARGIN_MAX] == pytest.approx([2 - np.log(3), -0.5])
    assert scores[MARGIN_SUM] == pytest.approx([2 - np.log(4), 0.5 - 1 - np.log(2)])
    assert reported_score(cases) == "There is no finding."


def test_several_prompts_are_averaged_and_the_margins_take_the_first():
    cases = _cases(
        [[0.0, 0.0], [0.0, 0.0]],
        {"a": np.array([1.0, 2.0]), "b": np.array([3.0, -2.0]), "c": np.array([2.0, 0.0])},
    )
    scores = normal_scores(cases)
    assert scores["ensemble of 3 prompts"].tolist() == [2.0, 0.0]
    assert scores[MARGIN_MAX].tolist() == [1.0, 2.0]


def test_the_margin_over_the_sum_ranks_as_the_softmax_probability_of_the_prompt():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 2)) * 5
    prompt = rng.normal(size=2)
    margin = normal_scores(_cases(logits, {"p": prompt}))[MARGIN_SUM]
    everything = np.column_stack([prompt, logits])
    softmax = np.exp(prompt) / np.exp(everything).sum(axis=1)
    assert 1 / (1 + np.exp(-margin)) == pytest.approx(softmax)


def test_large_logits_do_not_overflow():
    scores = normal_scores(_cases([[2000.0, 1000.0], [0.0, 0.0]], {"p": np.zeros(2)}))
    assert scores[MARGIN_SUM][0] == -2000.0


def test_prompts_without_findings_have_no_score_of_findings():
    cases = Cases.of(
        ["a"], [], np.empty((1, 0)), np.empty((1, 0)), normal=[1.0], normal_scores={"p": np.array([0.5])}
    )
    assert list(normal_scores(cases)) == ["p"]


def test_nothing_scored_and_scores_that_are_not_finite_are_refused():
    empty = Cases.of(["a"], [], np.empty((1, 0)), np.empty((1, 0)), normal=[1.0])
    with pytest.raises(DataError, match="neither a normal score nor a finding"):
        normal_scores(empty)
    with pytest.raises(DataError, match=r"1 of 2 scores of '-mean\(findings\)' are not finite"):
        normal_scores(_cases([[np.nan, 0.0], [1.0, 1.0]]))
