"""Prompt ensembles: what is asked for each class, and the mean of its logits."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import DataError, InputError
from offclip.zeroshot.ensemble import PromptSet, score_prompt_set
from offclip.zeroshot.prompts import (
    FINDING_TEMPLATES,
    NEGATION_TEMPLATES,
    NORMAL_PROMPTS,
    fill_template,
    finding_prompt,
)
from offclip.zeroshot.score import Scores


def scores(prompts, logits) -> Scores:
    logits = np.asarray(logits, np.float32)
    return Scores(tuple(f"i{row}" for row in range(len(logits))), tuple(prompts), logits, logits[:, :1])


def test_the_first_template_is_the_papers_and_the_first_denial_denies_it():
    assert fill_template(FINDING_TEMPLATES[0], "Pleural_Effusion") == finding_prompt("Pleural_Effusion")
    assert fill_template(NEGATION_TEMPLATES[0], "edema") == "There is no edema."
    assert fill_template("{finding} is present.", "Pleural_Effusion") == "Pleural effusion is present."
    assert len(set(FINDING_TEMPLATES) | set(NEGATION_TEMPLATES)) == 7


def test_the_documented_ensemble():
    asked = PromptSet.of(["edema", "Lung_Mass"])
    assert asked.classes == ("normal", "edema", "Lung_Mass")
    assert asked.normal == NORMAL_PROMPTS
    assert asked.prompts["Lung_Mass"] == (
        "There is lung mass.", "Lung mass is present.", "Findings consistent with lung mass.",
    )  # fmt: skip
    assert PromptSet.of(["edema"], normal=()).classes == ("edema",)


def test_logits_of_a_class_are_averaged_by_name_not_by_place():
    asked = PromptSet({"normal": ("Clear lungs.",), "edema": ("Edema is seen.", "There is edema.")})
    of = scores(
        ["There is edema.", "Other.", "Clear lungs.", "Edema is seen."], [[1, 9, 5, 3], [0, 9, -5, 1]]
    )
    assert score_prompt_set(of, asked).tolist() == [[5, 2], [-5, 0.5]]
    with pytest.raises(InputError, match=r"1 prompt\(s\) were not scored, such as 'Clear lungs.'"):
        score_prompt_set(scores(["There is edema.", "Edema is seen."], [[0, 0]]), asked)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(-50, 50, width=32), min_size=3, max_size=3), st.floats(-5, 5, width=32))
def test_the_mean_moves_with_a_constant_and_does_not_depend_on_the_order(row, shift):
    prompts = ["a b", "c d", "e f"]
    of_set = score_prompt_set(scores(prompts, [row]), PromptSet({"x": tuple(prompts)}))
    turned = score_prompt_set(scores(prompts[::-1], [row[::-1]]), PromptSet({"x": tuple(prompts)}))
    moved = score_prompt_set(scores(prompts, [[v + shift for v in row]]), PromptSet({"x": tuple(prompts)}))
    assert np.allclose(of_set, np.mean(row), atol=1e-4)
    assert np.allclose(turned, of_set, atol=1e-9)
    assert np.allclose(moved, of_set + shift, atol=1e-4)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({}, "neither a prompt nor a template"),
        ({"edema": ()}, "has no prompt"),
        ({"edema": ("There is edema.", " ")}, "is empty"),
        ({"edema": ("There is edema.", "there is  EDEMA")}, "stands twice"),
        ({"edema": ("There is edema.",), "wet": ("There is edema",)}, "belongs to 'edema' and to 'wet'"),
        ({"Lung_Mass": ("a b",), "lung mass": ("c d",)}, "are one"),
        ({" ": ("a b",)}, "has no name"),
        ({"No_Finding": ("There is no finding.",)}, "another word for normal"),
    ],
)
def test_a_set_that_cannot_tell_classes_apart_is_refused(prompts, message):
    with pytest.raises(InputError, match=message) as caught:
        PromptSet(prompts)
    assert caught.value.remedy


def test_a_template_needs_the_place_of_the_finding():
    with pytest.raises(InputError, match="no place for the finding"):
        PromptSet({}, ("There is it.",))


def test_findings_of_a_data_set_find_their_prompts_by_words():
    asked = PromptSet(
        {"normal": ("Clear lungs.",), "pleural effusion": ("Fluid is seen.",), "edema": ("Wet lungs.",)},
        ("There is {finding}.",),
    )
    chosen = asked.for_findings(["Mass", "Pleural_Effusion"])
    assert dict(chosen.prompts) == {
        "normal": ("Clear lungs.",),
        "Mass": ("There is mass.",),
        "Pleural_Effusion": ("Fluid is seen.",),
    }
    with pytest.raises(DataError, match=r"1 class\(es\) have no prompt: mass"):
        PromptSet(asked.prompts).for_findings(["edema", "mass"])
    with pytest.raises(DataError, match="belongs to"):
        PromptSet({"normal": ("There is mass.",)}, ("There is {finding}.",)).for_findings(["mass"])


TOML = """
templates = ["There is {finding}.", "{finding} is seen."]
[prompts]
normal = ["There is no finding.", "The lungs are clear."]
"pleural effusion" = "There is fluid."
"""


@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_toml_and_json_say_the_same(tmp_path, bom):
    (tmp_path / "p.toml").write_text(bom + TOML, encoding="utf-8")
    content = {
        "templates": ["There is {finding}.", "{finding} is seen."],
        "prompts": {
            "normal": ["There is no finding.", "The lungs are clear."],
            "pleural effusion": "There is fluid.",
        },
    }
    (tmp_path / "p.json").write_text(json.dumps(content))
    of_toml = PromptSet.read(tmp_path / "p.toml")
    assert of_toml == PromptSet.read(tmp_path / "p.json")
    assert of_toml.normal == ("There is no finding.", "The lungs are clear.")
    assert of_toml.findings == ("pleural effusion",)
    assert len(of_toml.texts) == 3


def test_a_plain_mapping_and_a_table_are_read_in_their_order(tmp_path):
    (tmp_path / "peer.json").write_text('{"Mass": "There is mass.", "Edema": ["There is edema", "Wet."]}')
    (tmp_path / "p.csv").write_text('class,prompt\nMass,There is mass.\nEdema,There is edema\nEdema,"Wet."\n')
    expected = {"Mass": ("There is mass.",), "Edema": ("There is edema", "Wet.")}
    for name in ("peer.json", "p.csv"):
        read = PromptSet.read(tmp_path / name)
        assert dict(read.prompts) == expected
        assert read.classes == ("Mass", "Edema")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.txt", "There is mass.", "ends with one of"),
        ("p.toml", "prompts = 3", "'prompts' is no mapping"),
        ("p.toml", "prompt = [", "not readable"),
        ("p.toml", "[prompts]\nmass = 3", "'mass' is neither a text nor a list"),
        ("p.toml", '[prompts]\nmass = "a b"\n[prompt]\nx = "c d"', "unknown key 'prompt'"),
        ("p.toml", 'templates = ["There is it."]', "no place for the finding"),
        ("p.toml", "", "neither a prompt nor a template"),
        ("p.json", '["There is mass."]', "no mapping"),
        ("p.json", '{"mass": "a b", "mass": "c d"}', "'mass' stands twice"),
        ("p.json", '{"mass": ["a b", 3]}', "neither a text nor a list"),
        ("p.json", '{"mass": {"a": "b"}}', "neither a text nor a list"),
        ("p.json", "[" * 100_000, "not readable"),
        ("p.json", b"\xff\xfe", "not readable"),
        ("p.csv", "class,text\nmass,There is mass.\n", "column 'prompt' is missing"),
        ("p.csv", "class,prompt,note\nmass,There is mass.,x\n", "unknown column 'note'"),
        ("p.csv", "class,prompt\nmass,\n", "row 2 has no prompt"),
        ("p.csv", "class,prompt\nmass,There is mass.\n,There is edema.\n", "row 3 has no class"),
        ("p.csv", "class,prompt\nmass,There is mass.\nmass,There is mass\n", "stands twice"),
        ("p.csv", "class,prompt\nmass,There is it.\nedema,There is it.\n", "belongs to"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path, name, text, message):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message) as caught:
        PromptSet.read(file)
    assert str(file) in caught.value.message
    assert caught.value.remedy


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        PromptSet.read(tmp_path / "none.toml")
