"""`offclip label`: options, the summary, and what a user sees after a mistake."""

import os
import re
import subprocess
import sys

import polars as pl
import pytest

from offclip.cli.console import run_safely
from offclip.cli.labelling_options import make_config
from offclip.cli.main import app
from offclip.data.study import read_studies
from offclip.errors import ConfigError
from offclip.reports.config import LabellingConfig


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


def plain(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


@pytest.fixture
def texts(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, text in (
        ("1", "FINDINGS: Clear lungs."),
        ("2", "FINDINGS: Small effusion. No pneumothorax. Zibble quorm is as it was before."),
        ("3", "TECHNIQUE: PA and lateral."),
        ("4", "FINDINGS: Quorm\x1b[31m zorb is as it was before."),
    ):
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_a_folder_of_texts_is_labelled_and_summed_up(texts, tmp_path, capsys):
    assert offclip("label", texts, "--out", tmp_path / "s.parquet", "--workers", 1) == 0
    captured = capsys.readouterr().out
    out = plain(captured)
    assert "3 studies" in out
    assert re.search(r"all │ 1 │ 1 │ 1", out)
    assert "5 sentences; filtering will leave out 2." in out
    assert "Most frequent undecided sentences" in out
    assert "1 Zibble quorm is as it was before." in out
    assert "\x1b[31m" not in captured
    assert "count as patients of their own" in out
    assert f"1 row(s) left out, listed with reasons in {tmp_path / 'skipped.csv'}" in out
    assert "the report has no sentence in findings or impression" in out
    assert re.search(r"4 reports in [\d.]+ s, [\d,]+ reports/s\.", out)
    assert f"Wrote {tmp_path / 's.parquet'}" in out
    assert read_studies(tmp_path / "s.parquet")["study_id"].to_list() == ["1", "2", "4"]


def test_options_reach_the_labels(texts, tmp_path):
    (tmp_path / "own.toml").write_text('schema = 1\n[[finding]]\nname = "ring"\nphrases = ["zibble"]\n')
    (tmp_path / "label.toml").write_text('lexicon = ["own.toml"]\n[conventions]\nundecided = "normal"\n')

    def labels(*options):
        assert offclip("label", texts, "--out", tmp_path / "s.parquet", "--workers", 1, *options) == 0
        sentences = read_studies(tmp_path / "s.parquet")["sentences"]
        return sentences[1][2]["reason"], sentences[2][0]["label"]

    assert labels() == ("undecided", "uncertain")
    assert labels("--undecided", "abnormal") == ("undecided", "abnormal")
    assert labels("--lexicon", tmp_path / "own.toml") == ("asserted:ring", "uncertain")
    assert labels("--config", tmp_path / "label.toml") == ("asserted:ring", "normal")
    assert labels("--config", tmp_path / "label.toml", "--undecided", "abnormal")[1] == "abnormal"


def test_options_win_over_the_file(tmp_path):
    (tmp_path / "label.toml").write_text('labeller = "llm"\nlexicon = ["a.toml"]\n')
    config = make_config(tmp_path / "label.toml", "rules", [tmp_path / "b.toml"], None)
    assert config.labeller == "rules"
    assert config.lexicon == (tmp_path / "a.toml", tmp_path / "b.toml")
    assert make_config(tmp_path / "label.toml", None, [], None).labeller == "llm"
    assert not config.llm.allow_remote
    typed = {"endpoint": None, "model": "small", "allow_remote": True}
    config = make_config(None, None, [], None, typed)
    assert (config.llm.model, config.llm.allow_remote) == ("small", True)
    assert config.llm.endpoint == LabellingConfig().llm.endpoint
    with pytest.raises(ConfigError, match="--undecided maybe"):
        make_config(None, None, [], "maybe")


def test_a_dry_run_prints_what_a_model_would_be_asked_and_writes_nothing(texts, tmp_path, capsys):
    config = tmp_path / "label.toml"
    config.write_text(f'labeller = "llm"\n[llm]\nmodel = "m"\ncache = "{tmp_path / "cache.jsonl"}"\n')
    without = ["label", texts, "--labeller", "llm", "--model", "m", "--cache", tmp_path / "c", "--dry-run"]
    assert offclip(*without) == 0
    assert '"model": "m"' in capsys.readouterr().out
    command = ["label", texts, "--config", config, "--out", tmp_path / "s.parquet", "--dry-run"]
    assert offclip(*command, "--price-in", "1", "--price-out", "2") == 0
    out = capsys.readouterr().out
    assert "5 different" in out
    assert "Small effusion." in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["label.toml", "texts"]
    assert offclip(*command, "--labeller", "rules") == 2
    assert "labeller rules asks nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-folder"], "no-such-folder: no such file or folder."),
        (["texts", "--format", "pdf"], "--format pdf is unknown."),
        (["texts", "--undecided", "maybe"], "--undecided maybe is unknown."),
        (["texts", "--images", "none"], "--images none: no such folder."),
        (["texts", "--config", "none.toml"], "none.toml cannot be read"),
        (["texts", "--format", "table"], "a folder is no table"),
        (["texts", "--out", "texts"], "--out texts is a folder."),
    ],
)
def test_a_mistake_is_a_message_and_exit_code_2(texts, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert offclip("label", *arguments) == 2
    err = capsys.readouterr().err
    assert message in plain(err)
    assert "Traceback" not in err
    assert not (tmp_path / "studies.parquet").exists()


def test_the_command_works_in_several_processes_of_its_own(tmp_path):
    rows = {"study_id": [str(i) for i in range(1200)], "report": ["Clear lungs.", "Small effusion."] * 600}
    pl.DataFrame(rows).write_csv(tmp_path / "r.csv")
    command = [
        sys.executable,
        "-c",
        "from offclip.cli.main import run; run()",
        "label",
        "r.csv",
        "--workers",
        "2",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1,200 studies" in done.stdout
    assert "Warning: there is no column patient_id" in done.stdout
    assert read_studies(tmp_path / "studies.parquet")["label"].to_list() == ["normal", "abnormal"] * 600
