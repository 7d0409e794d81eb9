"""`offclip protocols`."""

import re

import pytest

from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.evaluation.protocols.load import load_protocol, protocol_names


def offclip(*arguments):
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


def plain(text):
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def test_list_names_every_protocol_with_its_hash(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert offclip("protocols", "list") == 0
    out = plain(capsys.readouterr().out)
    for name in protocol_names():
        assert name in out
        assert load_protocol(name).hash in out


def test_show_prints_what_is_fixed(capsys):
    assert offclip("protocols", "show", "vindr-cxr-peer") == 0
    out = capsys.readouterr().out
    protocol = load_protocol("vindr-cxr-peer")
    for words in (protocol.hash, protocol.source, "no-class-present", "trapezoid", "in-sample-youden"):
        assert words in out
    for rule in protocol.classes:
        assert f"{rule.name}: '{rule.prompts[0]}'" in out
    assert all(quirk in out for quirk in protocol.quirks)
    assert offclip("protocols", "show", "vindr-boxes-peer") == 0
    assert "rule peer" in capsys.readouterr().out


def test_show_reads_a_file_of_ones_own(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "chexpert-5-clean"\ntitle = "Mine"\n')
    assert offclip("protocols", "show", path) == 0
    out = capsys.readouterr().out
    assert out.startswith("mine: Mine\n")
    assert "never with Support Devices; normal; not in the means" in out


@pytest.mark.parametrize(
    ("name", "message"),
    [("vindr", "There is no protocol 'vindr'."), ("none.toml", "none.toml: cannot be read")],
)
def test_mistakes(name, message, capsys):
    assert offclip("protocols", "show", name) == 2
    assert message in capsys.readouterr().err
