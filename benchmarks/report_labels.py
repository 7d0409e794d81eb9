"""Measures report labelling by rule: agreement with human coding and labels, and speed.

    python benchmarks/report_labels.py --data ../shared/data

The folder holds `openi_reports/metadata.csv` (Open-I reports with MeSH coding) and
`sentence_labels/sentences.csv` (sentences labelled by hand). See docs/labelling.md for the results.
"""

import argparse
import csv
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from offclip.reports import Conventions, ReportLabel, RuleLabeller, label_report, label_sentence

REPORTS = Path("openi_reports", "metadata.csv")
SENTENCES = Path("sentence_labels", "sentences.csv")
# Reports coded only so carry no statement on the image.
UNUSABLE = "Technical Quality of Image Unsatisfactory"


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_reports(path: Path) -> list[tuple[int, str, bool]]:
    """Return uid, text and MeSH-abnormal of the usable Open-I reports."""
    reports = []
    for row in read_rows(path):
        parts = [
            f"{name.upper()}: {row[name].strip()}" for name in ("findings", "impression") if row[name].strip()
        ]
        if row["no_indexing"] == "1" or row["mesh_major"].strip() == UNUSABLE or not parts:
            continue
        reports.append(
            (int(row["uid"].removeprefix("CXR")), "\n".join(parts), row["abnormal_annotation"] == "1")
        )
    return reports


def agreement(reports: list[tuple[int, str, bool]], labels: list[ReportLabel]) -> str:
    """Compare labels with MeSH; an uncertain report counts as wrong."""
    counts: dict[tuple[bool, str], int] = defaultdict(int)
    for (_, _, abnormal), report in zip(reports, labels, strict=True):
        counts[abnormal, report.label] += 1
    true_abnormal, true_normal = counts[True, "abnormal"], counts[False, "normal"]
    positives = sum(count for (abnormal, _), count in counts.items() if abnormal)
    uncertain = counts[True, "uncertain"] + counts[False, "uncertain"]
    total = sum(counts.values())
    return (
        f"n {total:5d}  accuracy {(true_abnormal + true_normal) / total:.4f}  "
        f"sensitivity {true_abnormal / positives:.4f}  "
        f"specificity {true_normal / (total - positives):.4f}  uncertain {uncertain}"
    )


def print_documents(reports: list[tuple[int, str, bool]]) -> None:
    """Print agreement on all, even and odd uids, and for the recall-first policy."""
    recall_first = RuleLabeller(conventions=Conventions(undecided="abnormal"))
    for name, label in (
        ("default", label_report),
        ("recall-first", lambda text: label_report(text, labeller=recall_first)),
    ):
        labels = [label(text) for _, text, _ in reports]
        for part, keep in (("all", (0, 1)), ("even uids", (0,)), ("odd uids", (1,))):
            chosen = [i for i, (uid, _, _) in enumerate(reports) if uid % 2 in keep]
            line = agreement([reports[i] for i in chosen], [labels[i] for i in chosen])
            print(f"Open-I against MeSH, {name:12s} {part:9s} {line}")


def print_sentences(rows: list[dict[str, str]]) -> None:
    """Print agreement with the hand labels, uncertain rows apart."""
    right: dict[str, list[bool]] = defaultdict(list)
    uncertain, others = [], []
    for row in rows:
        label = label_sentence(row["sentence"]).label
        if row["label"] == "uncertain":
            uncertain.append(label == "uncertain")
        else:
            right[row["split"]].append(label == row["label"])
            others.append(label == "uncertain")
    for split, hits in right.items():
        print(f"sentences {split:12s} {sum(hits)}/{len(hits)} = {sum(hits) / len(hits):.4f}")
    print(
        f"uncertain rows found {sum(uncertain)}/{len(uncertain)}; of the others {sum(others)}/{len(others)}"
    )


def print_speed(texts: list[str]) -> None:
    """Print reports per second with a full cache and without one."""
    labeller = RuleLabeller()

    def uncached(text: str) -> ReportLabel:
        return label_report(text, labeller=labeller)

    runs: tuple[tuple[str, Callable[[str], ReportLabel]], ...] = (
        ("sentence cache filled", label_report),
        ("no cache", uncached),
    )
    for name, label in runs:
        best = float("inf")
        for _ in range(3):
            begin = time.perf_counter()
            for text in texts:
                label(text)
            best = min(best, time.perf_counter() - begin)
        print(f"speed, {name}: {len(texts) / best:,.0f} reports/s (one core, best of 3)")


def main() -> int:
    """Run the benchmark; exit status 2 where the data is absent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the data sets")
    data = parser.parse_args().data
    missing = [str(data / path) for path in (REPORTS, SENTENCES) if not (data / path).is_file()]
    if missing:
        print(f"{missing[0]} is not there. Give the folder that holds it with --data PATH.", file=sys.stderr)
        return 2
    reports = read_reports(data / REPORTS)
    begin = time.perf_counter()
    for _, text, _ in reports:
        label_report(text)
    print(
        f"speed, cache filling: {len(reports) / (time.perf_counter() - begin):,.0f} reports/s, start included"
    )
    print_speed([text for _, text, _ in reports])
    print_documents(reports)
    print_sentences(read_rows(data / SENTENCES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
