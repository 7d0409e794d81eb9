"""The cards of all sets."""

from pathlib import Path
from typing import get_args

import pytest

from offclip.data.datasets.card import Access, Content
from offclip.data.datasets.catalogue import NAMES, card_of, open_set
from offclip.data.datasets.preparation.published import compare
from offclip.errors import ConfigError, DataError


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_a_user_must_know(name):
    card = card_of(name)
    assert card.name == name
    assert card.title
    assert card.terms.strip()
    assert card.layout.strip()
    assert card.access in get_args(Access)
    assert set(card.contents) <= set(get_args(Content))
    if name != "folder":
        assert card.url.startswith(("https://", "http://"))
        assert card.citation.strip()
        assert card.published_source
        assert all(number > 0 for number in card.published.values())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "folder"])
def test_a_set_that_is_not_there_says_which_table_is_missing(name, tmp_path):
    with pytest.raises(DataError) as caught:
        open_set(name, tmp_path)
    assert str(tmp_path) in caught.value.message
    assert caught.value.remedy


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="no public set 'mimic'"):
        card_of("mimic")
    with pytest.raises(ConfigError, match="vindr-cxr has no option 'x'"):
        open_set("vindr-cxr", Path(), "x")


def test_published_counts_find_theirs():
    counts = {"images": 5, "train images": 3, "nodule images": 2, "pa images": 1}
    found = compare({"images": 5, "images train": 4, "Nodule": 2, "PA": 1, "hospitals": 3}, counts)
    assert [entry.difference for entry in found] == [0, -1, 0, 0, None]
