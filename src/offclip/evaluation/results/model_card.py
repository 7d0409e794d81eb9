"""A model card: what a model is, what it was measured to do, and what is not known of it.

Source:
    Mitchell et al., Model Cards for Model Reporting, FAT* 2019 (doi:10.1145/3287560.3287596): the sections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from offclip.evaluation.results.facts import FACTS
from offclip.evaluation.results.known import AUTHORS, NOT_KNOWN, Known
from offclip.evaluation.results.markup import escape_markdown, markdown
from offclip.evaluation.results.reading import at, block, text
from offclip.evaluation.results.tables import caption, tables_of
from offclip.evaluation.results.wording import count

LIMITS = (
    "For research only. This is not a medical device, and there is no clinical validation.",
    "The numbers are about the data they were measured on. They do not carry over to another hospital, "
    "device, population or time without a new evaluation there.",
)
OUT_OF_SCOPE = (
    "Diagnosis, triage, or any decision about a patient.",
    "Images other than chest radiographs, and findings that were not evaluated.",
    "Ruling out disease at a sensitivity whose claim the tables call refused or not supported.",
    "Probabilities: a score is no probability unless a calibration is reported, and then only on data like "
    "those it was fitted on.",
)
ETHICS = (
    "A normal case that is called abnormal costs work and worry; an abnormal case that is called normal may "
    "be missed care. The threshold between them is a clinical decision that this evaluation does not take.",
    "A mean hides groups of patients. Where the subgroups are not known, nothing is known about fairness.",
    "Labels that were extracted from reports repeat the habits and errors of those reports.",
)
_TABLES = (
    "summary",
    "per_class",
    "normal_scores",
    "rule_out",
    "groups",
    "subgroups",
    "negation_per_class",
    "grounding",
)
_LONGEST = 40


def model_card(
    results: Mapping[str, Any],
    *,
    checkpoint_card: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> str:
    """A model card, filled in with what is known; the rest says "not known".

    Args:
        results: The content of `results.json`.
        checkpoint_card: `card.json` of the model; None for scores that were made elsewhere.
        training: `config` and `environment` of the run folder, as `read_known` gives them.

    Returns:
        Markdown.
    """
    known = Known.of(results, checkpoint_card, training)
    name = text(at(results, "run", "name")) or "a model"
    lines = [f"# Model card: {escape_markdown(name)}", "", escape_markdown(caption(results))]
    for heading, body in _sections(known):
        lines += ["", f"## {heading}", "", *body]
    return "\n".join(lines) + "\n"


def _sections(known: Known) -> list[tuple[str, list[str]]]:
    return [
        ("Model details", _details(known)),
        ("Intended use", _use(known)),
        ("Factors", _factors(known)),
        (
            "Metrics",
            _facts(known, {"Measures": "metrics", "Uncertainty": "statistics", "Cut-offs": "cutoffs"}),
        ),
        ("Evaluation data", _evaluation_data(known)),
        ("Training data", _training_data(known)),
        ("Quantitative analyses", _numbers(known)),
        ("Ethical considerations", _list(ETHICS)),
        ("Caveats and recommendations", _caveats(known)),
    ]


def _details(known: Known) -> list[str]:
    model = text(at(known.results, "run", "model"))
    said = {
        "Model": model,
        **({} if model else {"Scores made elsewhere": text(at(known.results, "run", "scores"))}),
        "Made by": AUTHORS,
        "Licence of the weights": text(known.card.get("licence")),
    }
    return [
        *_pairs(said),
        *_facts(
            known,
            {
                "Architecture": "model_description",
                "Pre-processing": "preprocessing",
                "Weights began": "initialisation",
                "Training": "training",
                "Choice of weights": "selection",
                "Prompts and views": "ensembling",
                "Versions": "software",
                "File": "availability",
            },
        ),
    ]


def _use(known: Known) -> list[str]:
    return [
        *_facts(known, {"As its card says": "intended_use"}),
        *_pairs({"Intended users": AUTHORS}),
        *_list(LIMITS),
        "",
        "Out of scope:",
        "",
        *_list(OUT_OF_SCOPE),
    ]


def _factors(known: Known) -> list[str]:
    return [
        *_facts(known, {"Evaluated": "subgroups"}),
        *_pairs({"Relevant, such as devices, views, severity, origin": AUTHORS}),
    ]


def _evaluation_data(known: Known) -> list[str]:
    return _facts(
        known,
        {
            "Source": "data_source",
            "Size": "sizes",
            "Partitions": "validation",
            "Truth": "reference_standard",
            "Exclusions and quirks": "exclusions",
            "Missing truth": "missing_truth",
        },
    )


def _training_data(known: Known) -> list[str]:
    counts = {name.replace("_", " "): value for name, value in known.training_data.items()}
    told = ", ".join(f"{count(value)} {name}" for name, value in counts.items())
    return _pairs(
        {
            "Size": told or None,
            "Fingerprint": text(known.training.get("data")),
            "Source and population": AUTHORS if known.training_data else None,
        }
    )


def _numbers(known: Known) -> list[str]:
    lines: list[str] = []
    for table in tables_of(known.results):
        if table.name not in _TABLES:
            continue
        if len(table.frame) > _LONGEST:
            lines += [f"{table.title} {len(table.frame)} rows: see tables/{table.name}.md.", ""]
        else:
            lines += [*markdown(table, "").splitlines(), ""]
    return lines[:-1] or _list(["Nothing was measured."])


def _caveats(known: Known) -> list[str]:
    told = []
    if any("optimistic" in source for source in _threshold_sources(known)):
        told.append(
            "Some thresholds were set on the reported cases themselves: their numbers are optimistic."
        )
    left_out = block(known.results, "left_out")
    if left_out:
        told.append(f"Nothing is known of: {', '.join(left_out)}; they are in no mean.")
    refused = [
        f"{row['sensitivity']:g}"
        for row in at(known.results, "normal", "rule_out") or ()
        if row.get("claim") not in (None, "supported")
    ]
    if refused:
        told.append(f"These sensitivities cannot be claimed, see the rule-out table: {', '.join(refused)}.")
    if not at(known.results, "normal", "subgroups"):
        told.append("Subgroups by view, age, sex or source: not known.")
    if not at(known.results, "normal"):
        told.append("How well normal cases are told from abnormal ones: not known.")
    told += [str(note) for note in at(known.results, "notes") or ()]
    told.append("Evaluate again, on your own cases, before any use; the protocol and its hash say how.")
    return _list([escape_markdown(line) for line in told])


def _threshold_sources(known: Known) -> list[str]:
    rows = block(known.results, "per_class").values()
    found = [text(at(row, "operating_point", "from")) for row in rows]
    found += [text(at(row, "from")) for row in at(known.results, "normal", "rule_out") or ()]
    return [source for source in found if source]


def _facts(known: Known, wanted: Mapping[str, str]) -> list[str]:
    found = {label: FACTS[name](known) for label, name in wanted.items()}
    return _pairs({label: fact.text if fact else None for label, fact in found.items()})


def _pairs(said: Mapping[str, str | None]) -> list[str]:
    return [f"- **{label}**: {escape_markdown(value or NOT_KNOWN)}" for label, value in said.items()]


def _list(lines: Sequence[str]) -> list[str]:
    return [f"- {line}" for line in lines]
