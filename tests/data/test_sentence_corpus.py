"""What a labeller learns from: sentences of every kind of source, and tables of hand labels."""

import polars as pl
import pytest

from offclip.data.sentence_corpus import read_hand_labels, read_sentences, report_sentences
from offclip.errors import DataError

REPORT = "INDICATION: Mass. FINDINGS: Clear lungs. No effusion. IMPRESSION: Normal."
SENTENCES = ["Clear lungs.", "No effusion.", "Normal."]


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_tables(tmp_path, ending):
    def write(**columns):
        table, path = pl.DataFrame(columns), tmp_path / f"table.{ending}"
        if ending == "parquet":
            table.write_parquet(path)
        else:
            table.write_csv(path, separator="\t" if ending == "tsv" else ",")
        return list(read_sentences(path))

    assert write(id=[1, 2, 3], report=[REPORT, "", REPORT]) == SENTENCES * 2
    assert write(findings=["Clear lungs. No effusion.", ""], impression=["Normal.", "nan"]) == SENTENCES
    assert write(sentence=["A. B mass.", "No 1.5 cm mass"]) == ["A. B mass.", "No 1.5 cm mass"]
    assert write(impression=["Normal."], sentence=["Not read."]) == ["Normal."]


def test_a_study_table(phantom, studies):
    expected = [sentence["text"] for row in studies["sentences"] for sentence in row]
    assert len(expected) > 100
    assert list(read_sentences(phantom / "studies.parquet")) == expected


def test_a_folder_of_text_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.txt").write_text(REPORT)
    (tmp_path / "2.txt").write_text("")
    assert list(read_sentences(tmp_path)) == SENTENCES


def test_a_report_in_another_language_is_left_out():
    assert report_sentences("HALLAZGOS: Sin derrame pleural. IMPRESIÓN: Normal.") == []
    assert report_sentences(REPORT) == SENTENCES


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no such file"),
        ("empty.csv", "", "empty"),
        ("ids.csv", "id,text\n1,Clear.\n", r"no text column \(found: id, text\)"),
        ("x.parquet", "PAR1 but not really", "not a readable table"),
        ("x.docx", "what", "unknown kind of file"),
    ],
)
def test_sources_without_text_are_explained(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        list(read_sentences(tmp_path / name))
    assert caught.value.remedy


def test_hand_labels_keep_file_and_row(tmp_path):
    (tmp_path / "a.csv").write_text("idx,sentence,label\n1,No mass.,Normal\n2,A mass., abnormal\n")
    (tmp_path / "b.csv").write_text("label,sentence\nuncertain,PA view.\n")
    labels = read_hand_labels([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert [(item.sentence, item.label) for item in labels] == [
        ("No mass.", "normal"),
        ("A mass.", "abnormal"),
        ("PA view.", "uncertain"),
    ]
    assert labels[1].where == f"{tmp_path / 'a.csv'}: row 3"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sentence\nx\n", "column 'label' is missing"),
        ("text,label\nx,normal\n", "column 'sentence' is missing"),
        ("sentence,label\nx,normal\ny,\n", "row 3 has no label"),
        ("sentence,label\n ,normal\n", "row 2 has no sentence"),
    ],
)
def test_hand_labels_without_what_they_need(tmp_path, content, message):
    (tmp_path / "hand.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        read_hand_labels([tmp_path / "hand.csv"])
