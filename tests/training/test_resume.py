"""A run that was stopped, by whatever, ends like one that was not; and nothing of others is touched."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from offclip.errors import CheckpointError
from offclip.models import load_model
from offclip.training import loop, train
from offclip.training.state import Progress, RunFolder


def same_weights(a, b) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def stop_at(step: int, how):
    def on_step(report):
        if report.step == step:
            how()

    return on_step


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("step", "first_again"),  # five steps an epoch, two epochs; the signal waits for the end of the next step
    [(1, 3), (3, 5), (4, 6), (5, 6), (6, 8), (9, None), (10, None)],
)
def test_ctrl_c_keeps_the_last_whole_step(phantom, recipe, finished_run, tmp_path, step, first_again):
    table, run, seen = phantom / "studies.parquet", tmp_path / "run", []
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(table, recipe(), run, on_step=stop_at(step, lambda: signal.raise_signal(signal.SIGINT)))
    assert signal.getsignal(signal.SIGINT) is before
    model = train(table, recipe(), run, on_step=seen.append)
    assert (seen[0].step if seen else None) == first_again
    assert same_weights(model, load_model(finished_run))
    assert losses(run) == pytest.approx(losses(finished_run), abs=0)
    assert not (run / "state.pt").exists()


def test_ctrl_c_in_the_middle_of_a_step_waits_for_its_end(
    phantom, recipe, finished_run, tmp_path, monkeypatch
):
    once = []

    class InterruptedAdamW(torch.optim.AdamW):
        def step(self, closure=None):
            if len(once) == 3:
                signal.raise_signal(signal.SIGINT)
            once.append(1)
            return super().step(closure)

    table, run = phantom / "studies.parquet", tmp_path / "run"
    monkeypatch.setattr(loop.torch.optim, "AdamW", InterruptedAdamW)
    with pytest.raises(KeyboardInterrupt):
        train(table, recipe(), run)
    assert len(once) == 4
    monkeypatch.undo()
    assert same_weights(train(table, recipe(), run), load_model(finished_run))


def test_a_second_ctrl_c_does_not_wait_and_spoils_nothing(phantom, recipe, finished_run, tmp_path):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    table, run = phantom / "studies.parquet", tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(table, recipe(), run, on_step=stop_at(4, twice))
    assert same_weights(train(table, recipe(), run), load_model(finished_run))


@pytest.mark.parametrize("step", [2, 7])
def test_a_run_that_dies_between_two_saved_states(phantom, recipe, finished_run, tmp_path, step):
    table, run = phantom / "studies.parquet", tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(table, recipe(), run, on_step=stop_at(step, interrupt))
    assert same_weights(train(table, recipe(), run), load_model(finished_run))
    assert len(losses(run)) == 2


def test_a_killed_process(phantom, recipe, tmp_path):
    config = recipe(save_every_s=0.0, epochs=5)
    table = phantom / "studies.parquet"
    code = textwrap.dedent(f"""
        import sys, torch
        torch.set_num_threads(1)
        from offclip.training import TrainConfig, train
        train({str(table)!r}, TrainConfig(**{config.as_dict()!r}), {str(tmp_path / "killed")!r},
              on_step=lambda report: print(report.step, flush=True))
    """)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            if int(line) >= 7:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    seen = []
    resumed = train(table, config, tmp_path / "killed", on_step=seen.append)
    assert 7 <= seen[0].step <= 25
    whole = train(table, recipe(epochs=5), tmp_path / "whole")
    assert same_weights(resumed, whole)
    assert losses(tmp_path / "killed") == pytest.approx(losses(tmp_path / "whole"), rel=1e-6)


def test_a_finished_run_is_not_trained_again(phantom, recipe, own_run):
    stamp, seen = (own_run / "model" / "card.json").stat().st_mtime_ns, []
    model = train(phantom / "studies.parquet", recipe(), own_run, on_step=seen.append)
    assert not seen
    assert not model.training
    assert (own_run / "model" / "card.json").stat().st_mtime_ns == stamp


def test_another_recipe_in_the_same_folder_is_refused_by_name(phantom, recipe, own_run):
    with pytest.raises(CheckpointError, match="different: epochs, seed") as caught:
        train(phantom / "studies.parquet", recipe(epochs=3, seed=5), own_run)
    assert "--out" in caught.value.remedy


def test_other_data_in_the_same_folder_are_refused(own_phantom, recipe, own_run):
    table = own_phantom / "studies.parquet"
    table.write_bytes(table.read_bytes() + b"x")
    with pytest.raises(CheckpointError, match="different: the data"):
        train(table, recipe(), own_run)


def test_a_folder_in_which_nothing_was_computed_gives_way(phantom, recipe, tmp_path):
    # As after a mistake in the data: the corrected command must not be refused.
    RunFolder(tmp_path / "run").open(recipe(seed=9).as_dict(), "another table")
    train(phantom / "studies.parquet", recipe(epochs=1), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["seed"] == 0


def test_a_foreign_folder_is_refused_and_left_alone(phantom, recipe, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="is not empty and holds no run"):
        train(phantom / "studies.parquet", recipe(), tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]
    with pytest.raises(CheckpointError, match="is a file"):
        train(phantom / "studies.parquet", recipe(), tmp_path / "thesis" / "chapter.txt")


@pytest.mark.parametrize("text", ["", "no json", "[]", "3"])
def test_a_broken_config(phantom, recipe, tmp_path, text):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json") as caught:
        train(phantom / "studies.parquet", recipe(), tmp_path / "run")
    assert "--out" in caught.value.remedy


@pytest.mark.parametrize("name", ["state.pt", "weights.safetensors", "card.json", "metrics.jsonl"])
def test_a_disk_that_fills_up_loses_nothing(
    phantom, recipe, finished_run, tmp_path, full_disk, monkeypatch, name
):
    table, run = phantom / "studies.parquet", tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(table, recipe(save_every_s=0.0), run, on_step=stop_at(3, interrupt))
    state = (run / "state.pt").read_bytes()
    full_disk(name)
    with pytest.raises(CheckpointError, match=f"{name}: the disk is full") as caught:
        train(table, recipe(save_every_s=0.0), run)
    assert "resumes" in caught.value.remedy
    assert (run / "state.pt").exists()
    if name == "state.pt":
        assert (run / "state.pt").read_bytes() == state
    assert not list(run.rglob("*.tmp"))
    monkeypatch.undo()  # somebody frees some space
    assert same_weights(train(table, recipe(save_every_s=0.0), run), load_model(finished_run))


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty", "other model", "other sentences"])
def test_a_damaged_state_is_named_with_a_way_out(phantom, recipe, tiny_model, tmp_path, damage):
    table, run = phantom / "studies.parquet", tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(table, recipe(save_every_s=0.0), run, on_step=stop_at(1, interrupt))
    state = run / "state.pt"
    content = state.read_bytes()
    if damage == "other model":
        model = tiny_model()
        RunFolder(run).save(Progress(0, 1), model, {"optimizer": torch.optim.AdamW(model.parameters())})
    elif damage == "other sentences":
        torch.save(torch.load(state, weights_only=True) | {"tokenizer": "{}"}, state)
    else:
        state.write_bytes({"garbage": b"garbage", "cut": content[: len(content) // 2], "empty": b""}[damage])
    with pytest.raises(CheckpointError, match=r"state\.pt: cannot be resumed \(.+\)") as caught:
        train(table, recipe(save_every_s=0.0), run)
    assert "Remove the file" in caught.value.remedy
    state.unlink()
    train(table, recipe(save_every_s=0.0), run)


def test_a_line_of_an_epoch_that_is_repeated_is_replaced(tmp_path):
    run = RunFolder(tmp_path)
    for epoch, loss in ((1, 5.0), (2, 4.0), (3, 3.5), (2, 4.1)):
        run.append_metrics({"epoch": epoch, "loss": loss})
    assert [line["loss"] for line in run.read_metrics()] == [5.0, 4.1]


def test_states_are_saved_no_more_often_than_asked(phantom, recipe, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(
        RunFolder, "save", lambda self, progress, *_: saved.append((progress.epoch, progress.step))
    )
    train(phantom / "studies.parquet", recipe(save_every_s=1000.0), tmp_path / "run")
    assert saved == [(1, 0)]
