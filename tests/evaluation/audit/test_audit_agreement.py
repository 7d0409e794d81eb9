"""What verdicts say of the whole table, against numbers worked by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audit_tables import counted_table
from sklearn.metrics import cohen_kappa_score

from offclip.errors import DataError
from offclip.evaluation.audit import Design, Verdict, VerdictFile, compare_readers, draw_sample, measure
from offclip.evaluation.audit.agreement import LABELS
from offclip.evaluation.audit.intervals import combine
from offclip.evaluation.statistics.estimate import wilson

COUNTS = (
    {("Very frequent.", "normal"): 500}
    | {(f"Normal {i}.", "normal"): 5 for i in range(60)}
    | {(f"Abnormal {i}.", "abnormal"): 2 for i in range(80)}
    | {(f"Unclear {i}.", "uncertain"): 1 for i in range(40)}
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    table = counted_table(tmp_path_factory.mktemp("agreement") / "t.parquet", COUNTS)
    return draw_sample(table, Design(n=70, minimum=15))


def judged(sample, verdict_of, reader="ab"):
    """A file of verdicts: `verdict_of` an item, None where it is not judged."""
    given = {item.id: verdict_of(item) for item in sample.items}
    verdicts = {i: Verdict(i, label, "", 2) for i, label in given.items() if label}
    return VerdictFile(Path(f"{reader}.csv"), reader, sample.design, sample.sha256, verdicts)


def flipped(sample, stratum, n, to):
    """The labels, but the first `n` drawn by chance in a stratum are judged otherwise."""
    loose = [i for i in sample.items if i.stratum == stratum and i.probability < 1][:n]
    ids = {item.id for item in loose}
    return lambda item: to if item.id in ids else item.label


def test_the_estimate_is_that_of_the_table(sample):
    drawn = {stratum.name: stratum.drawn for stratum in sample.strata}
    loose = drawn["normal"] - 1  # the very frequent one is certain
    result = measure(sample, judged(sample, flipped(sample, "normal", 3, "abnormal")))
    # 800 of the 1,000 sentences are normal, 500 of them certain; 300 are estimated from the others.
    assert result.overall.value == pytest.approx(1 - 0.3 * 3 / loose)
    rest = wilson(1 - 3 / loose, loose)
    full = [(160, wilson(1.0, drawn["abnormal"])), (40, wilson(1.0, drawn["uncertain"]))]
    expected = combine([(300, rest), (500, wilson(1.0, 1e12)), *full])
    assert (result.overall.low, result.overall.high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    horvitz_thompson = sum(
        item.count / item.probability
        for item in sample.items
        if flipped(sample, "normal", 3, "abnormal")(item) == item.label
    )
    assert result.overall.value == pytest.approx(horvitz_thompson / 1000)
    assert (result.judged, result.missing, len(result.disagreements)) == (70, 0, 3)
    assert result.covered == pytest.approx(1)


def test_the_confusion_table_and_its_kappa(sample):
    verdict_of = flipped(sample, "abnormal", 4, "uncertain")
    result = measure(sample, judged(sample, verdict_of))
    assert result.counts.sum() == 70
    assert result.counts[LABELS.index("abnormal"), LABELS.index("uncertain")] == 4
    assert result.shares.sum() == pytest.approx(1)
    assert result.shares.sum(axis=1) == pytest.approx([0.8, 0.16, 0.04])
    weights = [item.count / item.probability for item in sample.items]
    labels = [item.label for item in sample.items]
    verdicts = [verdict_of(item) for item in sample.items]
    assert result.kappa is not None
    assert result.kappa.value == pytest.approx(cohen_kappa_score(labels, verdicts, sample_weight=weights))
    assert result.kappa.low < result.kappa.value < result.kappa.high <= 1


def test_parts_by_label_and_rule(sample):
    result = measure(sample, judged(sample, flipped(sample, "abnormal", 4, "normal")))
    by_label = {group.name: group for group in result.labels}
    assert [group.share for group in result.labels] == pytest.approx([0.8, 0.16, 0.04])
    abnormal = by_label["abnormal"]
    expected = wilson((abnormal.judged - 4) / abnormal.judged, abnormal.judged)
    assert abnormal.agreement.value == pytest.approx(expected.value)
    assert abnormal.agreement.low == pytest.approx(expected.low)
    assert by_label["normal"].agreement.value == 1
    by_rule = {group.name: group for group in result.rules}
    assert set(by_rule) == {"negated", "asserted", "undecided"}
    assert by_rule["asserted"].agreed == abnormal.judged - 4
    assert sum(group.share for group in result.rules) == pytest.approx(1)


def test_without_strata_labels_are_estimated_parts(sample, tmp_path):
    table = counted_table(tmp_path / "t.parquet", COUNTS)
    flat = draw_sample(table, Design(n=70, stratify="none"))
    result = measure(flat, judged(flat, lambda item: item.label))
    assert [group.name for group in result.strata] == ["all"]
    assert sum(group.share for group in result.labels) == pytest.approx(1)
    assert {group.name for group in result.labels} == set(LABELS)
    assert result.overall.value == pytest.approx(1)


def test_a_census_is_certain(tmp_path):
    sample = draw_sample(counted_table(tmp_path / "t.parquet", COUNTS), Design(n=5000))
    wrong = {"Very frequent.", "Abnormal 3."}
    result = measure(sample, judged(sample, lambda i: "uncertain" if i.seen.text in wrong else i.label))
    assert result.overall.value == pytest.approx(1 - 502 / 1000)
    assert result.overall.low == result.overall.high == pytest.approx(result.overall.value)


def test_what_is_not_judged_is_missing_at_random(sample):
    some = {item.id for item in sample.items[::2]} | {i.id for i in sample.items if i.probability == 1}
    result = measure(sample, judged(sample, lambda item: item.label if item.id in some else None))
    assert result.missing == 70 - len(some)
    assert result.overall.value == pytest.approx(1)
    assert result.overall.low < measure(sample, judged(sample, lambda item: item.label)).overall.low


def test_a_frequent_sentence_not_judged_is_stood_for_by_the_others(sample):
    result = measure(sample, judged(sample, lambda i: None if i.seen.text == "Very frequent." else i.label))
    assert result.covered == pytest.approx(1)
    assert result.overall.value == pytest.approx(1)
    assert result.shares.sum(axis=1) == pytest.approx([0.8, 0.16, 0.04])


def test_strata_without_verdicts_are_left_out_and_said_so(sample):
    result = measure(sample, judged(sample, lambda i: None if i.label == "normal" else i.label))
    assert result.covered == pytest.approx(0.2)
    groups = {group.name: group for group in result.strata}
    assert groups["normal"].agreement is None
    assert groups["normal"].judged == 0
    assert result.overall.value == pytest.approx(1)


def test_only_one_label_leaves_kappa_undefined(tmp_path):
    sample = draw_sample(counted_table(tmp_path / "t.parquet", {("Clear.", "normal"): 3}), Design())
    assert measure(sample, judged(sample, lambda item: item.label)).kappa is None


def test_readers_are_compared_on_what_both_judged(sample):
    first = judged(sample, lambda item: item.label, "ab")
    second = judged(sample, flipped(sample, "abnormal", 2, "normal"), "")
    skipped = next(i.id for i in sample.items if i.stratum == "uncertain")
    second = replace(second, verdicts={k: v for k, v in second.verdicts.items() if k != skipped})
    result = compare_readers(sample, first, second)
    assert result.readers == ("ab", ".csv")
    assert result.judged == 69
    drawn = {stratum.name: stratum.drawn for stratum in sample.strata}["abnormal"]
    assert result.overall.value == pytest.approx(1 - 0.16 * 2 / drawn)
    assert [(one.label, other.label) for _, one, other in result.disputed] == [("abnormal", "normal")] * 2
    assert np.trace(result.counts) == 67


def test_readers_without_a_common_sentence(sample):
    ids = [item.id for item in sample.items]
    first = judged(sample, lambda item: item.label if item.id == ids[0] else None)
    second = judged(sample, lambda item: item.label if item.id == ids[1] else None)
    with pytest.raises(DataError, match="no judged sentence in common"):
        compare_readers(sample, first, second)
