"""Side, zone and severity of a finding."""

import pytest

from offclip.reports import label_sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Small left pleural effusion.", [("left", "mild")]),
        ("Pleural effusion, small, on the right.", [("right", "")]),
        ("Mild to moderate right effusion.", [("right", "moderate")]),
        ("Moderate-to-large left effusion.", [("left", "severe")]),
        ("Bibasilar atelectasis.", [("bilateral lower lung", "")]),
        ("Nodule in the RUL.", [("right upper lung", "")]),
        ("In the right upper lobe there is a nodule.", [("right upper lung", "")]),
        ("Severe cardiomegaly and small left effusion.", [("", "severe"), ("left", "mild")]),
        ("Left effusion and right lower lobe consolidation.", [("left", ""), ("right lower lung", "")]),
        ("The left ventricle is enlarged.", [("", "")]),
        ("Fractures of left ribs, but right nodule.", [("left", ""), ("right", "")]),
    ],
)
def test_location_and_severity(text: str, expected: list[tuple[str, str]]) -> None:
    found = [(m.location, m.severity) for m in label_sentence(text).mentions if m.status == "asserted"]
    assert found == expected


def test_in_a_sentence_without_end_findings_have_no_place() -> None:
    mentions = label_sentence("left effusion " * 300).mentions
    assert {m.location for m in mentions} == {""}
    assert len(mentions) == 300
