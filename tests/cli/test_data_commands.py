"""`offclip data list`, `prepare` and `check` on a folder of one's own."""

import json
import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from PIL import Image

from offclip.cli.console import run_safely
from offclip.cli.data.list import card_text, first_sentence
from offclip.cli.main import app
from offclip.data.datasets.catalogue import NAMES, card_of
from offclip.data.study import read_studies


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


def plain(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


@pytest.fixture
def root(tmp_path):
    """Six films of six patients with labels, boxes and reports in tables of a hospital."""
    folder = tmp_path / "hospital"
    (folder / "films").mkdir(parents=True)
    rows = ["image_id,study_id,patient_id,view,split,age,sex,normal,Effusion,report"]
    for n in range(6):
        pixels = np.random.default_rng(n).integers(0, 255, (40, 32), np.uint8)
        Image.fromarray(pixels).save(folder / "films" / f"film{n}.png")
        split = ("train", "validate", "test")[n % 3]
        label, text = (
            ("1,0", "The lungs are clear.") if n < 3 else ("0,1", "There is a left pleural effusion.")
        )
        rows.append(f"film{n},study{n},patient{n},PA,{split},{50 + n},F,{label},{text}")
    (folder / "images.csv").write_text("\n".join(rows) + "\n")
    (folder / "boxes.csv").write_text("image_id,finding,x,y,width,height\nfilm5,Effusion,2,3,10,12\n")
    return folder


def test_list_names_every_set(capsys):
    assert offclip("data", "list") == 0
    out = capsys.readouterr().out
    for name in NAMES:
        assert re.search(rf"^{name} ", out, re.MULTILINE)
    assert "377,110" in out


@pytest.mark.parametrize("name", NAMES)
def test_list_prints_the_whole_card(name, capsys):
    assert offclip("data", "list", name) == 0
    card, out = card_of(name), plain(capsys.readouterr().out)
    for text in (card.title, card.url, card.terms, card.citation, *card.notes, *card.options.values()):
        assert plain(text) in out
    for line in card.layout.strip().splitlines():
        assert plain(line) in out
    assert out == plain(card_text(card))


def test_an_unknown_set_is_a_users_mistake(capsys, tmp_path):
    assert offclip("data", "list", "vindr") == 2
    assert offclip("data", "prepare", "vindr", "--root", tmp_path, "--out", tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert err.count("There is no public set 'vindr'") == 2
    assert "vindr-cxr" in err


@pytest.mark.parametrize("command", ["prepare", "check"])
@pytest.mark.parametrize("there", [True, False])
def test_without_files_it_says_where_to_get_them(command, there, tmp_path, capsys):
    root = tmp_path / "root"
    if there:
        root.mkdir()
    out = ["--out", tmp_path / "out"]
    assert offclip("data", command, "chestxray14", "--root", root, *out) == 2
    said = capsys.readouterr()
    card = card_of("chestxray14")
    assert plain(card.terms) in plain(said.out)
    assert card.url in said.err
    assert "downloads nothing" in said.err
    assert not (tmp_path / "out").exists()


def test_prepare_and_check_a_folder(root, tmp_path, capsys):
    out = tmp_path / "prepared"
    assert offclip("data", "prepare", "folder", "--root", root, "--out", out, "--workers", 1) == 0
    said = plain(capsys.readouterr().out)
    assert said.startswith("A folder of your own: Your own;")
    assert "6 images, 6 studies" in said
    assert "1 boxes." in said
    studies = read_studies(out / "studies.parquet")
    assert studies["label"].to_list() == ["normal"] * 3 + ["abnormal"] * 3
    assert json.loads((out / "dataset.json").read_text())["fingerprint"][:12] in said

    assert offclip("data", "check", "folder", "--root", root, "--pixels", "--out", tmp_path / "report") == 0
    said = plain(capsys.readouterr().out)
    assert "6 images were read." in said
    assert "No problem was found." in said
    assert json.loads((tmp_path / "report" / "check.json").read_text())["clean"] is True


def test_a_relative_root_is_understood(root, tmp_path, monkeypatch):
    monkeypatch.chdir(root.parent)
    assert offclip("data", "prepare", "folder", "--root", root.name, "--out", "prepared", "--workers", 1) == 0
    monkeypatch.chdir("/")
    paths = [
        image["path"]
        for row in read_studies(tmp_path / "prepared" / "studies.parquet")["images"]
        for image in row
    ]
    assert paths == [str(root / "films" / f"film{n}.png") for n in range(6)]
    assert offclip("data", "check", "folder", "--root", root) == 0


def test_check_has_exit_code_1_where_there_is_a_problem(root, tmp_path, capsys):
    (root / "films" / "film1.png").write_bytes(b"no image")
    assert offclip("data", "check", "folder", "--root", root) == 0
    assert offclip("data", "check", "folder", "--root", root, "--pixels", "--workers", 1) == 1
    said = plain(capsys.readouterr().out)
    assert "image unreadable" in said
    assert "not-an-image" in said
    assert offclip("data", "check", "folder", "--root", root, "--sample", 2) == 2


def test_labelling_can_be_configured(root, tmp_path):
    (tmp_path / "label.toml").write_text('[conventions]\nundecided = "abnormal"\n')
    table = pl.read_csv(root / "images.csv").with_columns(report=pl.lit("Zxqv zxqv zxqv."))
    table.write_csv(root / "images.csv")
    options = ["--root", root, "--out", tmp_path / "out", "--workers", 1]
    assert offclip("data", "prepare", "folder", *options, "--config", tmp_path / "label.toml") == 0
    assert set(read_studies(tmp_path / "out" / "studies.parquet")["label"]) == {"abnormal"}


def test_a_prepared_set_is_trained_on_and_evaluated(root, tmp_path, capsys):
    out, run = tmp_path / "prepared", tmp_path / "run"
    assert offclip("data", "prepare", "folder", "--root", root, "--out", out, "--workers", 1) == 0
    tiny = ["--image-size", "16", "--batch-size", "2", "--epochs", "1", "--precision", "fp32"]
    assert offclip("train", out / "studies.parquet", "--out", run, *tiny) == 0
    assert offclip("evaluate", run, "--data", out, "--out", tmp_path / "results") == 0
    assert (tmp_path / "results" / "results.json").is_file()
    capsys.readouterr()


def test_listing_loads_no_reader_of_images_and_no_torch():
    code = (
        "import sys; from offclip.cli.main import app\n"
        "try: app(['data', 'list'])\n"
        "except SystemExit as leaving: assert not leaving.code\n"
        "heavy = {'torch', 'cv2', 'pydicom', 'pyarrow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_first_sentence_stops_at_its_end():
    assert first_sentence("Free for research (v. 1.0). Cite it.") == "Free for research (v. 1.0)."
    assert first_sentence("One\n  line") == "One line"
