"""`offclip prompts lint` and `offclip prompts show`."""

import json

import polars as pl
import pytest

from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.models.checkpoint import read_card
from offclip.zeroshot.prompts import FINDING_TEMPLATES, NEGATION_TEMPLATES, NORMAL_PROMPTS


@pytest.fixture
def lint(capsys):
    """Runs the linter; returns the exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str]:
        line = ["prompts", "lint", *map(str, arguments)]
        code = run_safely(lambda: app(line, prog_name="offclip"), debug=False)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_sentences_are_linted_and_only_strict_makes_an_exit_code(lint):
    asked = ("There is no No Finding.", "There is edema.", "PTX")
    code, out = lint(*asked)
    assert code == 0
    assert "There is no No Finding.\n  doubled-negation: it denies twice: no ... no." in out
    assert "PTX\n  one-word: it is one word." in out
    assert "abbreviation" in out
    assert out.endswith("3 prompt(s), 2 of them with a warning.\n")
    assert lint(*asked, "--strict")[0] == 1
    assert lint("There is edema.", "--strict") == (0, "1 prompt(s), 0 of them with a warning.\n")


def test_a_file_is_linted_by_its_classes_and_its_templates_are_filled(lint, tmp_path):
    file = tmp_path / "prompts.toml"
    file.write_text(
        'templates = ["There is {finding}.", "No {finding}."]\n'
        '[prompts]\nedema = "There is no edema."\nnormal = "There is no finding."\n'
    )
    code, out = lint(file)
    assert code == 0
    assert "There is no edema.\n  finding-denied" in out
    assert "No pleural effusion.\n  finding-denied" in out
    assert out.endswith("4 prompt(s), 2 of them with a warning.\n")


def test_the_model_and_its_training_text_are_asked(lint, phantom, finished_run):
    assert read_card(finished_run)["training"]["recipe"]["filter_sentences"] is True
    code, out = lint(*NORMAL_PROMPTS, "--studies", phantom / "studies.parquet", "--model", finished_run)
    assert (code, out) == (0, "5 prompt(s), 0 of them with a warning.\n")
    code, out = lint("There is goiter ß.", "--studies", phantom / "studies.parquet", "--model", finished_run)
    assert code == 0
    for found in ("unknown-token", "unseen-words", "unlike-training-text"):
        assert f"  {found}: " in out


def test_filtered_text_is_taken_from_the_recipe_of_the_model(lint, own_phantom, own_run):
    # One abnormal study whose normal sentence has a word that stands nowhere else.
    table = own_phantom / "studies.parquet"
    studies = pl.read_parquet(table)
    rows = studies["sentences"].to_list()
    chosen = next(
        i for i, row in enumerate(studies.iter_rows(named=True))
        if row["label"] == "abnormal" and row["split"] == "train"
    )  # fmt: skip
    rows[chosen] = [
        rows[chosen][0] | {"text": "No goiter is seen.", "prompt": "No goiter.", "label": "normal"}
    ]
    studies.with_columns(sentences=pl.Series(rows, dtype=studies.schema["sentences"])).write_parquet(table)
    assert "unseen-words" not in lint("No goiter.", "--studies", table)[1]
    assert "unseen-words" in lint("No goiter.", "--studies", table, "--model", own_run)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/none.toml"], "no such file"),
        (["{tmp}/bad.json"], "stands twice"),
        (["{tmp}/bad.json", "There is edema."], "is a file, and there are 1 other arguments"),
        (["There is edema.", "--studies", "{tmp}/none.parquet"], "no such file"),
        (["There is edema.", "--model", "{tmp}"], "no model here"),
    ],
)
def test_mistakes_are_explained(lint, tmp_path, arguments, message):
    (tmp_path / "bad.json").write_text(json.dumps({"mass": ["There is mass.", "there is mass"]}))
    code, out = lint(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert code == 2
    assert message in out
    assert "Traceback" not in out


def test_what_could_steer_the_terminal_is_made_visible(lint):
    code, out = lint("\x1b[2J[bold]PTX")
    assert code == 0
    assert "\x1b" not in out
    assert "[bold]PTX" in out


def test_show_prints_every_prompt_and_template(capsys):
    assert run_safely(lambda: app(["prompts", "show"], prog_name="offclip"), debug=False) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for sentence in (*NORMAL_PROMPTS, *FINDING_TEMPLATES, *NEGATION_TEMPLATES):
        assert sentence in lines
