"""Files of verdicts: what is read, and what is refused with file and row."""

from __future__ import annotations

import csv
import json
import re

import pytest
from audit_tables import counted_table

from offclip.errors import DataError
from offclip.evaluation.audit import Design, draw_sample, hand_labels, read_verdicts

COUNTS = {("No effusion.", "normal"): 4, ("Effusion.", "abnormal"): 2, ("Compared.", "uncertain"): 1}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return draw_sample(counted_table(tmp_path_factory.mktemp("verdicts") / "t.parquet", COUNTS), Design())


@pytest.fixture
def write(sample, tmp_path):
    """Writes verdicts as CSV: one row an item, with the changes given by row index."""

    def write(changes=None, name="verdicts.csv", columns=("sample", "reader", "id", "verdict", "comment")):
        rows = [[sample.token, "ab", item.id, item.label, "so"] for item in sample.items]
        for (row, column), value in (changes or {}).items():
            rows[row][column] = value
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([columns, *rows])
        return tmp_path / name

    return write


def test_csv_and_json_say_the_same(sample, write, tmp_path):
    found = read_verdicts(write({(0, 4): 'with "quotes", é\nand lines', (1, 3): " Normal "}))
    assert (found.reader, found.design, found.sha256) == ("ab", sample.design, sample.sha256)
    assert found.verdicts[sample.items[0].id].comment == 'with "quotes", é\nand lines'
    assert found.verdicts[sample.items[1].id].label == "normal"
    assert [verdict.row for verdict in found.verdicts.values()] == [2, 3, 4]
    rows = [{"id": v.id, "verdict": v.label, "comment": v.comment} for v in found.verdicts.values()]
    content = {"format": "offclip-audit-verdicts", "sample": sample.token, "reader": "ab", "verdicts": rows}
    (tmp_path / "v.json").write_text(json.dumps(content))
    same = read_verdicts(tmp_path / "v.json")
    assert {k: v.label for k, v in same.verdicts.items()} == {k: v.label for k, v in found.verdicts.items()}
    found.check_sample(sample, "t.parquet")


def test_a_spreadsheet_may_have_saved_it(write, sample):
    path = write()
    text = path.read_text(encoding="utf-8")
    path.write_text("\ufeff" + text.replace(",", ";"), encoding="utf-8")
    assert len(read_verdicts(path).verdicts) == len(sample.items)


def test_sentences_not_judged_are_absent(write, sample):
    assert set(read_verdicts(write({(0, 3): ""})).verdicts) == {i.id for i in sample.items[1:]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({(1, 3): "benign"}, "row 3: unknown verdict 'benign'"),
        ({(1, 2): ""}, "row 3 has no id"),
        ({(1, 0): "another"}, "row 3 belongs to another sample"),
        ({(1, 1): "cd"}, "row 3 is by another reader"),
        ({(i, 0): "words" for i in range(3)}, "does not say which sample"),
        ({(i, 3): "" for i in range(3)}, "holds no verdict"),
    ],
)
def test_bad_rows_are_named(write, changes, message):
    path = write(changes)
    with pytest.raises(DataError, match=re.escape(str(path)) + f".*{message}") as caught:
        read_verdicts(path)
    assert caught.value.remedy


def test_a_doubled_id_is_named(write, sample):
    with pytest.raises(DataError, match=r"row 4: id 's\w+' stands in the file twice \(first in row 2\)"):
        read_verdicts(write({(2, 2): sample.items[0].id}))


def test_an_unknown_id_is_named(write, sample):
    found = read_verdicts(write({(1, 2): "s0000000000000000"}))
    with pytest.raises(DataError, match=r"row 3: unknown id 's0000000000000000'"):
        found.check_sample(sample, "t.parquet")


def test_verdicts_of_another_table_are_refused(write, tmp_path):
    found = read_verdicts(write())
    relabelled = counted_table(
        tmp_path / "t.parquet", {("No effusion.", "normal"): 5, ("Ax.", "abnormal"): 2}
    )
    with pytest.raises(DataError, match=r"gives [0-9a-f]{12}: the table is another one or was labelled anew"):
        found.check_sample(draw_sample(relabelled, found.design), relabelled)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.csv", b"", "column 'sample' is missing"),
        ("v.csv", b"sample,id\n", "column 'verdict' is missing"),
        ("v.csv", b"\xff\xfe\x00", "not a readable file"),
        ("v.csv", b"PK\x00\x00", "not a text file"),
        ("v.csv", b'sample,id,verdict\n"x', "not a readable file"),
        ("v.json", b"[]", "is no file of verdicts"),
        ("v.json", b"{", "not a readable file"),
        ("v.json", b"[" * 100_000, "not a readable file"),
        ("v.json", b'{"format": "offclip-audit-verdicts", "verdicts": [1]}', "must be a list of objects"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_verdicts(tmp_path / name)
    assert str(tmp_path / name) in caught.value.message
    with pytest.raises(DataError, match="no such file"):
        read_verdicts(tmp_path / "none.csv")


def test_hand_labels_are_the_readers(write, sample):
    changed = next(n for n, item in enumerate(sample.items) if item.label == "abnormal")
    first = read_verdicts(write({(changed, 3): "uncertain"}))
    table = hand_labels(sample, [first])
    labels = dict(table.select("sentence", "label").iter_rows())
    assert labels == {"No effusion.": "normal", "Effusion.": "uncertain", "Compared.": "uncertain"}
    corrected = hand_labels(sample, [first], disagreements=True)
    assert corrected.rows() == [("Effusion.", "uncertain", "abnormal", "asserted:effusion", "so")]
    second = read_verdicts(write(name="second.csv"))
    agreed = hand_labels(sample, [first, second])
    assert set(agreed["sentence"]) == {"No effusion.", "Compared."}
    assert set(agreed["comment"]) == {"so; so"}
