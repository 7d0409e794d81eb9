"""Where the files of a model come from: folders, the cache of the hub, and what is wrong with them."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from offclip.errors import CheckpointError
from offclip.models.adapters.hub import fetch, licence_of, read_json, read_weights, weight_files, where_from

hub = pytest.importorskip("huggingface_hub", reason="needs 'offclip[hf]'")

FETCH = """
import sys
from offclip.errors import CheckpointError
from offclip.models.adapters.hub import fetch, weight_files
for source in sys.argv[1:]:
    try:
        print(weight_files(fetch(source), ["model.safetensors"], ["pytorch_model.bin"], False))
    except CheckpointError as error:
        print(error)
"""
COMMIT = "0" * 40


def cached(home: Path, name: str, *files: str) -> Path:
    """A model in the layout of the hub's cache."""
    place = home / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = place / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (place / "blobs").mkdir()
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    for file in files:
        (snapshot / file).write_text("{}")
    return snapshot


def test_a_folder_is_taken_as_it_is(tmp_path, monkeypatch):
    assert fetch(str(tmp_path)) == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    assert fetch(f"~/{tmp_path.name}") == tmp_path


@pytest.mark.parametrize(
    "source", ["/no/such/folder", "./folder", "folder", "a/b/c", "org/name with space", ""]
)
def test_what_is_neither_folder_nor_id_says_so(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if source:
        with pytest.raises(CheckpointError, match="no such folder"):
            fetch(source)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file: a file"):
        fetch("file")


def test_offline_the_cache_is_looked_into_and_what_is_missing_is_told(tmp_path):
    whole = cached(tmp_path, "org/whole", "config.json", "model.safetensors")
    cached(tmp_path, "org/half", "config.json")
    broken = cached(tmp_path, "org/broken", "config.json")
    (broken.parents[1] / "blobs" / "abc.incomplete").touch()
    sources = ["org/name", "org/name@v2", "org/whole", f"org/whole@{COMMIT}", "org/half", "org/broken"]
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", FETCH, *sources]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    name, revision, found, at_commit, half, cut_off = done.stdout.splitlines()
    place = tmp_path / "hub"
    assert name.startswith(
        f"org/name: not a folder, and not in the hub's cache {place}; HF_HUB_OFFLINE is set."
    )
    assert "hf download org/name;" in name
    assert "hf download org/name --revision v2;" in revision
    assert found == at_commit == repr([whole / "model.safetensors"])
    assert "no weights as safetensors; looked for model.safetensors" in half
    assert "--allow-pickle" in half
    assert "hf download org/half" in half
    assert "download was cut off" in cut_off


def test_pickles_are_asked_for_with_consent_and_without_safe_weights_only(tmp_path, monkeypatch):
    asked = []

    def snapshot_download(name, revision, allow_patterns):
        asked.append((name, revision, "*.bin" in allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    fetch("org/name")
    fetch("org/name@v2", allow_pickle=True)
    (tmp_path / "model.safetensors").touch()
    fetch("org/name", allow_pickle=True)
    first, second, third, fourth = asked
    assert first == ("org/name", None, False) == fourth
    assert (second, third) == (("org/name", "v2", False), ("org/name", "v2", True))


@pytest.mark.parametrize(
    ("error", "word"), [(ConnectionError("no route"), "no route"), (ValueError(), "ValueError")]
)
def test_whatever_the_hub_raises_is_an_error_of_ours(monkeypatch, error, word):
    def snapshot_download(*given, **named):
        raise error

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    before = hub.utils.are_progress_bars_disabled()
    with pytest.raises(CheckpointError, match=word):
        fetch("org/name")
    assert hub.utils.are_progress_bars_disabled() == before


def test_where_from_knows_the_cache(tmp_path):
    assert "hf download org/my--name" in where_from(tmp_path / "models--org--my--name" / "snapshots" / "abc")
    assert where_from(tmp_path) == "Copy or download the whole folder."


def test_json_that_is_none_is_refused(tmp_path):
    file = tmp_path / "config.json"
    for content in (None, b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"config\.json"):
            read_json(file)


def test_safe_weights_come_before_pickles(tmp_path):
    names = (["a.safetensors", "b.safetensors"], ["a.bin"])
    (tmp_path / "a.bin").touch()
    with pytest.raises(CheckpointError, match="pickle"):
        weight_files(tmp_path, *names, False)
    assert weight_files(tmp_path, *names, True) == [tmp_path / "a.bin"]
    (tmp_path / "b.safetensors").touch()
    assert weight_files(tmp_path, *names, True) == [tmp_path / "b.safetensors"]


@pytest.mark.parametrize("table", [{}, {"weight_map": {}}, {"weight_map": 3}, {"weight_map": {"x": "../y"}}])
def test_an_index_that_names_nothing_beside_it_is_refused(tmp_path, table):
    index = tmp_path / "w.index.json"
    index.write_text(json.dumps(table))
    with pytest.raises(CheckpointError, match="names no files"):
        weight_files(tmp_path, [index.name], [], False)


class Program:
    def __reduce__(self):
        return os.system, ("true",)


def test_weights_are_tensors_or_an_error(tmp_path):
    file = tmp_path / "w.bin"
    tensors = {"a": torch.ones(2)}
    for content in (tensors, {"state_dict": tensors}, {"model": tensors}):
        torch.save(content, file)
        assert torch.equal(read_weights(file, allow_pickle=True)["a"], torch.ones(2))
    with pytest.raises(CheckpointError, match="can hold a program"):
        read_weights(file, allow_pickle=False)
    for content in ([1], {"a": 1}, {"state_dict": {"a": "b"}}):
        torch.save(content, file)
        with pytest.raises(CheckpointError, match="no table of tensors"):
            read_weights(file, allow_pickle=True)
    torch.save({"a": Program()}, file)
    with pytest.raises(CheckpointError, match=r"refused \(it asks for .*system"):
        read_weights(file, allow_pickle=True)
    for broken in (b"", b"PK\x03\x04broken", pickle.dumps(3)[:4]):
        file.write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"w\.bin"):
            read_weights(file, allow_pickle=True)
    safe = tmp_path / "w.safetensors"
    save_file(tensors, safe)
    assert torch.equal(read_weights(safe, allow_pickle=False)["a"], torch.ones(2))
    safe.write_bytes(safe.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match=r"w\.safetensors: not readable"):
        read_weights(safe, allow_pickle=False)
    with pytest.raises(CheckpointError, match="no such file"):
        read_weights(tmp_path / "other.bin", allow_pickle=True)


def test_the_licence_stands_in_the_head_of_the_card(tmp_path):
    assert licence_of(tmp_path) == ""
    for card, licence in {
        "---\nlicense: mit\n---\n": "mit",
        '---\ntags:\n- x\nlicense: "other"\nlicense_name: terms\n---\n': "terms",
        "license: mit": "",
        "---\n---\nlicense: mit": "",
        "---": "",
    }.items():
        (tmp_path / "README.md").write_text(card)
        assert licence_of(tmp_path) == licence
