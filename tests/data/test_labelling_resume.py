"""A run that is stopped, by whatever, goes on from what it had finished and never mixes things up."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from offclip.data import labelling
from offclip.data.label_parts import open_parts, parts_folder
from offclip.data.labelling import label_archive
from offclip.errors import DataError, OffclipError
from offclip.reports import Conventions
from offclip.reports.config import LabellingConfig

BATCH = 20
SCRIPT = """
import sys, time
from offclip.data import label_pool, labelling
labelling.BATCH = {batch}
label_batch = label_pool.label_batch
def slowly(*arguments):
    time.sleep(0.02)
    return label_batch(*arguments)
label_pool.label_batch = slowly
if __name__ == "__main__":
    labelling.label_archive(sys.argv[1], sys.argv[2], workers=int(sys.argv[3]))
"""


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """A table of 1,600 reports, 80 batches."""
    monkeypatch.setattr(labelling, "BATCH", BATCH)
    texts = (
        "FINDINGS: Clear lungs, patient {}.",
        "IMPRESSION: Effusion {}.",
        "FINDINGS: Chest {}.",
        "TECHNIQUE: {}",
    )
    table = {
        "study_id": [f"{i:05d}" for i in range(1600)],
        "report": [texts[i % 4].format(i) for i in range(1600)],
    }
    pl.DataFrame(table).write_csv(tmp_path / "reports.csv")
    return tmp_path / "reports.csv"


@pytest.fixture
def whole(reports, tmp_path):
    """The table that a run without a stop writes."""
    label_archive(reports, tmp_path / "whole" / "s.parquet", workers=1)
    return (tmp_path / "whole" / "s.parquet").read_bytes()


def stop_at(done_at_least, stop):
    def tell(stage, done, total):
        if stage == "labelling" and done >= done_at_least:
            stop()

    return tell


def interrupt():
    raise KeyboardInterrupt


def children(pid):
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_and_gives_the_same_bytes(reports, whole, tmp_path, workers):
    out = tmp_path / "out" / "s.parquet"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(batch=BATCH))
    command = [sys.executable, str(script), str(reports), str(out), str(workers)]
    running = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while running.poll() is None and len(list(parts_folder(out).glob("part-*.arrow"))) < 8:
        time.sleep(0.005)
    orphans = children(running.pid) if workers > 1 else []
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not out.exists()
    deadline = time.monotonic() + 60
    while any(map(alive, orphans)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, orphans))

    summary = label_archive(reports, out, workers=1)
    assert summary.resumed >= 8 * BATCH
    assert summary.resumed + summary.labelled == 1600
    assert out.read_bytes() == whole
    assert sorted(p.name for p in out.parent.iterdir()) == ["s.parquet", "skipped.csv"]


def test_ctrl_c_stops_the_processes_and_keeps_what_is_finished(reports, whole, tmp_path):
    out = tmp_path / "s.parquet"
    with pytest.raises(KeyboardInterrupt):
        label_archive(reports, out, workers=2, on_progress=stop_at(200, interrupt))
    assert not multiprocessing.active_children()
    summary = label_archive(reports, out, workers=2)
    assert summary.resumed >= 200
    assert out.read_bytes() == whole


def test_a_killed_process_is_a_clear_error_and_the_run_goes_on(reports, whole, tmp_path):
    out = tmp_path / "s.parquet"

    def kill():
        for child in multiprocessing.active_children()[:1]:
            child.kill()

    with pytest.raises(OffclipError, match="ended unexpectedly") as caught:
        label_archive(reports, out, workers=2, on_progress=stop_at(100, kill))
    assert "Run the same command again" in caught.value.remedy
    assert label_archive(reports, out, workers=1).resumed >= 100
    assert out.read_bytes() == whole


def stopped(reports, out, **arguments):
    with pytest.raises(KeyboardInterrupt):
        label_archive(reports, out, workers=1, on_progress=stop_at(200, interrupt), **arguments)


def test_a_changed_input_starts_anew_and_says_so(reports, tmp_path):
    out = tmp_path / "s.parquet"
    stopped(reports, out)
    text = reports.read_text().replace("Effusion 1.", "Edema 1.")
    reports.write_text(text)
    summary = label_archive(reports, out, workers=1)
    assert summary.resumed == 0
    assert "begun anew, because this had changed: the input" in summary.notes[0]
    assert pl.read_parquet(out).filter(study_id="00001")["report"].to_list() == ["IMPRESSION: Edema 1."]


@pytest.mark.parametrize(
    ("config", "what"),
    [
        (LabellingConfig(conventions=Conventions(undecided="abnormal")), "the configuration"),
        (LabellingConfig(lexicon=(Path("own.toml"),)), "the configuration, the lexicon"),
    ],
)
def test_another_configuration_starts_anew(reports, tmp_path, monkeypatch, config, what):
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text('schema = 1\n[[finding]]\nname = "ring"\nphrases = ["ring*"]\n')
    stopped(reports, tmp_path / "s.parquet")
    summary = label_archive(reports, tmp_path / "s.parquet", config, workers=1)
    assert summary.resumed == 0
    assert f"had changed: {what}." in summary.notes[0]


def test_another_word_in_the_same_lexicon_starts_anew(reports, tmp_path):
    own = tmp_path / "own.toml"
    entry = 'schema = 1\n[[finding]]\nname = "ring"\nphrases = ["{}*"]\n'
    own.write_text(entry.format("ring"))
    config = LabellingConfig(lexicon=(own,))
    stopped(reports, tmp_path / "s.parquet", config=config)
    own.write_text(entry.format("rang"))
    summary = label_archive(reports, tmp_path / "s.parquet", config, workers=1)
    assert "had changed: the lexicon." in summary.notes[0]


def test_another_version_starts_anew(reports, tmp_path, monkeypatch):
    stopped(reports, tmp_path / "s.parquet")
    monkeypatch.setattr(labelling, "__version__", "99")
    summary = label_archive(reports, tmp_path / "s.parquet", workers=1)
    assert "had changed: the version of offclip." in summary.notes[0]


def test_damaged_and_foreign_parts_are_made_again(reports, whole, tmp_path):
    out = tmp_path / "s.parquet"
    stopped(reports, out)
    first, second, third, *_ = sorted(parts_folder(out).glob("part-*.arrow"))
    first.write_bytes(first.read_bytes()[:-100])
    second.write_bytes(b"")
    other = tmp_path / "other.parquet"
    stopped(reports, other, config=LabellingConfig(conventions=Conventions(hedges=False)))
    third.write_bytes((parts_folder(other) / third.name).read_bytes())
    before = len(list(parts_folder(out).glob("part-*.arrow")))
    assert label_archive(reports, out, workers=1).resumed == (before - 3) * BATCH
    assert out.read_bytes() == whole


def test_a_broken_journal_starts_anew(reports, whole, tmp_path):
    out = tmp_path / "s.parquet"
    for journal in ("{", "[]", json.dumps({"the input": "other"})):
        stopped(reports, out)
        (parts_folder(out) / "journal.json").write_text(journal)
        assert label_archive(reports, out, workers=1).resumed == 0
        assert out.read_bytes() == whole


def test_two_runs_do_not_write_the_same_output(reports, tmp_path):
    out = tmp_path / "s.parquet"
    with open_parts(out, {}), pytest.raises(DataError, match="another process is writing it"):
        label_archive(reports, out, workers=1)
    label_archive(reports, out, workers=1)
