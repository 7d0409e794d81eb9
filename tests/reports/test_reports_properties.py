"""What must hold for any report."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.reports import find_sections, label_report, label_sentence, reading_sections, split_sentences
from offclip.reports.language import is_spanish

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

# What the readers look for, in any order.
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "FINDINGS", "Findings:", "IMPRESSION: ", "WET READ: ___ 8:27 PM", "FINAL REPORT", "ADDENDUM",
            "HISTORY:", "________", "\n", "\r\n", " ", "\n\n", ".", ". ", "?", "1. ", "2) ", "- ",
            "\u2022", "<BR>", "<", "Dr. ", "p.m. ", "XXXX", "___", "1.5 cm", "No effusion", "The heart",
            "clear", "Lungs: ", "I have reviewed the ", "**", "##", ")", "Signed\n", "COMPARISON: None. ",
            "CHEST VIEW:", "SUMMARY: 1-NO", "\u0639", "\x00"
        ]
    ),
    max_size=40,
).map("".join)  # fmt: skip

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
@given(ANY_TEXT | FRAGMENTS)
def test_sections_and_sentences_lie_in_order_inside_the_text(text: str) -> None:
    end = 0
    for section in find_sections(text):
        assert end <= section.start < section.end <= len(text)
        assert text[section.start : section.end].strip() == text[section.start : section.end]
        end = section.end
    for section in reading_sections(text):
        last = section.start
        for sentence in split_sentences(text, section.start, section.end):
            assert last <= sentence.start < sentence.end <= section.end
            assert text[sentence.start : sentence.end] == sentence.text == sentence.text.strip()
            last = sentence.end


@quick
@given(ANY_TEXT | FRAGMENTS)
def test_splitting_loses_no_word(text: str) -> None:
    covered = [False] * len(text)
    for sentence in split_sentences(text):
        covered[sentence.start : sentence.end] = [True] * len(sentence.text)
    left = "".join(c for c, inside in zip(text, covered, strict=True) if not inside)
    assert not any(c.isalpha() for c in left.lower().replace("br", "")), left


@quick
@given(REPORTS, st.text(" \n\t\r", max_size=4), st.text(" \n\t\r", max_size=4))
def test_splitting_does_not_depend_on_surrounding_space(
    sentences: list[str], before: str, after: str
) -> None:
    text = " ".join(sentences)
    assert [s.text for s in split_sentences(before + text + after)] == sentences


@quick
@given(REPORTS, st.integers(8, 60), st.sampled_from(["\n", "\r\n", "\n  "]))
def test_splitting_does_not_depend_on_line_wraps(sentences: list[str], width: int, newline: str) -> None:
    lines, line = [], ""
    for word in " ".join(sentences).split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    wrapped = newline.join([*lines, line])
    assert [" ".join(s.text.split()) for s in split_sentences(wrapped)] == sentences


@quick
@given(
    REPORTS,
    st.sampled_from(["{}. ", "{}) ", "({}) ", "- ", "\u2022 ", "{}."]),
    st.sampled_from(["\n", "\n\n", "\n  "]),
)
def test_splitting_does_not_depend_on_list_marks(sentences: list[str], mark: str, newline: str) -> None:
    text = newline.join(mark.format(i) + sentence for i, sentence in enumerate(sentences, 1))
    assert [s.text for s in split_sentences(text)] == sentences


@quick
@given(REPORTS, st.sampled_from(["{}. ", "{}) "]))
def test_numbers_in_a_line_split_sentences_without_periods(sentences: list[str], mark: str) -> None:
    bare = [sentence.rstrip(".") for sentence in sentences]
    text = " ".join(mark.format(i) + sentence for i, sentence in enumerate(bare, 1))
    assert [s.text for s in split_sentences(text)] == bare


@quick
@given(st.lists(SENTENCES, min_size=1, max_size=6), st.sampled_from([".", " .", "..", ". .", " "]))
def test_trailing_periods_do_not_matter(sentences: list[str], end: str) -> None:
    text = " ".join(sentences)
    assert [s.text.rstrip(" .") for s in split_sentences(text.rstrip(".") + end)] == [
        sentence.rstrip(".") for sentence in sentences
    ]


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
    assert time.perf_counter() - begin < 120


@pytest.mark.parametrize(
    "piece",
    [
        "a", " ", ".", "\n", "\n ", "1. ", "1) ", "FINDINGS ", "FINDINGS: ", "FINDINGS\n", "\nFindings",
        "A:", "\nA: ", ". .", "<BR>", "<", "((", "\x00", "1.1.1 ", "Dr. ", "p. m. ", "\r", "\u2022", "- ",
        "\n- ", "\n1. A", "? a", "_", "\n________\n", "A. ", "The ", "aaa No a", "\nADDENDUM\n",
        "WET READ VERSION #1", "\nWET READ: ___ 8:27 PM", "I have reviewed the ", "I, the attending ",
        "FINAL REPORT\n", "PORTABLE CHEST VIEW ", "\n Portable chest view: ", "COMPARISON: ___\n",
        "TECHNIQUE: a", "IMPRESSION - ", "**", "report ", "\u05d0 ", "\u0639. ", "no se ",
        "FINDINGS AND\nIMPRESSION:"
    ],
)  # fmt: skip
def test_splitting_takes_linear_time(piece: str) -> None:
    begin = time.perf_counter()
    for head in ("x", "HISTORY: x\n\n"):
        split(head + piece * (100_000 // len(piece)))
    # Quadratic time would be minutes.
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize(
    "piece", ["no effusion ", "\x00", "\u0627\u0644\u0631\u0626\u0629 \u0646\u0638\u064a\u0641\u0629 "]
)
def test_ten_megabytes_on_one_line_are_split(piece: str) -> None:
    text = piece * (10_000_000 // len(piece))
    begin = time.perf_counter()
    split(text)
    assert time.perf_counter() - begin < 60


def test_ten_megabytes_on_one_line_are_labelled() -> None:
    piece = "small left effusion \x00 \u0627\u0644\u0631\u0626\u0629 no pneumothorax, "
    report = label_report(piece * (10_000_000 // len(piece)))
    assert report.label == "abnormal"
    assert len(report.sentences) == 1


def split(text: str) -> None:
    is_spanish(text)
    for section in reading_sections(text):
        split_sentences(text, section.start, section.end)
