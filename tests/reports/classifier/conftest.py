"""A small corpus that the rules decide, and a classifier fitted on it."""

import pytest

from offclip.reports import RuleLabeller
from offclip.reports.classifier.features import FeatureConfig
from offclip.reports.classifier.fit import Fitted, fit_classifier
from offclip.reports.classifier.settings import FitConfig, LinearConfig

FINDINGS = ("effusion", "pneumothorax", "consolidation", "nodule", "edema", "atelectasis", "mass", "fracture")
PLACES = ("left", "right", "bilateral")
ABNORMAL = [
    f"There is a {size} {side} {name}." for name in FINDINGS for side in PLACES for size in ("small", "new")
]
NORMAL = [f"No {side} {name} {end}." for name in FINDINGS for side in PLACES for end in ("is seen", "today")]
OTHER = [
    f"{view} of the chest {end}."
    for view in ("PA view", "Two views")
    for end in ("were obtained", "submitted")
]
SMALL = LinearConfig(FeatureConfig(bits=12))


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    """100 sentences of all three classes."""
    return [*ABNORMAL, *NORMAL, *OTHER]


@pytest.fixture(scope="session")
def small() -> LinearConfig:
    """Few columns, so that a fit takes no time."""
    return SMALL


@pytest.fixture(scope="session")
def fitted(corpus) -> Fitted:
    """A classifier of the corpus."""
    return fit_classifier(corpus, RuleLabeller(), config=FitConfig(validation=0.3), linear=SMALL)
