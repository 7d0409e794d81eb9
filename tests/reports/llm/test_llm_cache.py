"""The cache only grows, survives crashes and two writers, and is for its owner alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from offclip.errors import DataError
from offclip.reports import Statement
from offclip.reports.llm import LlmConfig
from offclip.reports.llm.answer import Answer
from offclip.reports.llm.cache import CacheWriter, read_cache
from offclip.reports.llm.cache_index import CacheIndex

ANSWER = Answer("abnormal", (Statement("There is effusion.", "abnormal"),))
OTHER = Answer("uncertain", ())


def key(number: int) -> str:
    return f"{number:064x}"


def test_what_is_written_is_read_and_the_first_answer_counts(tmp_path):
    path = tmp_path / "new" / "cache.jsonl"
    assert read_cache(path, [key(1)]) == {}
    with CacheWriter(path, "m") as cache:
        cache.add(key(1), ANSWER)
        cache.add(key(2), OTHER)
        cache.add(key(1), OTHER)
    assert read_cache(path, {key(1), key(2), key(3)}) == {key(1): ANSWER, key(2): OTHER}
    assert read_cache(path, {key(2)}) == {key(2): OTHER}
    assert read_cache(path, ()) == {}


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_only_the_owner_may_read_it(tmp_path):
    with CacheWriter(tmp_path / "cache.jsonl", "m"):
        assert (tmp_path / "cache.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_torn_last_line_is_closed_and_asked_again(tmp_path):
    path = tmp_path / "cache.jsonl"
    with CacheWriter(path, "m") as cache:
        cache.add(key(1), ANSWER)
        cache.add(key(2), ANSWER)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert read_cache(path, {key(1), key(2)}) == {key(1): ANSWER}
    with CacheWriter(path, "m") as cache:
        cache.add(key(2), OTHER)
    assert read_cache(path, {key(1), key(2)}) == {key(1): ANSWER, key(2): OTHER}


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"\xff\xfe\n",
        b"[1]\n",
        b'{"key": "%s"}\n' % key(1).encode(),
        b'{"key": "%s", "label": "fine", "statements": []}\n' % key(1).encode(),
        b'{"key": "%s", "label": "abnormal", "statements": [{"statement": "x", "label": "abnormal"}]}\n'
        % key(1).encode(),
        b'{"key": "%s", "label": "abnormal", "statements": null}\n' % key(1).encode(),
        b'{"key": "%s", %s\n' % (key(1).encode(), b"[" * 50_000),
    ],
)
def test_a_foreign_line_is_passed_over(tmp_path, line):
    path = tmp_path / "cache.jsonl"
    path.write_bytes(line)
    with CacheWriter(path, "m") as cache:
        cache.add(key(1), ANSWER)
    assert read_cache(path, {key(1)}) == {key(1): ANSWER}
    assert CacheIndex(path).find([key(1)]) == {key(1): ANSWER}


def test_the_index_follows_a_file_that_grows(tmp_path):
    path = tmp_path / "cache.jsonl"
    index = CacheIndex(path)
    assert index.find([key(1)]) == {}
    with CacheWriter(path, "m") as cache:
        cache.add(key(1), ANSWER)
        assert index.find([key(1), key(2)]) == {key(1): ANSWER}
        cache.add(key(2), OTHER)
        cache.add(key(1), OTHER)
        assert index.find([key(2), key(1)]) == {key(1): ANSWER, key(2): OTHER}
    # A line that is being written is read when it is whole.
    whole = path.read_bytes().replace(key(1).encode(), key(7).encode()).splitlines(keepends=True)[0]
    with path.open("ab") as handle:
        handle.write(whole[:100])
    assert index.find([key(7)]) == {}
    with path.open("ab") as handle:
        handle.write(whole[100:])
    assert index.find([key(7)]) == {key(7): ANSWER}


def test_the_index_notices_another_file(tmp_path):
    path = tmp_path / "cache.jsonl"
    with CacheWriter(path, "m") as cache:
        cache.add(key(1), ANSWER)
        cache.add(key(2), OTHER)
    index = CacheIndex(path)
    assert set(index.find([key(1), key(2)])) == {key(1), key(2)}
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[1] + lines[0])  # as long as before
    assert index.find([key(1), key(2)]) == {key(1): ANSWER, key(2): OTHER}
    path.write_bytes(lines[1])
    assert index.find([key(1), key(2)]) == {key(2): OTHER}
    path.unlink()
    assert index.find([key(2)]) == {}


def test_two_processes_append_without_mixing_lines(tmp_path):
    path = tmp_path / "cache.jsonl"
    code = (
        "import sys; from pathlib import Path\n"
        "from offclip.reports import Statement\n"
        "from offclip.reports.llm.answer import Answer\n"
        "from offclip.reports.llm.cache import CacheWriter\n"
        "first = int(sys.argv[2])\n"
        "much = 'much ' * 20\n"
        "statements = tuple(Statement(f'There is {much}{i}.', 'abnormal') for i in range(8))\n"
        "answer = Answer('abnormal', statements)\n"
        "with CacheWriter(Path(sys.argv[1]), 'm') as cache:\n"
        "    for i in range(first, first + 300): cache.add(f'{i:064x}', answer)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, path, str(first)]) for first in (0, 1000)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    expected = {key(i) for first in (0, 1000) for i in range(first, first + 300)}
    assert set(read_cache(path, expected)) == expected
    assert all(json.loads(line) for line in path.read_bytes().splitlines())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is needed")
def test_a_full_disk_is_told(tmp_path):
    with CacheWriter(Path("/dev/full"), "m") as cache, pytest.raises(DataError, match="cannot be written"):
        cache.add(key(1), ANSWER)


def test_a_folder_is_no_cache(tmp_path):
    for find in (lambda keys: read_cache(tmp_path, keys), CacheIndex(tmp_path).find):
        with pytest.raises(DataError, match="cannot be read"):
            find({key(1)})


def test_where_it_stands(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert LlmConfig().cache_path == tmp_path / "offclip" / "llm.jsonl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert LlmConfig().cache_path == tmp_path / ".cache" / "offclip" / "llm.jsonl"
    assert LlmConfig(cache="~/own.jsonl").cache_path == tmp_path / "own.jsonl"
