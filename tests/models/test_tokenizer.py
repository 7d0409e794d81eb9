"""The tokenizer: deterministic, deaf to case and punctuation, and strict about empty text."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from offclip.errors import InputError
from offclip.models import TextTokenizer

SENTENCES = ["There is no finding.", "There is no nodule.", "Nodule of 1.5 cm in the right lower lobe."] * 3
EXPECTED = [2, 36, 37, 33, 60]


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer.fit(SENTENCES)


def ids(tokenizer, text):
    return tokenizer([text])[0][0].tolist()


def test_the_same_sentences_give_the_same_tokenizer_in_any_order(tokenizer):
    many = [
        f"{word} of {place}." for word in ("Mass", "Oedema", "Line") for place in ("apex", "base", "hilum")
    ]
    for texts in (SENTENCES, many):
        fitted = {TextTokenizer.fit(order).to_json() for order in (texts, texts[::-1], sorted(texts))}
        assert len(fitted) == 1


def test_the_numbering_is_the_same_in_every_process(tokenizer):
    # A run that resumes fits its tokenizer anew; other ids would give every word another word's vector.
    assert ids(tokenizer, "There is no finding.") == EXPECTED


def test_no_the_word_is_not_no_the_start_of_nodule(tokenizer):
    assert not set(ids(tokenizer, "no")[1:]) & set(ids(tokenizer, "nodule")[1:])


@pytest.mark.parametrize(
    "variant",
    [
        "there is no finding",
        "THERE IS NO FINDING!",
        "  There  is\tno\nfinding . ",
        "There is, no finding;",
        '"There is no finding."',
        "(There is no finding.)",
        "There is no finding...",
        "Ｔhere is no finding.",
    ],
)
def test_case_space_and_punctuation_change_nothing(tokenizer, variant):
    assert ids(tokenizer, variant) == ids(tokenizer, "There is no finding.")


def test_what_carries_meaning_does(tokenizer):
    different = [
        "There is no finding.",
        "There is finding.",
        "There is no nodule.",
        "1.5 cm",
        "15 cm",
        "5 cm",
        "no finding",
    ]
    assert len({tuple(ids(tokenizer, text)) for text in different}) == len(different)


def test_json_there_and_back(tokenizer):
    again = TextTokenizer.from_json(tokenizer.to_json(), tokenizer.max_tokens)
    texts = [*SENTENCES[:3], "Never seen: hydropneumothorax 7 %"]
    assert all(torch.equal(a, b) for a, b in zip(tokenizer(texts), again(texts), strict=True))
    assert again.vocabulary_size == tokenizer.vocabulary_size


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4))
def test_any_text_becomes_ids_within_the_vocabulary(tokenizer, texts):
    tokens, mask = tokenizer(texts)
    assert tokens.shape == mask.shape
    assert tokens.dtype == mask.dtype == torch.int64
    assert (mask.sum(dim=1) >= 1).all()
    assert 0 <= tokens.min() <= tokens.max() < tokenizer.vocabulary_size


def test_padding_and_cutting(tokenizer):
    tokens, mask = tokenizer(["no", "no " * 500])
    assert tokens.shape == (2, 48)
    assert mask[0].tolist() == [1, 1] + [0] * 46
    assert (tokens[0][mask[0] == 0] == 0).all()
    assert mask[1].sum() == 48


@pytest.mark.parametrize("texts", [[], ["fine", ""], ["  \n"], ["fine", None], [7]])
def test_no_text_is_refused(tokenizer, texts):
    with pytest.raises(InputError, match=r"[Tt]ext") as caught:
        tokenizer(texts)
    assert caught.value.remedy


def test_the_place_of_the_empty_text_is_named(tokenizer):
    with pytest.raises(InputError, match="Text 1 of 3"):
        tokenizer(["a", " ", "b"])


@pytest.mark.parametrize("text", ["", "{}", "no json"])
def test_what_is_no_tokenizer_is_refused(text):
    with pytest.raises(InputError, match="Not a tokenizer"):
        TextTokenizer.from_json(text)
