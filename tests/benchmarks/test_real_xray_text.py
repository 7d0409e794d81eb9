import pytest
from xray_modules import load

from offclip.reports import label_report, label_sentence

text = load("real_xray_text")

REPORTS = [
    ("FINDINGS: Heart size is normal. No pleural effusion. IMPRESSION: No acute disease.", False),
    ("FINDINGS: Clear lungs. No pneumothorax.", False),
    ("FINDINGS: Small left pleural effusion. No pneumothorax. Heart size is normal. Lungs are clear.", True),
    ("FINDINGS: Moderate cardiomegaly. No pleural effusion. No acute bony abnormality.", True),
    ("FINDINGS: Right lower lobe pneumonia. The heart is normal. No effusion or pneumothorax.", True),
    ("FINDINGS: Large right pneumothorax. There is a 2 cm nodule in the left upper lobe.", True),
]


@pytest.fixture(scope="module")
def bank():
    return text.make_bank(REPORTS)


def test_bank_sorts_sentences(bank) -> None:
    assert len(bank.normal_reports) == 2
    assert [s.text for s in bank.asserting["cardiomegaly"]] == ["Moderate cardiomegaly."]
    assert [s.text for s in bank.asserting["pneumothorax"]] == ["Large right pneumothorax."]
    assert len(bank.normal_sentences) == 3  # the last abnormal report has no normal sentence


@pytest.mark.parametrize("findings", [["pleural effusion"], ["cardiomegaly", "pneumonia"], ["pneumothorax"]])
def test_composed_report_asserts_and_never_denies(bank, findings: list[str]) -> None:
    for number in range(30):
        report = label_report(text.compose_report(bank, findings, f"0:{number}"))
        assert report.label == "abnormal"
        asserted = set()
        for sentence in report.sentences:
            assert not text.denies(sentence.text, findings), sentence.text
            label = label_sentence(sentence.text)
            assert not text.stated(label, "negated") & set(findings)
            asserted |= text.stated(label, "asserted")
        assert asserted == set(findings)


def test_normal_image_gets_a_whole_normal_report(bank) -> None:
    assert {text.compose_report(bank, [], f"0:{number}") for number in range(30)} == set(bank.normal_reports)


def test_composition_is_deterministic(bank) -> None:
    drawn = [
        [text.compose_report(bank, ["pneumonia"], f"{seed}:{i}") for i in range(20)] for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("sentence", "present", "expected"),
    [
        ("No focal consolidation.", ["pneumonia"], True),
        ("The heart is not enlarged.", ["cardiomegaly"], True),
        ("The lungs are clear.", ["nodule"], True),
        ("No acute cardiopulmonary abnormality.", ["cardiomegaly"], True),
        ("No acute bony abnormality.", ["cardiomegaly"], False),
        ("No pneumothorax.", ["pleural effusion"], False),
        ("Small pleural effusion.", ["pleural effusion"], False),
    ],
)
def test_denies(sentence: str, present: list[str], expected: bool) -> None:
    assert text.denies(sentence, present) is expected


def test_every_nih_name_is_what_the_labeller_says() -> None:
    for finding in text.FINDINGS:
        label = label_sentence(f"There is {finding}.")
        assert finding in text.stated(label, "asserted")
