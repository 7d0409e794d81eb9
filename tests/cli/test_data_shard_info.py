import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from offclip.cli.console import run_safely
from offclip.cli.main import app


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


def test_shards_are_packed_shown_and_verified(phantom, tmp_path, capsys):
    out = tmp_path / "shards"
    command = ("data", "shard", phantom / "studies.parquet", "--out", out, "--size", "100KB", "--pixels", 32)
    assert offclip(*command, "--workers", 1) == 0
    printed = capsys.readouterr().out
    assert "train: " in printed
    assert f"Wrote {out}" in " ".join(printed.split())
    assert pl.read_parquet(out / "index" / "*.parquet")["width"].unique().to_list() == [32]
    assert offclip(*command, "--workers", 1) == 0
    assert "were in shards that were finished before" in capsys.readouterr().out

    assert offclip("data", "info", out, "--verify") == 0
    assert "every shard is what its index says" in capsys.readouterr().out
    shard = next(out.glob("train-*.tar"))
    shard.write_bytes(shard.read_bytes()[:-600])
    assert offclip("data", "info", out, "--verify") == 1
    assert shard.name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size", "large"), "--size 'large' is no size"),
        (("--caption", "poem"), "--caption poem is unknown"),
        (("--policy", "bright"), "--policy bright is unknown"),
        (("--labels", "nowhere.csv"), "nowhere.csv: no such file"),
    ],
)
def test_wrong_options_are_one_line(phantom, tmp_path, capsys, options, message):
    assert offclip("data", "shard", phantom / "studies.parquet", "--out", tmp_path / "x", *options) == 2
    assert message in capsys.readouterr().err


def test_info_shows_a_folder_and_writes_a_contact_sheet(phantom, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    assert offclip("data", "info", phantom / "images", "--sheet", sheet, "--sample", 9, "--workers", 1) == 0
    printed = capsys.readouterr().out
    assert "format: PNG 9" in printed
    assert "pixels: 32 x 32" in printed
    with Image.open(sheet) as picture:
        assert picture.size == (8 * 166 + 6, 2 * 202 + 6)


def test_info_of_a_prepared_folder_counts_studies_too(phantom, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["data", "info", str(phantom), "--sample", "4", "--no-sheet", "--workers", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "120 studies of" in result.stdout
    assert "Read 4 of them: 4 images" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_info_of_nothing_is_an_error(tmp_path, capsys):
    assert offclip("data", "info", tmp_path) == 2
    assert "holds no file" in capsys.readouterr().err
