"""What sets call a finding, and what offclip calls it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.data.datasets.catalogue import NAMES
from offclip.data.datasets.label_map import (
    BESIDE_NORMAL,
    FilmLabels,
    LabelMap,
    check_table,
    label_table,
    study_label,
)
from offclip.data.study import LABEL_KEYS
from offclip.errors import DataError
from offclip.zeroshot.prompts import finding_prompt

TABLE = {
    "Effusion": "pleural effusion",
    "Fluid": "pleural effusion",
    "Devices": "device",
    "No Finding": "= normal",
    "Bad": "= ignored",
}


def code(values: dict, table=TABLE) -> str:
    return LabelMap("a-set", values, table).read(tuple(values.values())).code


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [(1, None, "1"), (1, 0, "1"), (None, 0, "-"), (0, 0, "0"), (None, 1, "1"), (None, None, "-")],
)
def test_several_labels_make_one_finding(one, other, together):
    assert code({"Effusion": one, "Fluid": other})[1:] == together


def test_normal_comes_from_the_label_or_from_a_finding():
    assert code({"No Finding": 1, "Effusion": 0}) == "10"
    assert code({"No Finding": 0, "Effusion": 0}) == "00"
    assert code({"No Finding": None, "Effusion": 1}) == "01"
    assert code({"No Finding": None, "Effusion": 0}) == "-0"
    assert code({"No Finding": 1, "Effusion": None, "Bad": 1}) == "1-"


def test_no_findings_are_normal_only_where_the_set_says_so():
    assert code({"Effusion": 0}) == "-0"
    table = {**TABLE, "(none)": "= normal"}
    assert code({"Effusion": 0, "Devices": 0}, table) == "100"
    assert code({"Effusion": 0, "Devices": None}, table) == "-0-"


def test_a_normal_film_with_a_finding_is_a_contradiction():
    labels = LabelMap("a-set", ("No Finding", "Effusion", "Devices"), TABLE)
    film = labels.read((1, 1, 0))
    assert (film.code, film.contradiction) == ("-10", "normal, and yet with pleural effusion")
    assert study_label([film, FilmLabels("100")]) == "uncertain"
    device = labels.read((1, 0, 1))
    assert (device.code, device.contradiction, device.with_device) == ("001", "", True)
    assert study_label([device]) == "abnormal"


def test_the_label_of_a_study():
    assert study_label([FilmLabels("100"), FilmLabels("-0-")]) == "normal"
    assert study_label([FilmLabels("100"), FilmLabels("010")]) == "abnormal"
    assert study_label([FilmLabels("0--")]) == "abnormal"
    assert study_label([FilmLabels("---")]) == "uncertain"
    assert study_label([]) == "uncertain"


def test_an_unknown_label_is_named():
    with pytest.raises(DataError, match=r"a-set: the label 'Fracture' has no entry") as caught:
        LabelMap("a-set", ("Effusion", "Fracture"), TABLE)
    assert caught.value.remedy
    with pytest.raises(DataError, match=r"'\(none\)'"):
        LabelMap("a-set", ("(none)",), {"(none)": "= normal"})


@pytest.mark.parametrize("value", [2, -1, "1", 0.5])
def test_another_value_is_refused(value):
    with pytest.raises(DataError, match="the value"):
        LabelMap("a-set", ("Effusion",), TABLE).read((value,))


@pytest.mark.parametrize(
    "section",
    [
        {"Effusion": "Pleural effusion"},
        {"Effusion": "pleural_effusion"},
        {"Effusion": "= unknown"},
        {"Effusion": "normal"},
        {"Effusion": "no finding"},
        {"Effusion": ""},
        {"Effusion": 1},
        {"*": "pleural effusion"},
        {"(none)": "= ignored"},
    ],
    ids=str,
)
def test_a_wrong_entry_is_refused(section):
    with pytest.raises(DataError):
        check_table({"a-set": section})
    with pytest.raises(DataError, match="no section"):
        check_table({"a-set": "Effusion"})


def test_the_table_of_offclip_is_whole():
    table = label_table()
    assert set(table) == set(NAMES)
    words = {word for section in table.values() for word in section.values() if not word.startswith("=")}
    assert len({finding_prompt(word) for word in words}) == len(words)
    assert words >= BESIDE_NORMAL
    assert set(LABEL_KEYS) == {"image_id", "study_id", "patient_id", "split", "view", "normal"}


def test_labels_of_a_folder_keep_their_names():
    labels = LabelMap("folder", ("Pleural_Effusion", "normal", "Lung Mass"))
    assert labels.findings == ("pleural effusion", "lung mass")
    with pytest.raises(DataError, match="cannot be the name of a finding"):
        LabelMap("folder", ("No opacity",))


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([1, 0, None]), min_size=5, max_size=5))
def test_a_film_is_never_normal_with_a_finding(values):
    film = LabelMap("a-set", TABLE, TABLE).read(tuple(values))
    assert not (film.code[0] == "1" and "1" in film.code[1:])
    assert len(film.code) == 3
