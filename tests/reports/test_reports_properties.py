"""What must hold for any report."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.reports import label_report, label_sentence, split_sentences

ABNORMAL = [
    "Small left effusion.",
    "Possible pneumonia.",
    "Left picc in place.",
    "A 1.5 cm nodule in the right lung.",
]
NORMAL = [
    "The lungs are clear.",
    "No pneumothorax or effusion.",
    "Heart size is normal.",
    "The effusion has resolved.",
]
NEUTRAL = [
    "Views of the chest at 4 p.m. were obtained.",
    "Comparison is made with the prior study.",
    "No change.",
]
SENTENCES = st.sampled_from(ABNORMAL + NORMAL + NEUTRAL)
REPORTS = st.lists(SENTENCES, min_size=1, max_size=8)
ANY_TEXT = st.text(max_size=300) | st.text(
    alphabet="aA1.,;:!? \n\r\t-_()<BR>/\x00éß中ع‏İXno effusion", max_size=300
)

quick = settings(deadline=None, derandomize=True, max_examples=120)


@quick
@given(ANY_TEXT)
def test_any_text_is_read_and_offsets_reproduce_it(text: str) -> None:
    for sentence in split_sentences(text):
        assert text[sentence.start : sentence.end] == sentence.text
    if text.strip():
        report = label_report(text)
        ends = [0]
        for s in report.sentences:
            assert text[s.start : s.end] == s.text
            assert s.start >= ends[-1]
            ends.append(s.end)


@quick
@given(ANY_TEXT)
def test_a_sentence_label_names_words_that_stand_there(text: str) -> None:
    for mention in label_sentence(text).mentions:
        assert 0 <= mention.start < mention.end <= len(text)


@quick
@given(SENTENCES, st.text(" \n\t", max_size=3), st.text(" \n\t.", max_size=3))
def test_surrounding_space_and_periods_do_not_matter(text: str, before: str, after: str) -> None:
    assert label_sentence(before + text + after) == label_sentence(text) or before
    assert label_sentence(before + text + after).label == label_sentence(text).label
    assert label_sentence(text.rstrip(".")).label == label_sentence(text).label


@quick
@given(REPORTS, st.integers(8, 40), st.sampled_from(["\n", "\r\n", "<BR>"]))
def test_line_wraps_do_not_matter(sentences: list[str], width: int, newline: str) -> None:
    text = " ".join(sentences)
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    wrapped = label_report(newline.join([*lines, line]))
    plain = label_report(text)
    assert wrapped.label == plain.label
    assert [s.label for s in wrapped.sentences] == [s.label for s in plain.sentences]


@quick
@given(REPORTS)
def test_list_numbers_do_not_matter(sentences: list[str]) -> None:
    numbered = "\n".join(f"{i}. {text}" for i, text in enumerate(sentences, 1))
    assert [s.text for s in label_report(numbered).sentences] == [
        s.text for s in label_report(" ".join(sentences)).sentences
    ]


@quick
@given(REPORTS, st.sampled_from(ABNORMAL), st.integers(0, 8))
def test_an_abnormal_sentence_makes_any_report_abnormal(sentences: list[str], extra: str, place: int) -> None:
    sentences.insert(place, extra)
    assert label_report(" ".join(sentences)).label == "abnormal"


@quick
@given(st.lists(st.sampled_from(NORMAL + NEUTRAL), min_size=1), st.sampled_from(NORMAL))
def test_a_normal_sentence_keeps_a_normal_report_normal(sentences: list[str], extra: str) -> None:
    assert label_report(" ".join([*sentences, extra])).label == "normal"


@pytest.mark.parametrize(
    "piece",
    ["a", " ", ".", "\n", "\n ", "no effusion ", "effusion resolved ", "enlarged ", "1. ", "FINDINGS: ", "A:",
     ". .", "<BR>", "no, ", "((", "\x00", "possible ", "1.1.1 ", "Dr. ", "\r", "not "],
)  # fmt: skip
def test_a_megabyte_on_one_line_takes_linear_time(piece: str) -> None:
    text = "x" + piece * (1_000_000 // len(piece))
    begin = time.perf_counter()
    label_report(text)
    # Quadratic time would be hours; this is loose enough for a busy machine.
    assert time.perf_counter() - begin < 30
