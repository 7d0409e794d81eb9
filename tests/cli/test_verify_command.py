"""`offclip verify`: what it prints, and what its exit code says."""

import pytest

from offclip.cli import verify
from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.evaluation.verification import Check, model


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


def test_the_installation_is_checked_when_no_model_is_given(capsys):
    assert offclip("verify") == 0
    out = capsys.readouterr().out
    assert "this installation" in out
    assert "small CARZero: sim" in out
    assert "<= 1.2e-05" in out
    assert "whole CARZero" not in out
    assert "All 10 checks passed." in out


def test_a_model_is_checked_alone_and_with_the_installation_in_full(finished_run, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        verify,
        "check_installation",
        lambda full: asked.append(full) or [Check("whole CARZero: sim", True, "1e-6", "at most 1e-5")],
    )
    assert offclip("verify", finished_run) == 0
    out = capsys.readouterr().out
    assert not asked
    assert "prompts differ" in out
    assert "All 12 checks passed." in out
    assert offclip("verify", finished_run, "--full") == 0
    assert asked == [True]
    assert "All 13 checks passed." in capsys.readouterr().out


def test_a_check_that_fails_is_marked_named_at_the_end_and_in_the_exit_code(
    finished_run, monkeypatch, capsys
):
    card = model.read_card(finished_run)
    other = card | {"preprocess": card["preprocess"] | {"std": 0.5}}
    monkeypatch.setattr(model, "read_card", lambda path: other)
    assert offclip("verify", finished_run) == 1
    captured = capsys.readouterr()
    assert "FAILED" in captured.out
    assert "1 of 12 checks failed: preprocessing of the card" in captured.out
    assert "Traceback" not in captured.err


def test_brackets_in_what_was_found_are_printed_as_they_are(monkeypatch, capsys):
    monkeypatch.setattr(
        verify, "check_installation", lambda full: [Check("[red]a[/red]", False, "[CLS] [SEP]", "[/]")]
    )
    assert offclip("verify") == 1
    out = capsys.readouterr().out
    assert "[red]a[/red]" in out
    assert "[CLS] [SEP]" in out
