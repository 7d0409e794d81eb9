"""Facts that the outputs of an evaluation establish; each is a sentence with the file that shows it.

A fact is None where nothing is known. No fact says more than the files do: what only the authors of a study
can know (its design, who read the images, why a reference standard was chosen) is not here.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from offclip.evaluation.results.facts.fact import Fact
from offclip.evaluation.results.facts.of_the_data import (
    audit,
    data_source,
    exclusions,
    missing_truth,
    protocol,
    reference_standard,
    sizes,
    validation,
)
from offclip.evaluation.results.facts.of_the_model import (
    availability,
    ensembling,
    initialisation,
    intended_use,
    model_description,
    preprocessing,
    selection,
    software,
    technology,
    training,
)
from offclip.evaluation.results.facts.of_the_numbers import (
    accuracy,
    cross_table,
    cutoffs,
    explainability,
    failures,
    measures,
    metrics,
    robustness,
    rule_out,
    statistics,
    subgroups,
)
from offclip.evaluation.results.known import Known

FACTS: Mapping[str, Callable[[Known], Fact | None]] = MappingProxyType(
    {
        fact.__name__: fact
        for fact in (
            technology,
            intended_use,
            model_description,
            preprocessing,
            software,
            initialisation,
            training,
            selection,
            ensembling,
            availability,
            data_source,
            sizes,
            validation,
            missing_truth,
            reference_standard,
            exclusions,
            protocol,
            audit,
            measures,
            metrics,
            statistics,
            cutoffs,
            subgroups,
            robustness,
            explainability,
            accuracy,
            cross_table,
            failures,
            rule_out,
        )
    }
)

__all__ = ["FACTS", "Fact"]
