"""What is known of the data: source, numbers, labels, protocol."""

from __future__ import annotations

from offclip.evaluation.results.facts.fact import RUN, Fact
from offclip.evaluation.results.known import Known
from offclip.evaluation.results.reading import at, block, number, text, whole
from offclip.evaluation.results.wording import count


def data_source(known: Known) -> Fact | None:
    """What was evaluated on."""
    run = block(known.results, "run")
    named = text(run.get("data")) or text(run.get("labels"))
    protocol = block(known.results, "protocol")
    title = text(protocol.get("title")) if protocol.get("variant") != "open" else None
    print_ = text(run.get("data_fingerprint"))
    if not named and not print_:
        return None
    told = [f"Protocol: {title}."] if title else []
    told += [f"Data: {named}."] if named else []
    told += [f"Split: {run['split']}."] if text(run.get("split")) else []
    told += [f"Fingerprint: {print_}."] if print_ else []
    return Fact(" ".join(told), "results.json, run")


def sizes(known: Known) -> Fact | None:
    """How many cases, images, studies and patients were reported on."""
    run = block(known.results, "run")
    told = [
        f"{count(found)} {name}"
        for name in ("cases", "images", "studies", "patients")
        if (found := number(run.get(name))) is not None
    ]
    if not told:
        return None
    normal = block(known.results, "normal")
    shares = [
        f"{count(found)} {word}"
        for name, word in (("normals", "normal"), ("abnormals", "abnormal"), ("unknown", "not known"))
        if (found := number(normal.get(name))) is not None
    ]
    told_shares = f" Of the cases: {', '.join(shares)}." if shares else ""
    return Fact(f"{', '.join(told)} (unit: {run.get('unit')}).{told_shares}", "results.json, run")


def validation(known: Known) -> Fact | None:
    """How many validation cases stood beside the reported ones."""
    run = block(known.results, "run")
    found = whole(run.get("validation_cases"))
    if found is None:
        return None
    reported = f"Reported on: {text(run.get('split')) or 'all'}, {count(number(run.get('cases')))} cases."
    beside = f" Validation: {count(found)} cases." if found else " No validation cases."
    trained = known.training_data.get("studies")
    return Fact(reported + beside + (f" Training: {count(trained)} studies." if trained else ""), RUN)


def missing_truth(known: Known) -> Fact | None:
    """What happens to labels that are not known, and how many there are."""
    unknown = [
        found
        for row in block(known.results, "per_class").values()
        if (found := number(at(row, "unknown"))) is not None
    ]
    if not unknown:
        return None
    told = f"Unknown labels: {count(sum(unknown))} over {len(unknown)} classes; they count in no class."
    left_out = block(known.results, "left_out")
    told += f" Classes left out of the means: {', '.join(left_out)}." if left_out else ""
    return Fact(told, "tables/per_class")


def reference_standard(known: Known) -> Fact | None:
    """Which rule made the truth; None for label files whose making is not known."""
    protocol = block(known.results, "protocol")
    if not text(protocol.get("source")) or protocol.get("variant") in (None, "open"):
        return None
    told = f"Labels as the protocol {protocol.get('name')} ({protocol.get('hash')}) makes them."
    return Fact(f"{told} Rules read in: {protocol['source']}", "results.json, protocol")


def exclusions(known: Known) -> Fact | None:
    """What the protocol does that a reader must know, and which classes were left out."""
    protocol = block(known.results, "protocol")
    quirks = [str(quirk) for quirk in protocol.get("quirks") or ()]
    left_out = block(known.results, "left_out")
    told = [f"Protocol: {quirk.rstrip('.')}." for quirk in quirks]
    told += [f"Class left out: {name} ({reason})." for name, reason in left_out.items()]
    told += [str(note) for note in at(known.results, "notes") or () if "left out" in str(note)]
    return Fact(" ".join(told), "results.json, protocol") if told else None


def protocol(known: Known) -> Fact | None:
    """Name and hash of the protocol."""
    found = block(known.results, "protocol")
    if not text(found.get("hash")):
        return None
    return Fact(f"Protocol {found.get('name')}, hash {found['hash']}.", "results.json, protocol")


def audit(known: Known) -> Fact | None:
    """What is kept."""
    if not text(at(known.results, "protocol", "hash")):
        return None
    told = "Scores and labels of every case are kept, with the protocol's hash and the data's fingerprint."
    return Fact(told, "cases.parquet, results.json")
