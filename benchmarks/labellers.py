"""Compares the rule labeller with negspacy, medspacy, simple baselines and TF-IDF; prints Markdown tables.

    python benchmarks/labellers.py --data ../shared/data --env runs/labellers-env

Reads `openi_reports/metadata.csv` (Open-I with MeSH coding; reports left out as in report_labels.py) and
`sentence_labels/sentences.csv` (labelled by hand). Makes a virtual environment for each package in --env,
which takes a network or a mirror of PyPI; what cannot be installed says so in its row. The TF-IDF row wants
scikit-learn (extra `test`). A package gets each word list of labellers_lists.py; a report or sentence is
abnormal when one of the findings is present by the package's word. The packages get the reports without
section headings and hyphens, each part closed by a period. Speed is by CPU time, so that a busy machine does
not count.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labellers_baselines import fit_tfidf, keyword, not_called_normal
from labellers_env import INSTALLS, PackageError, ask, install
from labellers_lists import CHEXPERT_STYLE, WordList, own_lexicon
from offclip.reports import Conventions, Label, ReportLabeller, RuleLabeller
from report_labels import REPORTS, SENTENCES, read_reports, read_rows


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is labelled, and the truth.

    Attributes:
        uids: Open-I numbers.
        reports: Findings and impression with their headings.
        plain: The same without headings and hyphens, for the packages.
        abnormal: MeSH says abnormal.
        sentences: Hand-labelled sentences, uncertain ones left out.
        plain_sentences: The same without hyphens.
        labels: Their labels.
        splits: The part of the collection each comes from.
    """

    uids: tuple[int, ...]
    reports: tuple[str, ...]
    plain: tuple[str, ...]
    abnormal: tuple[bool, ...]
    sentences: tuple[str, ...]
    plain_sentences: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """What one method says; empty with a note where it could not run.

    Attributes:
        method: For the table.
        words: The word list it was given, or "".
        reports: Label of each report; None for one that the method was trained on.
        sentences: Label of each sentence.
        per_second: Reports a second on one core.
        note: Versions, or why there is nothing.
    """

    method: str
    words: str = ""
    reports: tuple[str | None, ...] = ()
    sentences: tuple[str, ...] = ()
    per_second: float | None = None
    note: str = ""


def read_corpus(data: Path) -> Corpus:
    """Reads reports and sentences."""
    uids, reports, abnormal = zip(*read_reports(data / REPORTS), strict=True)
    rows = [row for row in read_rows(data / SENTENCES) if row["label"] != "uncertain"]
    return Corpus(
        uids,
        reports,
        tuple(without_hyphens(without_headings(report)) for report in reports),
        abnormal,
        tuple(row["sentence"] for row in rows),
        tuple(without_hyphens(row["sentence"]) for row in rows),
        tuple(row["label"] for row in rows),
        tuple(row["split"] for row in rows),
    )


def without_headings(report: str) -> str:
    r"""One line, the headings of `read_reports` taken off, each part closed by a period.

    Example:
        >>> without_headings("FINDINGS: Clear lungs\nIMPRESSION: Normal chest.")
        'Clear lungs. Normal chest.'
    """
    parts = [" ".join(line.partition(": ")[2].split()) for line in report.splitlines()]
    return " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in parts if part)


def without_hyphens(text: str) -> str:
    """Blanks for the hyphens inside words, as offclip's own tokens have it.

    Example:
        >>> without_hyphens("Air-space opacity - new.")
        'Air space opacity - new.'
    """
    return re.sub(r"(?<=\w)-(?=\w)", " ", text)


def own_rows(corpus: Corpus) -> Iterator[Row]:
    """The rules with their defaults, and the recall-first policy; no sentence is known at the start."""
    policies: tuple[tuple[str, Label], ...] = (
        ("offclip rules", "uncertain"),
        ("offclip rules, recall-first", "abnormal"),
    )
    for name, undecided in policies:
        rules = RuleLabeller(conventions=Conventions(undecided=undecided))
        label = ReportLabeller(rules)
        label("Normal chest.")
        begin = time.process_time()
        reports = tuple(label(text).label for text in corpus.reports)
        seconds = time.process_time() - begin
        sentences = tuple(rules(sentence).label for sentence in corpus.sentences)
        yield Row(name, "", reports, sentences, len(reports) / seconds)


def package_rows(package: str, corpus: Corpus, lists: Sequence[WordList], folder: Path) -> Iterator[Row]:
    """One row a word list, or a single one that says why there is none."""
    try:
        python = install(package, folder)
    except PackageError as error:
        yield Row(package, note=error.message)
        return
    for words in lists:
        name = f"{words.name}, {len(words.findings):,} phrases"
        try:
            answer = ask(package, python, words, corpus.plain, corpus.plain_sentences, folder)
        except PackageError as error:
            yield Row(package, name, note=error.message)
            continue
        yield Row(
            package,
            name,
            _labels(answer.reports),
            _labels(answer.sentences),
            len(corpus.plain) / answer.seconds,
            ", ".join(f"{part} {version}" for part, version in answer.versions.items()),
        )


def simple_rows(corpus: Corpus) -> Iterator[Row]:
    """Keywords without negation, one phrase, and TF-IDF trained on the reports with even numbers."""
    methods: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("any finding of offclip's lexicon, negated or not", keyword()),
        ('normal if it says "no acute ..."', not_called_normal),
    )
    for name, method in methods:
        begin = time.process_time()
        reports = _labels([method(text) for text in corpus.plain])
        seconds = time.process_time() - begin
        sentences = _labels([method(sentence) for sentence in corpus.sentences])
        yield Row(name, "", reports, sentences, len(reports) / seconds)
    odd = [bool(uid % 2) for uid in corpus.uids]
    train = [i for i, measured in enumerate(odd) if not measured]
    name = "TF-IDF + logistic regression, trained on the even half"
    try:
        predict = fit_tfidf([corpus.plain[i] for i in train], [corpus.abnormal[i] for i in train])
    except ImportError as error:
        yield Row(name, note=f"not run: {error}")
        return
    begin = time.process_time()
    labels = _labels(predict(corpus.plain))
    seconds = time.process_time() - begin
    measured = tuple(label if keep else None for label, keep in zip(labels, odd, strict=True))
    yield Row(name, "", measured, (), len(labels) / seconds)


def _labels(abnormal: Sequence[bool]) -> tuple[str, ...]:
    return tuple("abnormal" if flag else "normal" for flag in abnormal)


def document_cells(corpus: Corpus, row: Row) -> list[str]:
    """Accuracy on all, even and odd numbers, then sensitivity and specificity; uncertain counts as wrong."""
    if not row.reports:
        return ["-"] * 5
    judged = list(zip(corpus.uids, corpus.abnormal, row.reports, strict=True))

    def rate(keep: Callable[[int, bool], bool]) -> str:
        chosen = [(abnormal, label) for uid, abnormal, label in judged if keep(uid, abnormal)]
        if not chosen or any(label is None for _, label in chosen):
            return "-"
        return share(
            sum(label == ("abnormal" if truth else "normal") for truth, label in chosen), len(chosen)
        )

    # A method that was trained on the even half is judged by the odd half in every column.
    half = {1} if any(label is None for label in row.reports) else {0, 1}
    return [
        rate(lambda uid, truth: True),
        rate(lambda uid, truth: uid % 2 == 0),
        rate(lambda uid, truth: uid % 2 == 1),
        rate(lambda uid, truth: truth and uid % 2 in half),
        rate(lambda uid, truth: not truth and uid % 2 in half),
    ]


def sentence_cells(corpus: Corpus, row: Row) -> list[str]:
    """Share of right sentences in each split."""
    cells = []
    for split in dict.fromkeys(corpus.splits):
        chosen = [i for i, other in enumerate(corpus.splits) if other == split]
        right = sum(row.sentences[i] == corpus.labels[i] for i in chosen) if row.sentences else 0
        cells.append(share(right, len(chosen)) if row.sentences else "-")
    return cells


def share(right: int, total: int) -> str:
    """A share with three digits, as in the documents.

    Example:
        >>> share(1, 3), share(2, 2)
        ('.333', '1.000')
    """
    return f"{right / total:.3f}".removeprefix("0")


def tables(corpus: Corpus, rows: Sequence[Row]) -> str:
    """Both Markdown tables, and the notes below them."""
    splits = list(dict.fromkeys(corpus.splits))
    counts = [f"{split} (n = {corpus.splits.count(split)})" for split in splits]
    documents = [
        ["method", "word list", "accuracy", "even", "odd", "sensitivity", "specificity", "reports/s"]
    ]
    sentences = [["method", "word list", *counts]]
    for row in rows:
        speed = "-" if row.per_second is None else f"{row.per_second:,.0f}"
        documents.append([row.method, row.words, *document_cells(corpus, row), speed])
        sentences.append([row.method, row.words, *sentence_cells(corpus, row)])
    notes = [f"- {row.method}: {row.note}" for row in rows if row.note]
    title = f"Open-I against MeSH, n = {len(corpus.uids):,}"
    return "\n".join([title, "", _markdown(documents), "", _markdown(sentences), "", *dict.fromkeys(notes)])


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def main() -> int:
    """Runs the comparison; exit status 2 where the data is absent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the data sets")
    parser.add_argument("--env", type=Path, required=True, help="folder for the packages' environments; kept")
    arguments = parser.parse_args()
    missing = [
        str(path) for path in (arguments.data / REPORTS, arguments.data / SENTENCES) if not path.is_file()
    ]
    if missing:
        print(f"{missing[0]} is not there. Give the folder that holds it with --data PATH.", file=sys.stderr)
        return 2
    corpus = read_corpus(arguments.data)
    rows = [*own_rows(corpus), *simple_rows(corpus)]
    texts = (*corpus.plain, *corpus.plain_sentences)
    named = own_lexicon(texts, weak=False)
    lists = (CHEXPERT_STYLE, WordList("offclip's, no weak words", named.findings, named.neutral))
    lists = (*lists, own_lexicon(texts, weak=True))
    for package in INSTALLS:
        print(f"{package} ...", file=sys.stderr, flush=True)
        rows += package_rows(package, corpus, lists, arguments.env)
    print(tables(corpus, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
