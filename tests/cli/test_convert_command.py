"""`offclip convert`: what it prints, and what it refuses without a traceback."""

import os
import re
import sys

import pytest
import torch

import offclip as package
from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.models.carzero import convert
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import make_weights
from offclip.models.carzero.tokenizer import SPECIAL_IDS


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


@pytest.fixture
def tiny(monkeypatch):
    """The command takes the published geometry; here it takes the small one."""
    monkeypatch.setattr(convert, "config_of", lambda _: CarZeroConfig.tiny())


@pytest.fixture
def file(tmp_path):
    torch.save({"model_state_dict": make_weights(CarZeroConfig.tiny(), "command")}, tmp_path / "OFF-CLIP.pt")
    return tmp_path / "OFF-CLIP.pt"


@pytest.fixture
def vocabulary(tmp_path):
    pieces = [f"[unused{number}]" for number in range(1024)]
    for name, number in SPECIAL_IDS.items():
        pieces[number] = name
    pieces[110:113] = ["there", "is", "pneumonia"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces))
    return tmp_path / "vocab.txt"


def test_a_published_file_becomes_a_model(tiny, file, vocabulary, tmp_path, capsys):
    assert offclip("convert", file, "--out", tmp_path / "m", "--tokenizer", vocabulary) == 0
    printed = capsys.readouterr().out
    for part in (
        "OFF-CLIP.pt",
        "model_state_dict",
        "214 (float32)",
        "1,024 word pieces",
        "text preset carzero",
    ):
        assert part in printed
    assert f"Next: offclip verify {tmp_path / 'm'}" in printed.replace("\n", "")
    model = package.load(str(tmp_path / "m"))
    assert model.embed_texts(["There is pneumonia."]).mask.sum() == 5


def test_without_a_tokenizer_it_says_what_to_do(tiny, file, tmp_path, capsys):
    assert offclip("convert", file, "--out", tmp_path / "m", "--name", "carzero") == 0
    printed = capsys.readouterr().out
    assert "The model takes ids, but no text. Download vocab.txt of Laihaoran/BioClinicalMPBERT" in printed
    assert re.search(r"weights of\W+carzero", printed)


class _Call:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/none.pt"], "none.pt: cannot be read"),
        (["{tmp}/OFF-CLIP.pt"], "of another shape"),
        (["{tmp}/OFF-CLIP.pt", "--name", "other"], "Unknown name 'other'"),
        (["{tmp}/OFF-CLIP.pt", "--text-preset", "other"], "Unknown text preset 'other'"),
        (["{tmp}/OFF-CLIP.pt", "--max-gib", "0.0001"], "GiB are read"),
        (["{tmp}/hostile.pt"], "system, which weights do not need"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(file, tmp_path, capsys, arguments, message):
    torch.save({"hyper_parameters": _Call(f"touch '{tmp_path}/executed'")}, tmp_path / "hostile.pt")
    assert offclip("convert", *(a.format(tmp=tmp_path) for a in arguments), "--out", tmp_path / "m") == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert re.search(r"^  \S.*\.$", err, re.MULTILINE)
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "m").exists()


def test_a_tokenizer_that_is_not_there(tiny, file, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    command = ["convert", file, "--out", tmp_path / "m", "--tokenizer"]
    assert offclip(*command, "someone/some-bert") == 2
    assert "someone/some-bert: no such folder here" in capsys.readouterr().err
    assert offclip(*command, tmp_path / "none") == 2
    assert "no such file or folder, and no hub id" in capsys.readouterr().err
