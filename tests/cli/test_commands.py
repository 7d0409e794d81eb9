"""The command line: help, the whole path, and what a user sees after a mistake."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from offclip import __version__
from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.cli.train import make_config
from offclip.errors import ConfigError, DataError
from offclip.models import load_model, save_model
from offclip.training import TrainConfig

COMMANDS = [
    ["demo"], ["label"], ["train"], ["evaluate"], ["ground"], ["screen"], ["compare"],
    ["convert"], ["verify"], ["env"],
    ["data", "phantom"], ["data", "list"], ["data", "prepare"], ["data", "check"],
    ["data", "info"], ["data", "shard"],
    ["models", "list"], ["models", "show"],
    ["prompts", "lint"], ["prompts", "show"],
    ["protocols", "list"], ["protocols", "show"],
    ["labeller", "explain"], ["labeller", "audit"], ["labeller", "fit"],
    ["labeller", "batch-export"], ["labeller", "batch-import"],
]  # fmt: skip
TINY = ["--image-size", "16", "--batch-size", "16", "--epochs", "1", "--precision", "fp32"]


def offclip(*arguments: object, debug: bool = False) -> int:
    """Runs the command line in this process, fences included; returns the exit code."""
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=debug)


def process(*arguments: object, **options) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "200"}
    command = [sys.executable, "-c", "from offclip.cli.main import run; run()", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes, **options)


def plain(text: str) -> str:
    """Without colours and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def test_every_command_is_known_to_these_tests():
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    found = {("", c.name or c.callback.__name__) for c in app.registered_commands} | {
        (name, c.name or c.callback.__name__) for name, sub in groups.items() for c in sub.registered_commands
    }
    assert found == {("", c[0]) if len(c) == 1 else (c[0], c[1]) for c in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(command):
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"Example: offclip {' '.join(command)}" in plain(result.output)


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys; from offclip.cli.main import app\n"
        "for arguments in (['--help'], ['train', '--help'], ['--version']):\n"
        "    try: app(arguments)\n"
        "    except SystemExit as leaving: assert not leaving.code\n"
        "heavy = {'torch', 'polars', 'numpy', 'cv2', 'PIL', 'matplotlib', 'tokenizers', 'kornia'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "evaluate" in done.stdout
    assert f"offclip {__version__}" in done.stdout


def test_the_whole_path(tmp_path, capsys):
    data, run, results = tmp_path / "phantom", tmp_path / "run", tmp_path / "results"
    table = data / "studies.parquet"
    assert offclip("data", "phantom", "--out", data, "--n", 90, "--size", 32) == 0
    assert "90 synthetic studies" in plain(capsys.readouterr().out)

    assert offclip("label", data / "reports.csv", "--out", table) == 0
    out = capsys.readouterr().out
    assert "90 studies" in out
    assert (data / "skipped.csv").read_text() == "source,row,id,reason\n"

    assert offclip("train", table, "--out", run, *TINY, "--objective", "infonce", "--no-filter") == 0
    out = plain(capsys.readouterr().out)
    assert "After epoch 1: loss" in out
    assert "validation worst prompt normal auc" in out
    recipe = json.loads((run / "config.json").read_text())["config"]
    assert (recipe["objective"], recipe["filter_sentences"], recipe["epochs"]) == ("infonce", False, 1)
    assert recipe["learning_rate"] == TrainConfig().peak_rate

    assert offclip("evaluate", run, "--data", data, "--out", results) == 0
    out = plain(capsys.readouterr().out)
    measured = json.loads((results / "results.json").read_text())
    for value in (
        measured["macro_auc"]["value"],
        measured["normal"]["auc"]["value"],
        measured["normal"]["worst_prompt"]["auc"]["value"],
        measured["metrics"]["pointing_accuracy"],
    ):
        assert f"{value:.3f}" in out
    assert measured["run"]["synthetic"]
    assert measured["metrics"]["normal_auc"] == pytest.approx(measured["normal"]["auc"]["value"], abs=1e-12)
    assert measured["metrics"]["abnormal_auc"] == pytest.approx(measured["macro_auc"]["value"], abs=1e-12)

    assert offclip("verify", run) == 0
    assert "equal images, equal scores" in capsys.readouterr().out
    assert offclip("models", "show", run) == 0
    assert json.loads(capsys.readouterr().out)["training"]["recipe"] == recipe
    assert offclip("models", "list") == 0
    assert "compact-cross-attention" in capsys.readouterr().out
    assert offclip("env") == 0
    out = capsys.readouterr().out
    assert f"torch: {torch.__version__.partition('+')[0]}" in out
    assert "extra dicom:" in out
    assert str(Path.home()) not in out


def test_skipped_rows_are_counted_at_the_end(own_phantom, tmp_path, capsys):
    reports = pl.read_csv(own_phantom / "reports.csv", infer_schema=False)
    blank = reports.with_columns(report=pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise("report"))
    blank.write_csv(own_phantom / "reports.csv")
    assert offclip("label", own_phantom / "reports.csv", "--out", own_phantom / "studies.parquet") == 0
    assert "1 row(s) left out" in plain(capsys.readouterr().out)
    assert pl.read_csv(own_phantom / "skipped.csv")["row"].to_list() == [5]

    for image_id in reports["image_id"][:2]:
        (own_phantom / "images" / f"{image_id}.png").write_bytes(b"")
    assert offclip("train", own_phantom / "studies.parquet", "--out", tmp_path / "run", *TINY) == 0
    out = plain(capsys.readouterr().out)
    n = len(pl.read_csv(tmp_path / "run" / "skipped.csv"))
    assert n >= 1
    assert f"{n} image(s) left out" in out


def test_a_mistake_is_two_lines_and_exit_code_2():
    with process("train", "no-such.parquet", "--out", "nowhere") as done:
        out, err = done.communicate()
    assert done.returncode == 2
    assert out == ""
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith(("Error:", "  Make"))]
    assert lines == [
        "Error: no-such.parquet: no such file.",
        "  Make it with 'offclip label reports.csv --out studies.parquet'.",
    ]


def test_an_unknown_option_is_exit_code_2():
    with process("train", "--epoch", "3") as done:
        _, err = done.communicate()
    assert done.returncode == 2
    assert "Traceback" not in err
    assert "--epoch" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["label", "{tmp}/none.csv"], "no such file"),
        (["label", "{phantom}/labels.csv"], "column 'study_id' is missing"),
        (["label", "{phantom}/images"], "no report is in it"),
        (["label", "{phantom}/reports.csv", "--out", "{phantom}/reports.csv/x.parquet"], "cannot be written"),
        (["train", "{phantom}/reports.csv", "--out", "{tmp}/run"], "not a readable Parquet file"),
        (["train", "{phantom}/studies.parquet", "--out", "{phantom}"], "holds no run"),
        (["train", "{phantom}/studies.parquet", "--out", "{phantom}/reports.csv"], "is a file"),
        (
            ["train", "{phantom}/studies.parquet", "--out", "{tmp}/run", "--objective", "clip"],
            "Unknown objective",
        ),
        (
            ["train", "{phantom}/studies.parquet", "--out", "{tmp}/run", "--model", "vit"],
            "There is no model 'vit'",
        ),
        (
            ["train", "{phantom}/studies.parquet", "--out", "{tmp}/run", "--image-size", "9"],
            "image_size is 9",
        ),
        (
            ["train", "{phantom}/studies.parquet", "--out", "{tmp}/run", "--batch-size", "1"],
            "batch_size is 1",
        ),
        (["train", "{phantom}/studies.parquet", "--out", "{run}", "--seed", "4"], "holds another run"),
        (["train", "{phantom}/studies.parquet", "--out", "{tmp}/run", "--config", "{tmp}/x.toml"], "x.toml"),
        (["evaluate", "{tmp}", "--data", "{phantom}"], "no model here"),
        (["evaluate", "{run}", "--data", "{tmp}/none"], "no such folder"),
        (
            ["evaluate", "{run}", "--data", "{phantom}", "--split", "all"],
            "no labelled image in the split 'all'",
        ),
        (["verify", "{tmp}"], "no model here"),
        (["models", "show", "{phantom}"], "no model here"),
        (["data", "phantom", "--out", "{tmp}/p", "--size", "9"], "9"),
        (["data", "phantom", "--out", "{tmp}/p", "--style", "haiku"], "haiku"),
        (["data", "phantom", "--out", "{run}"], "holds no phantom"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(
    phantom, finished_run, tmp_path, capsys, caplog, arguments, message
):
    places = {"phantom": phantom, "run": finished_run, "tmp": tmp_path}
    assert offclip(*(argument.format(**places) for argument in arguments)) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert "Internal error" not in err
    start = err.index("Error: ")
    first, remedy = err[start:].splitlines()[:2]
    assert first.endswith(".")
    assert re.match(r"  \S.*\.$", remedy)


def test_verify_finds_a_changed_file_and_a_broken_model(own_run, capsys):
    (own_run / "model" / "tokenizer.json").write_text("{}")
    assert offclip("verify", own_run) == 2
    assert "tokenizer.json: its SHA-256" in capsys.readouterr().err


def test_verify_finds_weights_that_are_not_finite(own_run, capsys):
    model = load_model(own_run)
    torch.nn.init.constant_(model.text_tower.project.bias, float("nan"))
    save_model(model, own_run / "model")
    assert offclip("verify", own_run) == 2
    assert "not finite" in capsys.readouterr().err


def test_fences(capsys):
    def fail(error: BaseException):
        def command():
            raise error

        return command

    assert run_safely(lambda: None, debug=False) == 0
    assert run_safely(fail(SystemExit(2)), debug=False) == 2
    assert run_safely(fail(SystemExit(None)), debug=False) == 0
    assert run_safely(fail(SystemExit("words")), debug=False) == 1
    assert run_safely(fail(DataError("What.", "Do this.")), debug=False) == 2
    assert capsys.readouterr().err == "Error: What.\n  Do this.\n"
    assert run_safely(fail(KeyboardInterrupt()), debug=False) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert run_safely(fail(ZeroDivisionError("by zero")), debug=False) == 1
    assert "Internal error: ZeroDivisionError: by zero" in capsys.readouterr().err
    for error in (DataError("What."), ZeroDivisionError()):
        with pytest.raises(type(error)):
            run_safely(fail(error), debug=True)


def test_ctrl_c_inside_typer_is_told_too(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("offclip.cli.verify.run_verify", interrupt)
    assert offclip("verify", "anything") == 130
    assert "Stopped. What was finished is kept" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_keeps_the_run_and_the_same_command_resumes_it(phantom, tmp_path):
    command = ["train", phantom / "studies.parquet", "--out", tmp_path / "run", *TINY, "--epochs", "20"]
    # A shell that starts a command in the background has it ignore Ctrl-C; here it must not.
    running = process(*command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    metrics = tmp_path / "run" / "metrics.jsonl"
    while running.poll() is None and not metrics.is_file():
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Stopped. What was finished is kept; the same command goes on from there." in err
    assert "Traceback" not in err
    assert (tmp_path / "run" / "state.pt").is_file()
    stopped_after = len(metrics.read_text().splitlines())
    assert 1 <= stopped_after < 20

    assert offclip(*command) == 0
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 21))
    assert not (tmp_path / "run" / "state.pt").exists()
    load_model(tmp_path / "run")


def test_options_win_over_the_file_and_the_file_over_defaults(phantom, tmp_path, capsys):
    (tmp_path / "recipe.toml").write_text('epochs = 9\nimage_size = 16\nseed = 7\nprecision = "fp32"\n')
    command = ["train", phantom / "studies.parquet", "--out", tmp_path / "run"]
    assert offclip(*command, "--config", tmp_path / "recipe.toml", "--epochs", "1") == 0
    recipe = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (recipe["epochs"], recipe["image_size"], recipe["seed"]) == (1, 16, 7)
    assert recipe["batch_size"] == TrainConfig().batch_size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown field 'epoch'"),
        ('epochs = "3"', "epochs = '3' is of the wrong type"),
        ("epochs = true", "epochs = True is of the wrong type"),
        ("augment = 1", "augment = 1 is of the wrong type"),
        ("epochs = 0", "epochs is 0"),
        ("learning_rate = nan", "learning_rate is nan"),
        ("epochs = ", r"recipe\.toml"),
    ],
)
def test_a_recipe_file_is_checked(tmp_path, text, message):
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        make_config(tmp_path / "recipe.toml", {})
    assert caught.value.remedy
    with pytest.raises(ConfigError, match=r"none\.toml"):
        make_config(tmp_path / "none.toml", {})


def test_a_whole_number_is_a_number(tmp_path):
    (tmp_path / "recipe.toml").write_text("learning_rate = 1\n")
    assert make_config(tmp_path / "recipe.toml", {"learning_rate": None}).learning_rate == 1
