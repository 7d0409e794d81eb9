"""The cards of published models: whole, loadable as they say, and the same in the documents."""

import re
import tomllib
from pathlib import Path

import pytest

from offclip.models import cards
from offclip.models.adapters.families import FAMILIES
from offclip.models.cards import EXTRAS, model_cards
from offclip.models.names import PRETRAINED, read_name

ROOT = Path(__file__).parents[2]


def test_the_models_of_which_there_is_a_card():
    assert set(model_cards()) == {
        "biomedclip", "medsiglip", "cxr-clip", "biovil-t", "medclip", "radclip", "carzero", "off-clip",
        "clip-vit-b-16", "efficientnet-lite0+minilm",
    }  # fmt: skip


@pytest.mark.parametrize("card", model_cards().values(), ids=lambda card: card.name)
def test_a_card_says_everything(card):
    said = {name: getattr(card, name) for name in card.__slots__}
    empty = {name for name, value in said.items() if not value}
    assert empty <= {"loads", "needs", "terms", "paper"}
    assert all(isinstance(value, str | tuple) for value in said.values())
    assert re.search(r"\d+ x \d+", card.image)
    assert re.fullmatch(r"[a-z0-9.+-]+", card.name)
    # What cannot be loaded says so by another way.
    assert card.loads or re.search(r"offclip (convert|evaluate --scores)", card.how)
    if card.loads:
        assert read_name(card.name).scheme in {*FAMILIES, PRETRAINED}
        assert card.needs


def test_what_cards_need_are_extras_of_the_package():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) <= set(extras)
    assert {extra for card in model_cards().values() for extra in card.needs} <= set(EXTRAS)


def test_missing_extras_are_named(monkeypatch):
    monkeypatch.setattr(cards, "find_spec", lambda module: None if module == "open_clip" else object())
    assert model_cards()["biomedclip"].missing == ("openclip",)
    assert model_cards()["medsiglip"].missing == ()
    assert cards.as_dict(model_cards()["biomedclip"])["missing"] == ["openclip"]


def test_the_table_in_the_documents_is_that_of_the_cards():
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if "|" in line
    ]
    found = {row[0].strip("`"): row[1:] for row in rows if row[0].strip("`") in model_cards()}
    assert found == {
        name: [f"`{card.loads}`" if card.loads else "-", ", ".join(card.needs) or "-", card.licence]
        for name, card in model_cards().items()
    }
