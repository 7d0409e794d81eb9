"""The pitfalls of splitting reports into sentences."""

import pytest

from offclip.reports import split_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A 1.5 cm nodule. Clear.", ["A 1.5 cm nodule.", "Clear."]),
        ("The nodule measures 1. 5 cm. Clear.", ["The nodule measures 1. 5 cm.", "Clear."]),
        ("Seen by Dr. Who. Clear.", ["Seen by Dr. Who.", "Clear."]),
        ("Told Dr. J. Who. Clear.", ["Told Dr. J. Who.", "Clear."]),
        ("At 8:55 a.m. on call. Clear.", ["At 8:55 a.m. on call.", "Clear."]),
        ("Film at 4 p.m. No effusion.", ["Film at 4 p.m.", "No effusion."]),
        ("Edema vs. pneumonia.", ["Edema vs. pneumonia."]),
        ("1. Effusion. 2. Edema.", ["Effusion.", "Edema."]),
        ("1. Effusion 2. Edema", ["Effusion", "Edema"]),
        ("1) Effusion\n2) Edema", ["Effusion", "Edema"]),
        ("- Effusion\n- Edema", ["Effusion", "Edema"]),
        ("Fracture of T12. 2. Edema.", ["Fracture of T12.", "Edema."]),
        ("2 images. Clear.", ["2 images.", "Clear."]),
        ("The left lower\nlobe is\nclear. Ok.", ["The left lower\nlobe is\nclear.", "Ok."]),
        ("Heart normal\n\nSmall effusion", ["Heart normal", "Small effusion"]),
        (
            "Heart is normal\nLungs are clear\nSmall effusion",
            ["Heart is normal", "Lungs are clear", "Small effusion"],
        ),
        ("Compared to ___. No effusion.", ["Compared to ___.", "No effusion."]),
        ("Tip in XXXX. XXXX clear.", ["Tip in XXXX.", "XXXX clear."]),
        ("No effusion. . Clear..", ["No effusion.", "Clear.."]),
        ("No effusion", ["No effusion"]),
        ("Nodules concerning for<BR>mass.<BR>Clear.", ["Nodules concerning for<BR>mass.", "Clear."]),
        ("Mediastinum is wide.There is edema.", ["Mediastinum is wide.", "There is edema."]),
        ("Lungs are clear. no effusion.", ["Lungs are clear.", "no effusion."]),
        ("Pneumonia? Edema!", ["Pneumonia?", "Edema!"]),
        ("... -- 12.", []),
        ("", []),
    ],
)
def test_split(text: str, expected: list[str]) -> None:
    sentences = split_sentences(text)
    assert [s.text for s in sentences] == expected
    assert all(text[s.start : s.end] == s.text for s in sentences)


def test_a_stretch_keeps_the_offsets_of_the_whole() -> None:
    text = "INDICATION: cough. FINDINGS: Clear. Edema."
    sentences = split_sentences(text, text.index("Clear"))
    assert [text[s.start : s.end] for s in sentences] == ["Clear.", "Edema."]
