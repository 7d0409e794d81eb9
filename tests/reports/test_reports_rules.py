"""Every lesson about sentence labels as a case."""

import pytest

from offclip.reports import Conventions, RuleLabeller, label_sentence

ABNORMAL = [
    # plain assertion; a number and a unit
    ("Small left pleural effusion.", "asserted:pleural effusion"),
    ("A 1.5 cm nodule.", "asserted:nodule"),
    # negation ends with its clause
    ("No pneumothorax, but a small effusion.", "asserted:pleural effusion"),
    ("Without effusion; cardiomegaly.", "asserted:cardiomegaly"),
    ("There is no effusion, however there is edema.", "asserted:edema"),
    ("Cardiomegaly without effusion.", "asserted:cardiomegaly"),
    ("No effusion, mild cardiomegaly.", "asserted:cardiomegaly"),
    ("No pneumothorax, chest tube in place.", "asserted:tube"),
    ("Lungs are clear except for a granuloma.", "asserted:granuloma"),
    ("No effusion seen, left basilar granuloma.", "asserted:granuloma"),
    ("Views of the chest demonstrate an effusion.", "asserted:pleural effusion"),
    ("Heart size top normal for technique, sternotomy clips.", "asserted:postoperative change"),
    # a comma keeps "within normal limits" from reaching back
    ("The heart is enlarged, pulmonary vascularity within normal limits.", "asserted:cardiomegaly"),
    # pseudo-negations
    ("No change in the left effusion.", "asserted:pleural effusion"),
    ("No significant interval change in mild edema.", "asserted:edema"),
    ("The consolidation has not resolved.", "asserted:consolidation"),
    ("The effusion is not significantly changed.", "asserted:pleural effusion"),
    ("Nearly resolved right effusion.", "asserted:pleural effusion"),
    ("The heart is not normal in size.", "asserted:other abnormality"),
    ("No effusion and mild edema is present.", "asserted:edema"),
    # hedges
    ("Cannot exclude pneumonia.", "hedged:pneumonia"),
    ("Pneumonia cannot be excluded.", "hedged:pneumonia"),
    ("Underlying infection is not excluded.", "hedged:infection"),
    ("Possible small effusion.", "hedged:pleural effusion"),
    ("Opacity may represent atelectasis.", "asserted:opacity"),
    ("Question of a nodule.", "hedged:nodule"),
    # conventions that default to abnormal
    ("Calcified granuloma.", "asserted:calcified granuloma"),
    ("Sternotomy wires are intact.", "asserted:postoperative change"),
    ("The heart is borderline enlarged.", "asserted:cardiomegaly"),
    ("Low lung volumes.", "asserted:low lung volumes"),
    ("Hypoinflated but otherwise clear.", "asserted:low lung volumes"),
    ("A feeding tube ends in the stomach, its tip is not seen.", "asserted:tube"),
    # de-identified words and line breaks are read through
    ("There is a XXXX effusion.", "asserted:pleural effusion"),
    ("___ 8:27 PM New effusion", "asserted:pleural effusion"),
    ("Nodules suspicious for<BR>metastases.", "asserted:nodule"),
    ("air-space disease", "asserted:airspace disease"),
    # an improvement is not an absence; what one view does not show is not absent
    ("Near-complete resolution of the right effusion.", "asserted:pleural effusion"),
    ("There is no increase in the small left effusion.", "asserted:pleural effusion"),
    ("The nodule is not identified on the lateral view.", "asserted:nodule"),
    ("The right hilum is denser than normal.", "asserted:other abnormality"),
    ("The patient has been intubated.", "asserted:tube"),
    ("Marked increase in heart size.", "asserted:cardiomegaly"),
]
NORMAL = [
    ("No pneumothorax.", "negated:pneumothorax"),
    ("No focal consolidation, pleural effusion, or pneumothorax is seen.", "negated:consolidation"),
    ("There are no XXXX of effusion.", "negated:pleural effusion"),
    ("The lungs are clear.", "normal-phrase:clear"),
    ("The lungs are clear of effusion.", "negated:pleural effusion"),
    ("Heart size is within normal limits.", "normal-phrase:is within normal limits"),
    ("Heart size at the upper limits of normal.", "normal-phrase:upper limits of normal"),
    ("The heart is not enlarged.", "normal-phrase:not enlarged"),
    ("The effusion has resolved.", "negated:pleural effusion"),
    ("The opacity is no longer seen.", "negated:opacity"),
    ("The chest tube has been removed.", "negated:tube"),
    ("Interval removal of the central line.", "negated:central venous catheter"),
    ("Film of ___ at 9:15 a.m.: No effusion.", "negated:pleural effusion"),
    ("No pneumothorax, although the sensitivity to detect one is limited.", "negated:pneumothorax"),
    ("Vascular engorgement within normal limits.", "negated:vascular congestion"),
    ("No acute disease.", "negated:abnormality"),
    ("No evidence of XXXX.", "negated:no evidence of"),
    ("The effusion appears resolved.", "negated:pleural effusion"),
    ("The chest tube has also been removed.", "negated:tube"),
    ("The patient has been extubated.", "normal-phrase:extubated"),
]
UNCERTAIN = [
    ("PA and lateral views of the chest.", "non-finding:views of"),
    ("No change.", "fragment"),
    ("Heart size is unchanged.", "unchanged:is unchanged"),
    ("Comparison is made with the prior study.", "non-finding:comparison is made"),
    ("No prior images are available for comparison.", None),
    ("Recommend follow-up to exclude pneumonia.", "non-finding:recommend"),
    ("Evaluation for pneumothorax is limited.", "non-finding:evaluation for"),
    ("If there is concern for fracture, consider CT.", None),
    ("The patient is rotated.", "context:patient"),
    ("The apex is not seen.", None),
    ("Clearing of left base airspace disease.", "non-finding:clearing of"),
    ("Follow until cleared to ensure that there is no mass.", None),
    ("Flumps were glimmering there.", "undecided"),
    ("None.", "fragment"),
    ("XXXX", "fragment"),
    ("", "fragment"),
]


@pytest.mark.parametrize(
    ("text", "label", "reason"),
    [
        *((text, "abnormal", reason) for text, reason in ABNORMAL),
        *((text, "normal", reason) for text, reason in NORMAL),
        *((text, "uncertain", reason) for text, reason in UNCERTAIN),
    ],
)
def test_label_and_reason(text: str, label: str, reason: str | None) -> None:
    result = label_sentence(text)
    assert result.label == label
    assert reason is None or result.reason == reason


@pytest.mark.parametrize(
    ("conventions", "text"),
    [
        (Conventions(devices=False), "Left pacemaker."),
        (Conventions(postoperative=False), "Surgical clips."),
        (Conventions(chronic=False), "Calcified granuloma."),
        (Conventions(volumes=False), "Low lung volumes."),
        (Conventions(borderline=False), "Borderline cardiomegaly."),
        (Conventions(hedges=False), "Possible pneumonia."),
    ],
)
def test_a_convention_waves_its_findings_through_and_nothing_else(
    conventions: Conventions, text: str
) -> None:
    assert label_sentence(text).label == "abnormal"
    waived = label_sentence(text, conventions=conventions)
    assert waived.label == "normal"
    assert waived.reason.startswith("waived:")
    assert label_sentence(text + " Large effusion.", conventions=conventions).label == "abnormal"


def test_the_recall_first_policy_calls_the_undecided_abnormal() -> None:
    recall_first = Conventions(undecided="abnormal")
    assert label_sentence("Flumps were glimmering there.", conventions=recall_first).label == "abnormal"
    for says_nothing in ("Flumps.", "2 images.", "Heart size is unchanged.", "The patient is rotated."):
        assert label_sentence(says_nothing, conventions=recall_first).label == "uncertain"
    assert label_sentence("The lungs are clear.", conventions=recall_first).label == "normal"
    assert label_sentence("PA and lateral views of the chest.", conventions=recall_first).label == "uncertain"


def test_mentions_say_where_each_finding_stands() -> None:
    text = "No pneumothorax, but a small pleural effusion."
    mentions = label_sentence(text).mentions
    assert [(m.finding, m.status, text[m.start : m.end]) for m in mentions] == [
        ("pneumothorax", "negated", "pneumothorax"),
        ("pleural effusion", "asserted", "pleural effusion"),
    ]


def test_mentions_say_where_how_severe_and_by_which_words() -> None:
    text = "Small left pleural effusion; no consolidation in the right upper lobe, possible moderate edema."
    assert [
        (m.finding, m.certainty, m.side, m.zone, m.severity, m.cue) for m in label_sentence(text).mentions
    ] == [
        ("pleural effusion", "present", "left", "", "mild", ""),
        ("consolidation", "absent", "right", "upper", "", "no"),
        ("edema", "possible", "", "", "moderate", "possible"),
    ]


def test_a_normal_structure_rules_out_its_finding() -> None:
    result = label_sentence("The heart size is normal.")
    assert result.reason == "normal-phrase:is normal"
    assert [(m.finding, m.certainty, m.cue) for m in result.mentions] == [
        ("cardiomegaly", "absent", "is normal")
    ]


def test_the_labeller_keeps_no_state() -> None:
    labeller = RuleLabeller()
    first = labeller("Small effusion.")
    labeller("No pneumothorax.")
    assert labeller("Small effusion.") == first
