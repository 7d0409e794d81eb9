"""Scores and labels of users: joined by id and class name, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import DataError
from offclip.evaluation.scored import Scored, read_scored
from offclip.evaluation.scored.columns import canonical, listed

SCORES = "image_id,Edema,Mass\na,2,-1\nb,-3,0.5\nc,0,1\n"
LABELS = "image_id,Edema,Mass\na,1,0\nb,0,0\nc,,1\n"


@pytest.fixture
def read(tmp_path):
    def join(scores: str = SCORES, labels: str = LABELS, **options) -> Scored:
        (tmp_path / "scores.csv").write_text(scores)
        (tmp_path / "labels.csv").write_text(labels)
        return read_scored(tmp_path / "scores.csv", tmp_path / "labels.csv", **options)

    return join


def test_rows_and_columns_are_joined_by_name(read):
    turned = "Mass,image_id,Edema\n1,c,0\n-1,a,2\n0.5,b,-3\n"
    for cases in (read().cases, read(scores=turned).cases):
        assert cases.ids == ("a", "b", "c")
        assert cases.findings == ("Edema", "Mass")
        assert cases.scores.tolist() == [[2, -1], [-3, 0.5], [0, 1]]
        assert np.array_equal(cases.truth, [[1, 0], [0, 0], [np.nan, 1]], equal_nan=True)
        assert cases.normal.tolist() == [0, 1, 0]


@given(order=st.permutations(range(3)), columns=st.permutations(range(3)))
@settings(derandomize=True, deadline=None, max_examples=20)
def test_the_order_of_either_file_never_matters(tmp_path_factory, order, columns):
    folder = tmp_path_factory.mktemp("order")
    head, *rows = [line.split(",") for line in SCORES.split()]
    turned = [[line[c] for c in columns] for line in [head, *(rows[r] for r in order)]]
    (folder / "s.csv").write_text("\n".join(map(",".join, turned)))
    (folder / "l.csv").write_text(LABELS)
    cases = read_scored(folder / "s.csv", folder / "l.csv").cases
    column = {name: cases.scores[:, i].tolist() for i, name in enumerate(cases.findings)}
    assert column == {"Edema": [2, -3, 0], "Mass": [-1, 0.5, 1]}
    assert cases.ids == ("a", "b", "c")


def test_leading_zeros_of_ids_stay(read):
    cases = read("image_id,x\n007,1\n7,2\n", "image_id,x\n7,0\n007,1\n").cases
    assert cases.ids == ("7", "007")
    assert cases.scores[:, 0].tolist() == [2, 1]


@pytest.mark.parametrize(
    "column", ["Pleural_Effusion", "pleural effusion", "There is pleural effusion.", "PLEURAL  EFFUSION"]
)
def test_spellings_and_prompts_of_a_class_fit(read, column):
    cases = read(f"image_id,{column}\na,1\nb,2\n", "image_id,Pleural Effusion\na,0\nb,1\n").cases
    assert cases.findings == ("Pleural Effusion",)


@pytest.mark.parametrize("column", ["normal", "No Finding", "No_finding", "There is no finding."])
def test_a_score_of_the_normal_class_needs_no_label(read, column):
    cases = read(f"image_id,x,{column}\na,1,5\nb,2,6\n", "image_id,x\na,0\nb,1\n").cases
    assert cases.findings == ("x",)
    assert {name: v.tolist() for name, v in cases.normal_scores.items()} == {column: [5, 6]}
    assert cases.normal.tolist() == [1, 0]


def test_a_label_of_the_normal_class_wins_over_the_findings(read):
    scored = read("image_id,x\na,1\nb,2\n", "image_id,x,No Finding\na,0,0\nb,1,1\n")
    assert scored.cases.normal.tolist() == [0, 1]
    assert "1 image(s) are labelled normal and have a finding" in scored.notes[0]


def test_ids_and_attributes_travel(read):
    labels = "image_id,study_id,patient_id,view,sex,x\na,s1,p1,PA,F,0\nb,s1,p1,,M,1\n"
    scored = read("image_id,x,patient_id\nb,2,p1\na,1,p1\n", labels)
    assert scored.studies_known
    assert scored.cases.study_ids == ("s1", "s1")
    assert scored.cases.patient_ids == ("p1", "p1")
    assert scored.cases.attributes == {"view": ("PA", None), "sex": ("F", "M")}
    assert not read().studies_known


def test_the_validation_split_is_kept_apart(read):
    scores = "image_id,x\na,1\nb,2\nc,3\nd,4\n"
    labels = "image_id,split,x\na,test,0\nb,test,1\nc,validate,0\nd,train,1\n"
    scored = read(scores, labels)
    assert scored.cases.ids == ("a", "b")
    assert scored.validation is not None
    assert scored.validation.ids == ("c",)
    assert read(scores, labels, split="all").cases.ids == ("a", "b", "c", "d")
    assert read(scores, labels, split="all").validation is None
    with pytest.raises(DataError, match=r"no row of the split 'dev'; there are test, train, validate"):
        read(scores, labels, split="dev")
    with pytest.raises(DataError, match="no column split"):
        read(split="test")


def test_validation_images_without_scores_are_told(read):
    labels = "image_id,split,x\na,test,0\nb,test,1\nc,validate,0\n"
    scored = read("image_id,x\na,1\nb,2\n", labels)
    assert scored.validation is None
    assert "nested cross-validation" in scored.notes[0]


def test_a_patient_in_test_and_validate_is_refused(read):
    labels = "image_id,patient_id,split,x\na,p,test,0\nb,q,test,1\nc,p,validate,0\n"
    with pytest.raises(DataError, match=r"1 patient\(s\) .* validate: p\."):
        read("image_id,x\na,1\nb,2\nc,3\n", labels)


def test_ids_that_do_not_match_are_listed_from_both_sides(read):
    with pytest.raises(DataError) as caught:
        read("image_id,Edema,Mass\na,2,-1\nx,-3,0.5\ny,0,1\n")
    assert "2 with scores and no labels: x, y." in caught.value.message
    assert "2 with labels and no scores: b, c." in caught.value.message
    assert "--allow-missing" in caught.value.remedy
    scored = read("image_id,Edema,Mass\na,2,-1\nb,1,2\ny,0,1\n", allow_missing=True)
    assert scored.cases.ids == ("a", "b")
    assert scored.left_out == ("image y has scores and no labels", "image c has labels and no scores")


def test_no_common_image_is_an_error_even_when_missing_ones_are_allowed(read):
    with pytest.raises(DataError, match="0 are in both"):
        read("image_id,Edema,Mass\nx,2,-1\ny,1,0\n", allow_missing=True)


def test_long_lists_are_cut(read):
    many = "image_id,Edema,Mass\n" + "".join(f"n{i},{i},{i}\n" for i in range(30))
    with pytest.raises(DataError, match=r"30 with scores and no labels: n0, .*, n9 and 20 more\."):
        read(many)


def test_classes_that_do_not_match_are_listed_from_both_sides(read):
    with pytest.raises(DataError) as caught:
        read("image_id,Edema,Nodule\na,2,-1\nb,-3,0.5\nc,0,1\n")
    assert "Scores without labels: Nodule. Labels without scores: Mass." in caught.value.message
    scored = read("image_id,Edema,Nodule\na,2,-1\nb,-3,0.5\nc,0,1\n", allow_missing=True)
    assert scored.cases.findings == ("Edema",)
    assert len(scored.left_out) == 2
    with pytest.raises(DataError, match="do not match"):
        read("image_id,Nodule\na,2\nb,-3\nc,0\n", allow_missing=True)


@pytest.mark.parametrize("value", ["nan", "", "inf", "-inf"])
def test_a_score_that_is_missing_or_not_finite(read, value):
    with pytest.raises(DataError, match=r"column 'Mass': 1 score\(s\) are missing or not finite: b\."):
        read(f"image_id,Edema,Mass\na,2,-1\nb,-3,{value}\nc,0,1\n")


def test_a_constant_score(read):
    with pytest.raises(DataError, match=r"1 column\(s\) hold one value for all images: Mass"):
        read("image_id,Edema,Mass\na,2,1\nb,-3,1\nc,0,1\n")


@pytest.mark.parametrize("value", ["2", "-1", "0.5"])
def test_a_label_that_is_not_0_1_or_blank(read, value):
    with pytest.raises(DataError, match=rf"row 3, column 'Mass': {value} is not 0, 1 or blank"):
        read(labels=f"image_id,Edema,Mass\na,1,0\nb,0,{value}\nc,,1\n")


def test_words_where_numbers_belong(read):
    with pytest.raises(DataError, match=r"labels.csv: row 2, column 'Edema': 'yes' is no number"):
        read(labels="image_id,Edema,Mass\na,yes,0\nb,0,1\nc,,1\n")


def test_doubled_and_missing_ids(read):
    with pytest.raises(DataError, match=r"1 image id\(s\) stand in more than one row: a; a in the rows 2, 4"):
        read("image_id,Edema,Mass\na,2,-1\nb,-3,0.5\na,0,1\n")
    with pytest.raises(DataError, match=r"1 row\(s\) have no image_id, the first is row 3"):
        read("image_id,Edema,Mass\na,2,-1\n,-3,0.5\nc,0,1\n")


def test_two_columns_of_one_class(read):
    with pytest.raises(DataError, match="'Mass' and 'mass' name one class"):
        read("image_id,Mass,mass\na,2,-1\n")


def test_files_without_rows_or_classes(read):
    with pytest.raises(DataError, match="no row below the header"):
        read("image_id,Edema,Mass\n")
    with pytest.raises(DataError, match="no class beside image_id"):
        read(labels="image_id\na\n")
    with pytest.raises(DataError, match="'image_id' is missing"):
        read("id,Edema\na,1\n")


def test_ids_that_contradict_each_other(read):
    with pytest.raises(DataError, match="image a has the patient_id p in the one and q in the other"):
        read("image_id,patient_id,x\na,q,1\nb,r,2\n", "image_id,patient_id,x\na,p,0\nb,r,1\n")
    with pytest.raises(DataError, match="row 3 has no patient_id"):
        read("image_id,x\na,1\nb,2\n", "image_id,patient_id,x\na,p,0\nb,,1\n")


def test_canonical_and_listed():
    assert canonical(" No_Findings ") == "normal"
    assert listed([str(i) for i in range(12)]).endswith("9 and 2 more")


def test_a_missing_file_is_named():
    with pytest.raises(DataError, match="no such file"):
        read_scored(Path("nowhere.csv"), Path("nor here.csv"))
