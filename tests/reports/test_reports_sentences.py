"""The pitfalls of splitting reports into sentences."""

import pytest

from offclip.reports import split_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # numbers, units, times
        ("A 1.5 cm nodule. Clear.", ["A 1.5 cm nodule.", "Clear."]),
        ("The nodule measures 1. 5 cm. Clear.", ["The nodule measures 1. 5 cm.", "Clear."]),
        ("A nodule (1.5 cm.) is seen. Clear.", ["A nodule (1.5 cm.) is seen.", "Clear."]),
        ("It measures 2-3 mm. Ratio 1:2. Clear.", ["It measures 2-3 mm.", "Ratio 1:2.", "Clear."]),
        ("At 8:55 a.m. on call. Clear.", ["At 8:55 a.m. on call.", "Clear."]),
        ("At 8:55 p. m. on call. Clear.", ["At 8:55 p. m. on call.", "Clear."]),
        ("At 8:27 PM. Clear.", ["At 8:27 PM.", "Clear."]),
        ("Film at 4 p.m. No effusion.", ["Film at 4 p.m.", "No effusion."]),
        ("Fractures of T8. Clear.", ["Fractures of T8.", "Clear."]),
        ("Call 617.555.0100 or see www.example.org. Clear.",
         ["Call 617.555.0100 or see www.example.org.", "Clear."]),
        # abbreviations and initials
        ("Seen by Dr. Who. Clear.", ["Seen by Dr. Who.", "Clear."]),
        ("Told Dr. J. Who. Clear.", ["Told Dr. J. Who.", "Clear."]),
        ("Told Jo Who, M.D. at noon. Clear.", ["Told Jo Who, M.D. at noon.", "Clear."]),
        ("Edema vs. pneumonia.", ["Edema vs. pneumonia."]),
        ("Wires, clips, etc. are seen. Wires, etc. Clear.",
         ["Wires, clips, etc. are seen.", "Wires, etc.", "Clear."]),
        ("Lymph node no. 3 is big.", ["Lymph node no. 3 is big."]),
        # lists
        ("1. Effusion. 2. Edema.", ["Effusion.", "Edema."]),
        ("1. Effusion 2. Edema", ["Effusion", "Edema"]),
        ("1) Effusion 2) Edema", ["Effusion", "Edema"]),
        ("1) Effusion\n2) Edema", ["Effusion", "Edema"]),
        ("(1) Effusion\n(2) Edema", ["Effusion", "Edema"]),
        ("1.Effusion.\n2.Edema.", ["Effusion.", "Edema."]),
        ("- Effusion\n- Edema", ["Effusion", "Edema"]),
        ("• Effusion • Edema", ["Effusion", "Edema"]),
        ("Chest 1. Effusion. 2. Edema.", ["Chest 1. Effusion.", "Edema."]),
        ("Fracture of T12. 2. Edema.", ["Fracture of T12.", "Edema."]),
        ("Fracture of rib 4. No effusion.", ["Fracture of rib 4.", "No effusion."]),
        ("1. One view cannot tell the 2. Clear.", ["One view cannot tell the 2.", "Clear."]),
        ("2 images. Clear.", ["2 images.", "Clear."]),
        # lines
        ("The left lower\nlobe is\nclear. Ok.", ["The left lower\nlobe is\nclear.", "Ok."]),
        ("The left lower\r\nlobe is\r\nclear. Ok.", ["The left lower\r\nlobe is\r\nclear.", "Ok."]),
        ("Heart normal\n\nSmall effusion", ["Heart normal", "Small effusion"]),
        (
            "Heart is normal\nLungs are clear\nSmall effusion",
            ["Heart is normal", "Lungs are clear", "Small effusion"],
        ),
        (
            "Lungs: no change since\nthe last film\nHeart: normal",
            ["Lungs: no change since\nthe last film", "Heart: normal"],
        ),
        ("Nodules concerning for<BR>mass.<BR>Clear.", ["Nodules concerning for<BR>mass.", "Clear."]),
        ("Effusion<br/>1. Edema<br><br>Clear", ["Effusion", "Edema", "Clear"]),
        # names taken out
        ("Compared to ___. No effusion.", ["Compared to ___.", "No effusion."]),
        ("___-year-old. Seen by Dr. ___ at ___.", ["___-year-old.", "Seen by Dr. ___ at ___."]),
        ("Tip in XXXX. XXXX clear.", ["Tip in XXXX.", "XXXX clear."]),
        # periods doubled, missing, detached, without a blank
        ("No effusion. . Clear..", ["No effusion.", "Clear.."]),
        ("No effusion", ["No effusion"]),
        ("Mediastinum is wide.There is edema.", ["Mediastinum is wide.", "There is edema."]),
        ("Fracture of T8.There is edema.", ["Fracture of T8.", "There is edema."]),
        ("LUNGS ARE CLEAR.NO EFFUSION.", ["LUNGS ARE CLEAR.", "NO EFFUSION."]),
        ("Lungs are clear. no effusion.", ["Lungs are clear.", "no effusion."]),
        ("Normal chest No effusion", ["Normal chest", "No effusion"]),
        ("Clear lungs\nThere is no effusion", ["Clear lungs", "There is no effusion"]),
        ("As compared to The prior, no change.", ["As compared to The prior, no change."]),
        # other marks
        ("Pneumonia? Edema!", ["Pneumonia?", "Edema!"]),
        ("? infiltrate. Old film, ? edema.", ["? infiltrate.", "Old film, ? edema."]),
        ('"Clear." Edema.', ['"Clear."', "Edema."]),
        ("... -- 12.", []),
        ("", []),
    ],
)  # fmt: skip
def test_split(text: str, expected: list[str]) -> None:
    sentences = split_sentences(text)
    assert [s.text for s in sentences] == expected
    assert all(text[s.start : s.end] == s.text for s in sentences)


def test_a_stretch_keeps_the_offsets_of_the_whole() -> None:
    text = "INDICATION: cough. FINDINGS: Clear. Edema."
    sentences = split_sentences(text, text.index("Clear"))
    assert [text[s.start : s.end] for s in sentences] == ["Clear.", "Edema."]


def test_a_stretch_ends_where_it_is_told() -> None:
    text = "Clear lungs. Small effusion. IMPRESSION: Edema."
    assert [s.text for s in split_sentences(text, 0, text.index(" IMPRESSION"))] == [
        "Clear lungs.",
        "Small effusion.",
    ]
    assert [s.text for s in split_sentences(text, 0, 18)] == ["Clear lungs.", "Small"]
