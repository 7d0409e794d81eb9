"""`offclip labeller batch-export` and `batch-import`, from reports to a cache that answers."""

import json

import polars as pl
import pytest

from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.reports.config import load_config
from offclip.reports.llm.batch import batch_requests

CONFIG = '[llm]\nmodel = "m"\ncache = "{cache}"\nsentences_per_request = 2\n[conventions]\ndevices = false\n'


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


@pytest.fixture
def folder(tmp_path):
    table = pl.DataFrame(
        {
            "findings": ["Small effusion. No pneumothorax.", "Small  effusion.", None],
            "impression": ["AP view.", None, None],
        }
    )
    table.write_csv(tmp_path / "reports.csv")
    table.write_parquet(tmp_path / "reports.parquet")
    (tmp_path / "label.toml").write_text(CONFIG.format(cache=tmp_path / "cache.jsonl"))
    return tmp_path


def answers(path):
    for line in path.read_text().splitlines():
        row = json.loads(line)
        sentences = json.loads(row["body"]["messages"][1]["content"])["sentences"]
        items = [{"id": s["id"], "label": "uncertain", "statements": []} for s in sentences]
        message = {"content": json.dumps({"items": items})}
        body = {"choices": [{"message": message, "finish_reason": "stop"}]}
        yield {"custom_id": row["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}


@pytest.mark.parametrize("name", ["reports.csv", "reports.parquet"])
def test_out_and_in_again(folder, capsys, name):
    requests, results = folder / "requests.jsonl", folder / "results.jsonl"
    config = ("--config", folder / "label.toml")
    assert offclip("labeller", "batch-export", folder / name, "--out", requests, *config) == 0
    out = capsys.readouterr().out
    assert "3 different sentences; 3 of them in 2 requests." in out
    assert "holds report text" in out
    assert requests.stat().st_mode & 0o077 == 0

    rows = list(answers(requests))
    results.write_text("oops\n" + json.dumps(rows[0]) + "\n")
    assert offclip("labeller", "batch-import", results, "--requests", requests, *config) == 0
    out = capsys.readouterr().out
    assert f"2 answers added to {folder / 'cache.jsonl'}; 0 were there before." in out
    assert "results.jsonl, line 1: not a JSON object" in out
    assert "1 sentences are without an answer" in out

    # What came in is not asked again, and the labeller finds it.
    assert offclip("labeller", "batch-export", folder / name, "--out", requests, *config) == 0
    assert "1 of them in 1 requests" in capsys.readouterr().out
    settings = load_config(folder / "label.toml")
    left = batch_requests(["Small effusion.", "AP view."], settings.llm, settings.conventions)
    assert [q.text for request in left for q in request.questions.values()] == ["AP view."]


def test_options_win_over_the_file(folder, capsys):
    requests = folder / "requests.jsonl"
    command = ("labeller", "batch-export", folder / "reports.csv", "--out", requests)
    assert offclip(*command, "--model", "other", "--cache", folder / "own.jsonl") == 0
    assert json.loads(requests.read_text().splitlines()[0])["body"]["model"] == "other"
    capsys.readouterr()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["batch-export", "{0}/reports.csv"], "No language model is named"),
        (["batch-export", "{0}/none.csv", "--model", "m"], "no such file"),
        (["batch-export", "{0}/other.csv", "--model", "m"], "there is no text column"),
        (["batch-export", "{0}/reports.csv", "--config", "{0}/none.toml"], "cannot be read"),
        (["batch-import", "{0}/none.jsonl", "--config", "{0}/label.toml"], "cannot be read"),
    ],
)
def test_mistakes(folder, capsys, monkeypatch, command, message):
    monkeypatch.chdir(folder)
    (folder / "requests.jsonl").write_text("")
    (folder / "other.csv").write_text("a\nb\n")
    assert offclip("labeller", *(word.format(folder) for word in command)) == 2
    assert message in capsys.readouterr().err
