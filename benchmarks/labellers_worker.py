"""Runs negspacy or medspacy over texts; called by labellers.py with the Python of the package's environment.

    python labellers_worker.py JOB.json RESULT.json

JOB: package, findings, neutral, reports, sentences. RESULT: for each report and sentence whether a finding is
present in it, the CPU seconds that the reports took, and the versions. Needs nothing of offclip.
"""

import importlib
import json
import sys
import time
import types
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

# medspacy imports its UMLS look-up at the start, whose C++ parts are not needed here and seldom install.
UNUSED = {"medspacy": ("quickumls",)}
WARM_UP = 20


def make_pipeline(package: str, findings: list[str], neutral: list[str]) -> Any:
    """Blank English, sentences at punctuation marks, phrases as entities, and the package's negation."""
    spacy = importlib.import_module("spacy")
    for name in UNUSED.get(package, ()):
        stub = types.ModuleType(name)
        stub.__dict__["spacy_component"] = None
        sys.modules[name] = stub
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    ruler = nlp.add_pipe("entity_ruler", config={"phrase_matcher_attr": "LOWER"})
    ruler.add_patterns(
        [{"label": "FINDING", "pattern": phrase} for phrase in findings]
        + [{"label": "NEUTRAL", "pattern": phrase} for phrase in neutral]
    )
    if package == "negspacy":
        importlib.import_module("negspacy.negation")
        terms = importlib.import_module("negspacy.termsets").termset("en_clinical")
        nlp.add_pipe("negex", config={"neg_termset": terms.get_patterns()})
    else:
        importlib.import_module("medspacy.context")
        nlp.add_pipe("medspacy_context")
    return nlp


def is_present(package: str) -> Callable[[Any], bool]:
    """Whether an entity is there by the package's word; a doubtful finding is, as for offclip."""
    if package == "negspacy":
        return lambda entity: not entity._.negex
    return lambda entity: not (entity._.is_negated or entity._.is_hypothetical or entity._.is_family)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Labels the reports, timed, and the sentences."""
    nlp = make_pipeline(job["package"], job["findings"], job["neutral"])
    present = is_present(job["package"])

    def abnormal(texts: list[str]) -> list[bool]:
        return [
            any(entity.label_ == "FINDING" and present(entity) for entity in document.ents)
            for document in nlp.pipe(texts)
        ]

    abnormal(job["reports"][:WARM_UP])
    begin = time.process_time()
    reports = abnormal(job["reports"])
    seconds = time.process_time() - begin
    versions = {name: version(name) for name in (job["package"], "spacy")}
    sentences = abnormal(job["sentences"])
    return {"reports": reports, "sentences": sentences, "seconds": seconds, "versions": versions}


if __name__ == "__main__":
    answer = run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")
