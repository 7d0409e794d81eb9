"""Cleaning of prompts: the published way with all its oddities, and the corrected way."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.models.carzero.text import TextPreset, clean, remarks

CORRECTED = TextPreset.CORRECTED
texts = st.text(max_size=60) | st.text(alphabet="aé1. \n\ufffd-/'%,_9\u2044½", max_size=30)


@pytest.mark.parametrize(
    ("text", "published", "corrected"),
    [
        ("There is pneumonia.", "there is pneumonia", "there is pneumonia"),
        ("There is\nno finding", "there is no finding", "there is no finding"),
        ("Pneumonia", "", "pneumonia"),
        ("Pneumonia.", "", "pneumonia"),
        ("nodule/mass", "nodule mass", "nodule/mass"),
        ("A well-defined mass", "a well defined mass", "a well-defined mass"),
        ("Nodule of 3.5 cm", "nodule of 5 cm", "nodule of 3.5 cm"),  # a full stop after a number cuts
        ("There is a nodule of 3.5", "there is a nodule of", "there is a nodule of 3.5"),  # "5" stands alone
        ("There are 3 or 4.", "there are 3 or", "there are 3 or 4"),
        ("1. No finding 2. No effusion", "no finding no effusion", "1 no finding 2 no effusion"),
        ("No finding. Stable. No effusion.", "no finding no effusion", "no finding stable no effusion"),
        ("a\ufffd\ufffdb c", "a b c", "a b c"),
        ("a\ufffdb c", "a b c", "a b c"),  # one of them is no word either
        ("an œdema", "an dema", "an dema"),
        ("Œ é", "", "e"),
        ("patient's heart", "patient s heart", "patient's heart"),
        ("a_b c", "a_b c", "a b c"),
        ("85% of it", "85 of it", "85 of it"),
        ("1½ cm", "1 cm", "11/2 cm"),
        ("3 – 4 cm", "3 4 cm", "3 4 cm"),
        ("...", "", ""),
        ("", "", ""),
    ],
)
def test_the_table(text, published, corrected):
    assert clean(text) == published
    assert clean(text, CORRECTED) == corrected


@settings(derandomize=True, deadline=None)
@given(texts)
def test_published_cleaning_leaves_words_and_spaces_in_ascii(text):
    cleaned = clean(text)
    assert cleaned.isascii()
    assert cleaned == cleaned.lower()
    assert re.fullmatch(r"(\w+( \w+)*)?", cleaned)


@settings(derandomize=True, deadline=None)
@given(texts)
def test_published_cleaning_forgets_the_kind_of_space_and_a_last_full_stop(text):
    assert clean(text.replace(" ", "\n")) == clean(text)
    if not re.search(r"[0-9]$", text):
        assert clean(text + ".") == clean(text)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(["no finding", "there is effusion", "a b"]), min_size=1, max_size=4))
def test_sentences_are_cleaned_one_by_one_and_joined(sentences):
    assert clean(". ".join(sentences)) == " ".join(sentences)


@settings(derandomize=True, deadline=None)
@given(texts)
def test_corrected_cleaning_is_stable_and_keeps_every_ascii_word(text):
    cleaned = clean(text, CORRECTED)
    assert clean(cleaned, CORRECTED) == cleaned
    kept = re.findall(r"[a-z0-9]+", cleaned)
    if text.isascii():
        assert kept == re.findall(r"[a-z0-9]+", text.lower())


def test_remarks_name_what_is_lost():
    prompts = ["There is pneumonia.", "Pneumonia", "Nodule of 3.5 cm", "No finding. Stable."]
    found = remarks(prompts)
    assert [(remark.position, remark.loss) for remark in found] == [
        (1, "nothing is left of it"),
        (2, "'3.' is cut out"),
        (3, "the sentence 'stable' is dropped"),
    ]
    assert remarks(prompts, CORRECTED) == ()
    assert [remark.position for remark in remarks(["fine words", "?!"], CORRECTED)] == [1]
