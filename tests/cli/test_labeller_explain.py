"""`offclip labeller explain`: what is printed, in words, in JSON, in colour, and after a mistake."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.cli.console import run_safely
from offclip.cli.labeller.printable import printable
from offclip.cli.main import app
from offclip.errors import DataError
from offclip.reports.explanation import explain_report, reason_in_words
from offclip.reports.labels import SentenceLabel, Statement
from offclip.reports.language import is_spanish

REPORT = """INDICATION: Rule out pneumonia.

FINDINGS: PA and lateral views. Possible small left effusion, about as large as an apple usually is.
No pneumothorax. The lungs are clear.

IMPRESSION: Effusion cannot be excluded.
NOTIFICATION: Discussed with Dr. X.
"""


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


def test_a_report_is_taken_apart_in_80_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "report.txt").write_text(REPORT)
    assert offclip("labeller", "explain", "--file", tmp_path / "report.txt") == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in out
    assert not [line for line in lines if line != line.rstrip()]
    assert lines[0] == "Report: abnormal   5 sentence(s) read, 2 kept for training"
    words = " ".join(out.split())
    assert "INDICATION 12-31 not read Rule out pneumonia." in words
    assert "NOTIFICATION" in words
    assert 'because "effusion" is possible or not excluded ("possible"), which counts as abnormal' in words
    assert "pleural effusion: possible, left, mild" in words
    assert "prompt There is no pneumothorax." in words
    assert words.count("left out by filtering") == 3
    start = REPORT.index("No pneumothorax")
    assert f"{start}-{start + 16}" in words


def test_a_sentence_from_the_command_line_and_from_standard_input(capsys, monkeypatch):
    assert offclip("labeller", "explain", "No effusion.") == 0
    first = capsys.readouterr().out
    assert 'because "effusion" is denied ("no") [negated:pleural effusion]' in " ".join(first.split())
    for arguments in (["-"], ["--file", "-"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfNo effusion.")))
        assert offclip("labeller", "explain", *arguments) == 0
        assert capsys.readouterr().out == first


def test_words_are_coloured_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert offclip("labeller", "explain", "INDICATION: Cough. FINDINGS: Small effusion. No edema.") == 0
    out = capsys.readouterr().out
    assert re.search(r"Small \x1b\[1;31meffusion\x1b\[0m", out)
    assert re.search(r"\x1b\[4mNo\x1b\[0m \x1b\[1;32medema\x1b\[0m", out)
    assert re.search(r"\x1b\[2mCough\.", out)


def test_json_has_offsets_that_reproduce_the_text(capsys):
    assert offclip("labeller", "explain", REPORT, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"schema", "label", "sections", "sentences"}
    assert (found["schema"], found["label"]) == (1, "abnormal")
    assert [s["kind"] for s in found["sections"]] == ["indication", "findings", "impression", "notification"]
    assert [s["read"] for s in found["sections"]] == [False, True, True, False]
    for sentence in found["sentences"]:
        assert REPORT[sentence["start"] : sentence["end"]] == sentence["text"]
        assert sentence["kept"] == (sentence["label"] == found["label"])
        for finding in sentence["findings"]:
            assert sentence["text"][finding["start"] : finding["end"]].strip()
    (finding,) = found["sentences"][1]["findings"]
    assert finding == {
        "finding": "pleural effusion",
        "status": "hedged",
        "certainty": "possible",
        "side": "left",
        "zone": "",
        "severity": "mild",
        "cue": "possible",
        "start": len("Possible small left "),
        "end": len("Possible small left effusion"),
    }


def test_your_own_words_and_conventions(tmp_path, capsys):
    (tmp_path / "own.toml").write_text(
        'schema = 1\n[[finding]]\nname = "vascular ring"\nphrases = ["vascular ring*"]\n'
    )
    arguments = ["labeller", "explain", "A vascular ring.", "--json"]
    assert offclip(*arguments, "--lexicon", tmp_path / "own.toml") == 0
    assert json.loads(capsys.readouterr().out)["sentences"][0]["reason"] == "asserted:vascular ring"
    (tmp_path / "label.toml").write_text('[conventions]\nundecided = "abnormal"\n')
    assert (
        offclip("labeller", "explain", "The thymus juts out.", "--json", "--config", tmp_path / "label.toml")
        == 0
    )
    assert json.loads(capsys.readouterr().out)["label"] == "abnormal"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Neither a text nor a file is given"),
        (["x", "--file", "y"], "A text and a file is given"),
        (["--file", "{tmp}/none.txt"], "none.txt cannot be read"),
        (["--file", "{tmp}/bytes.txt"], "bytes.txt cannot be read"),
        (["   "], "The report has no text"),
        (["x", "--config", "{tmp}/none.toml"], "none.toml cannot be read"),
    ],
)
def test_mistakes_are_explained(tmp_path, capsys, arguments, message):
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    assert offclip("labeller", "explain", *(argument.format(tmp=tmp_path) for argument in arguments)) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_a_report_without_findings_says_so(capsys):
    assert offclip("labeller", "explain", "INDICATION: Cough.") == 0
    assert "nothing is read" in capsys.readouterr().out


def test_text_cannot_steer_the_terminal(capsys):
    assert offclip("labeller", "explain", "No \x1b[2J\x07 \u202eeffusion [bold]x[/bold].") == 0
    out = capsys.readouterr().out
    assert not re.search("[\x1b\x07\u202e]", out)
    assert "[bold]x[/bold]" in out


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.text(max_size=120))
def test_printable_keeps_offsets(text):
    assert len(printable(text)) == len(text)
    assert len(printable(text).splitlines()) <= 1


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("normal-phrase:clear", 'the words "clear" call it normal'),
        ("negated:no evidence of", 'the words "no evidence of" deny something that is not in the lexicon'),
        ("waived:granuloma", "granuloma is stated, and the conventions call it normal"),
        ("llm:abnormal", "the language model said so"),
        (
            "llm-fallback:undecided",
            "the language model gave no answer, so the rules decided: no rule found anything",
        ),
        ("fragment", "too few words to say anything"),
        ("unchanged:is unchanged", 'the words "is unchanged" say only that it is as before'),
        ("new-rule:x", "the labeller's reason is new-rule:x"),
        ("classifier:0.93", "the trained classifier decided (0.93)"),
    ],
)
def test_reasons_in_words(reason, words):
    assert reason_in_words(reason) == words


def test_a_labeller_is_asked_once_a_sentence_and_in_one_go():
    class Batch:
        asked: list[list[str]]

        def __init__(self):
            self.asked = []

        def __call__(self, sentence):
            return self.label_many([sentence])[0]

        def label_many(self, sentences):
            self.asked.append(list(sentences))
            said = Statement("There is effusion.", "abnormal")
            return [SentenceLabel("abnormal", "llm:abnormal", statements=(said,)) for _ in sentences]

    labeller = Batch()
    explained = explain_report("Effusion. Effusion. Edema.", labeller)
    assert explained.label == "abnormal"
    assert labeller.asked == [["Effusion.", "Edema."]]
    assert [one.sentence.prompt for one in explained.sentences] == ["There is effusion."] * 3


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.text(max_size=200).filter(str.strip))
def test_any_text_is_taken_apart(text):
    report = f"HISTORY: {text}\n\nFINDINGS: {text}"
    if is_spanish(report):  # hypothesis knows the words that the code knows
        with pytest.raises(DataError, match="Spanish"):
            explain_report(report)
        return
    explained = explain_report(report)
    for one in explained.sentences:
        assert explained.text[one.sentence.start : one.sentence.end] == one.sentence.text
    for part in explained.parts:
        assert explained.text[part.start : part.end].strip()
