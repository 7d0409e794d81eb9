"""The table of label sets."""

import tomllib
from importlib.resources import files

import pytest

from offclip.errors import InputError
from offclip.reports import LABEL_SETS, classes_named, label_report, load_lexicon, load_vocabulary

TABLE = tomllib.loads(files("offclip.reports").joinpath("vocabulary.toml").read_text(encoding="utf-8"))
# The findings of the lexicon that no public label set has a class for.
WITHOUT_CLASS = {
    "abnormality", "air-fluid level", "contrast medium", "enlarged heart chamber", "enlargement", "lucency",
    "other abnormality", "sarcoidosis", "trauma",
}  # fmt: skip


def test_every_finding_of_the_lexicon_stands_in_the_table_or_is_known_to_have_no_class() -> None:
    assert set(TABLE["finding"]) | WITHOUT_CLASS == set(load_lexicon().findings)
    assert not set(TABLE["finding"]) & WITHOUT_CLASS


@pytest.mark.parametrize("name", LABEL_SETS)
def test_the_table_uses_the_classes_of_each_set_and_no_others(name: str) -> None:
    vocabulary = load_vocabulary(name)
    used = {label for labels in vocabulary.classes_of.values() for label in labels}
    assert used <= set(vocabulary.classes)
    assert vocabulary.normal in vocabulary.classes
    assert vocabulary.normal not in used
    assert len(set(vocabulary.classes)) == len(vocabulary.classes)


def test_rows_have_no_other_columns() -> None:
    assert {key for row in TABLE["finding"].values() for key in row} <= set(LABEL_SETS)


@pytest.mark.parametrize(
    ("name", "size"), [("chexpert", 14), ("chestxray14", 15), ("vindr", 28), ("openi", 20)]
)
def test_the_sets_that_are_whole_have_all_their_classes(name: str, size: int) -> None:
    assert len(load_vocabulary(name).classes) == size


def test_the_weightiest_statement_of_a_class_counts() -> None:
    report = label_report(
        "Possible effusion. No pneumothorax. Small right effusion. Correlate for pneumonia."
    )
    assert classes_named(report.mentions, "chexpert") == {
        "Pleural Effusion": "present",
        "Pneumothorax": "absent",
        "Pneumonia": "unstated",
    }


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(InputError, match="no label set"):
        load_vocabulary("mimic")
