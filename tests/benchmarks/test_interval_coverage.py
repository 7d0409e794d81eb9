"""Simulated test sets with a known AUC: how often the intervals hold it."""

from dataclasses import replace

import numpy as np
import pytest
from xray_modules import load

from offclip.evaluation.statistics import auc

study = load("interval_coverage")
CLUSTERED = next(scenario for scenario in study.SCENARIOS if scenario.images > 1)


def test_the_simulated_sets_have_the_auc_that_they_are_said_to_have():
    scenario = replace(CLUSTERED, positives=20_000, negatives=20_000)
    data = study.simulate(scenario, np.random.default_rng(0))
    assert auc(data.scores[:, 0], data.positive[:, 0]) == pytest.approx(0.85, abs=0.005)
    of_patient = data.scores[~data.positive[:, 0], 0].reshape(-1, 2)
    assert np.corrcoef(of_patient.T)[0, 1] == pytest.approx(0.8, abs=0.02)
    several = next(scenario for scenario in study.SCENARIOS if len(scenario.auc) == 5)
    data = study.simulate(replace(several, positives=20_000, negatives=20_000), np.random.default_rng(0))
    found = [auc(scores, truth) for scores, truth in zip(data.scores.T, data.positive.T, strict=True)]
    assert found == pytest.approx(several.auc, abs=0.006)


def test_resampling_patients_covers_where_resampling_images_does_not():
    small = replace(CLUSTERED, positives=30, negatives=70, correlation=0.95)
    covers = study.coverage(small, sets=150, resamples=150)
    for name in ("bootstrap", "delong logit", "delong plain"):
        assert 0.90 <= covers[name] <= 0.99, name
    for name in ("bootstrap of images", "delong of images"):
        assert covers[name] < 0.90, name


@pytest.mark.slow
@pytest.mark.parametrize("scenario", study.SCENARIOS, ids=lambda scenario: scenario.name)
def test_intervals_cover_the_truth_in_93_to_97_percent_of_1000_sets(scenario):
    covers = study.coverage(scenario, sets=1000, resamples=1000)
    assert {name: covers[name] for name in scenario.expected if not 0.93 <= covers[name] <= 0.97} == {}
    if scenario.images > 1:
        assert covers["bootstrap of images"] < 0.93
        assert covers["delong of images"] < 0.93
