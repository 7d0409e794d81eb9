"""The linter warns of what a model will not understand, and is silent on plain sentences."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.data.datasets.label_map import label_table
from offclip.errors import CheckpointError, InputError
from offclip.evaluation.protocols.load import load_protocol, protocol_names
from offclip.models import TextTokenizer
from offclip.models.carzero.text import TextPreset
from offclip.models.carzero.tokenizer import SPECIAL_IDS, CarZeroTokenizer, NoTokenizer
from offclip.reports import LABEL_SETS, load_vocabulary
from offclip.zeroshot.ensemble import PromptSet
from offclip.zeroshot.lint_training import TrainingText, training_text
from offclip.zeroshot.linter import CODES, lint_prompts
from offclip.zeroshot.prompts import NEGATION_TEMPLATES, NORMAL_PROMPTS, fill_template, finding_prompt

DOCS = Path(__file__).parents[2] / "docs" / "prompts.md"
# What a model saw in training, in the tests of the training text.
REPORTS = [
    "There is pleural effusion.", "There is a small left pleural effusion.", "There is no pneumothorax.",
    "There is no finding.", "There is consolidation of left lower lung.", "A nodule is present.",
    "No focal consolidation.", "There is no fracture.", "There is pacemaker of left.",
]  # fmt: skip


def codes(prompts, **options) -> list[str]:
    return [warning.code for warning in lint_prompts(prompts, **options)]


def words_of_all_sets() -> list[str]:
    table = label_table().values()
    return list(dict.fromkeys(word for names in table for word in names.values() if word[0] != "="))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("There is no No finding.", ["doubled-negation"]),
        ("There is no no finding", ["doubled-negation"]),
        ("no No_Finding", ["doubled-negation", "table-label"]),
        ("Pneumonia is not absent.", ["doubled-negation"]),
        ("There is no absence of edema.", ["doubled-negation"]),
        ("There is Normal.", ["normal-as-finding"]),
        ("There is no normal finding.", []),
        ("Pneumonia", ["one-word"]),
        ("pneumonia.", ["one-word"]),
        ("pleural effusion", ["no-sentence"]),
        ("Pleural_Thickening", ["no-sentence", "table-label"]),
        ("There is Pleural_Thickening.", ["table-label"]),
        ("There is Nodule/Mass.", ["table-label"]),
        ("There is PleuralEffusion.", ["table-label"]),
        ("There is atelectasis and/or scarring.", []),
        ("THERE IS EDEMA", ["capitals"]),
        ("There is PTX.", ["abbreviation"]),
        ("There is ptx.", ["abbreviation"]),
        ("There is a QXZ sign.", ["abbreviation"]),
        ("There is enlarged PA.", ["abbreviation"]),
        ("There is possible pneumonia.", ["uncertain"]),
        ("Pneumonia cannot be excluded.", ["uncertain"]),
        ("There is concern for pneumonia.", ["uncertain"]),
        ("Is there edema?", ["question"]),
        ("There is {finding}.", ["unfilled"]),
        ("", ["empty"]),
        (" ?! ", ["empty"]),
    ],
)
def test_what_is_odd_about_the_wording(prompt, expected):
    assert codes([prompt]) == expected


@pytest.mark.parametrize(
    "prompt",
    [
        "There is no finding.", "There is No Finding.", "No pleural effusion, no pneumothorax.",
        "There is no effusion and no pneumothorax.", "The heart is not enlarged.", "Clear lungs.",
        "Normal heart size.", "Findings consistent with pulmonary edema", "No longer any effusion.",
        "Small left pleural effusion is seen", "There is a 3.5 cm mass.", "There is air-fluid level.",
        "Without pleural effusion.",
    ],
)  # fmt: skip
def test_plain_sentences_give_no_warning(prompt):
    assert codes([prompt]) == []


def test_what_is_shipped_gives_no_warning():
    words = words_of_all_sets()
    assert len(words) > 190
    assert lint_prompts(PromptSet.of(words).prompts) == []
    assert lint_prompts([fill_template(t, word) for word in words for t in NEGATION_TEMPLATES]) == []


def test_raw_class_names_in_the_template_are_found_out():
    names = dict.fromkeys(name for label_set in LABEL_SETS for name in load_vocabulary(label_set).classes)
    warnings = lint_prompts([f"There is {name}." for name in names])
    # "There is No Finding." reads as it should; many sets have classes of one name.
    assert {w.prompt: w.code for w in warnings if w.code != "same-as"} == {
        "There is Pleural_Thickening.": "table-label",
        "There is No_Finding.": "table-label",
        "There is Nodule/Mass.": "table-label",
        "There is Enlarged PA.": "abbreviation",
        "There is ILD.": "abbreviation",
        "There is COPD.": "abbreviation",
        "There is COPD signs.": "abbreviation",
        "There is normal.": "normal-as-finding",
    }


def test_the_prompts_of_the_protocols_give_a_warning_where_the_peers_deserve_one():
    warned: dict[str, str] = {}
    for name in protocol_names():
        protocol = load_protocol(name)
        asked = {"normal" if rule.normal else rule.name: rule.prompts for rule in protocol.classes}
        found = {w.prompt: w.code for w in lint_prompts(asked)}
        assert not found or protocol.variant == "peer", name
        warned |= found
    assert warned == {
        "There is COPD signs.": "abbreviation",
        "There is NSG tube.": "abbreviation",
        "There is enlarged PA": "abbreviation",
        "There is nodule/mass": "table-label",
        "There is normal.": "normal-as-finding",
    }


def test_a_finding_that_is_denied_and_a_normal_prompt_that_asserts():
    asked = {
        "edema": ["There is no edema."],
        "mass": ["There is a mass."],
        "normal": ["There is edema.", "There is no finding."],
        "No_Finding": ["The lungs are clear."],
    }
    found = {w.prompt: w.code for w in lint_prompts(asked)}
    assert found == {"There is no edema.": "finding-denied", "There is edema.": "normal-asserts"}
    assert lint_prompts([prompt for prompts in asked.values() for prompt in prompts]) == []


def test_two_prompts_that_say_the_same():
    asked = {"mass": ["There is a mass.", "there is mass"], "tumour": ["There is the mass"]}
    first, second = lint_prompts(asked)
    assert (first.code, second.code) == ("same-as", "same-as")
    assert "of 'mass'" not in first.message
    assert "of 'mass'" in second.message


def carzero(preset: TextPreset, words: str, max_tokens: int = 97) -> CarZeroTokenizer:
    pieces = [f"[unused{number}]" for number in range(103)]
    for name, number in SPECIAL_IDS.items():
        pieces[number] = name
    return CarZeroTokenizer([*pieces, *words.split()], max_tokens, preset)


def test_what_the_cleaning_of_the_published_model_takes_away():
    words = "there is a nodule of 3 5 cm stable no finding . /"
    prompts = ["There is a nodule of 3.5 cm.", "No finding. Stable.", "Stable", "There is a nodule."]
    of_published = lint_prompts(prompts, tokenizer=carzero(TextPreset.CARZERO, words))
    found = [(w.prompt, w.message) for w in of_published if w.code == "cut-by-the-model"]
    assert [(prompt, message.split(": ")[1]) for prompt, message in found] == [
        (prompts[0], "'3.' is cut out"),
        (prompts[1], "the sentence 'stable' is dropped"),
        (prompts[2], "nothing is left of it"),
    ]
    assert "cut-by-the-model" not in codes(prompts, tokenizer=carzero(TextPreset.CORRECTED, words))


def test_what_the_tokenizer_does_not_read():
    bert = carzero(TextPreset.CARZERO, "there is a nodule", max_tokens=6)
    assert codes(["There is a nodule."], tokenizer=bert) == []
    assert codes(["There is a nodule there."], tokenizer=bert) == ["too-long"]
    assert codes(["There is a goiter."], tokenizer=bert) == ["unknown-token"]
    own = TextTokenizer.fit(["There is no finding."] * 2, max_tokens=5)
    assert codes(["There is no finding."], tokenizer=own) == []
    assert codes(["There is no finding, there is none."], tokenizer=own) == ["too-long"]
    assert codes(["There is ß."], tokenizer=own) == ["unknown-token"]
    # The model's own tokenizer goes on cutting.
    assert own(["There is no finding, there is no finding."])[0].shape == (1, 5)


def test_a_model_without_a_tokenizer_says_so():
    with pytest.raises(CheckpointError, match="no tokenizer"):
        lint_prompts(["There is edema."], tokenizer=NoTokenizer())


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("there is pleural effusion", []),
        ("There is a left pleural effusion.", []),
        ("Consolidation is present.", []),
        ("There is goiter.", ["unseen-words", "unlike-training-text"]),
        ("Pleural effusion exists.", ["unseen-words", "not-the-training-form"]),
        ("There is fracture.", ["only-denied"]),
        ("There is no pacemaker.", ["never-denied"]),
        ("There is no left pneumothorax.", []),
    ],
)
def test_how_far_a_prompt_is_from_the_training_text(prompt, expected):
    found = [code for code in codes([prompt], training_text=REPORTS) if code != "no-sentence"]
    assert found == expected


def test_a_form_that_the_training_text_has_is_no_fault():
    reports = ["COPD", "Small effusion", "Scoliosis", "There is no finding."]
    assert codes(reports) == ["one-word", "abbreviation", "no-sentence", "one-word"]
    assert codes(reports, training_text=reports) == []


def test_what_the_training_text_denies_is_read_with_its_marks():
    reports = ["No effusion, a fracture is seen.", "There is no nodule."]
    assert TrainingText(reports).stated() == ({"fracture"}, {"pleural effusion", "nodule"})
    assert "only-denied" in codes(["There is a nodule."], training_text=reports)
    assert "only-denied" not in codes(["There is a fracture."], training_text=reports)


def test_the_threshold_of_likeness_can_be_set():
    prompt = ["There is no small left lower lung consolidation."]
    assert codes(prompt, training_text=REPORTS, unlike_below=0.0) == []
    assert codes(prompt, training_text=REPORTS, unlike_below=1.0) == ["unlike-training-text"]


def test_the_nearest_sentence_is_found_whatever_the_order():
    text, turned = TrainingText(REPORTS), TrainingText(REPORTS[::-1])
    prompts = ["Effusions are seen.", "There is no pneumothorax!", "xyzzy"]
    assert [near for near, _ in text.nearest(prompts)][:2] == [
        "there is pleural effusion",
        "there is no pneumothorax",
    ]
    assert [round(s, 6) for _, s in text.nearest(prompts)] == [
        round(s, 6) for _, s in turned.nearest(prompts)
    ]
    assert text.nearest(prompts)[1][1] == pytest.approx(1)
    assert text.nearest(prompts)[2][1] == 0
    assert text.nearest([]) == []


def test_an_empty_training_text_is_refused():
    with pytest.raises(InputError, match="holds no sentence"):
        lint_prompts(["There is edema."], training_text=["", "?"])


def test_the_training_text_of_a_study_table_is_what_training_draws_from(make_studies):
    normal = {"text": "Clear.", "label": "normal", "prompt": "There is no finding.", "reason": "r"}
    abnormal = {"text": "Wet.", "label": "abnormal", "prompt": "There is edema.", "reason": "r"}
    rest = {"section": "findings", "start": 0, "end": 4, "findings": []}
    rows = [[normal | rest, abnormal | rest], [normal | rest], [abnormal | rest]]
    studies = make_studies(
        3, sentences=rows, label=["abnormal", "normal", "abnormal"], split=["train", "train", "test"]
    )
    every = training_text(studies, filter_sentences=False)
    assert sorted(every) == ["Clear.", "Clear.", "There is edema.", *["There is no finding."] * 2, "Wet."]
    kept = training_text(studies, filter_sentences=True)
    assert sorted(kept) == ["Clear.", "There is edema.", "There is no finding.", "Wet."]


def test_the_phantom_knows_the_prompts_of_its_findings(studies):
    text = training_text(studies, filter_sentences=False)
    assert lint_prompts({"normal": NORMAL_PROMPTS}, training_text=text) == []
    assert codes([finding_prompt("cardiomegaly"), finding_prompt("edema")], training_text=text) == []
    assert "unseen-words" in codes([finding_prompt("goiter")], training_text=text)


def test_every_code_is_explained():
    docs = DOCS.read_text(encoding="utf-8")
    assert [code for code in CODES if f"| `{code}` |" not in docs] == []


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=60), max_size=4))
def test_any_text_is_linted(prompts):
    found = lint_prompts(prompts, training_text=REPORTS)
    assert {warning.code for warning in found} <= CODES.keys()
    assert {warning.prompt for warning in found} <= set(prompts)
    assert all(warning.message and warning.remedy.endswith((".", "'")) for warning in found)
