import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from xray_modules import load

from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.model import CarZero

memory, bench = load("carzero_training_memory"), load("carzero_training")
TINY = CarZeroConfig.tiny()
needs_linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads /proc")


@pytest.fixture(scope="module")
def grid():
    return memory.count_grid(TINY, 0.1)


@pytest.mark.parametrize(("images", "texts"), [(5, 3), (3, 9), (7, 7)])
def test_formula_is_what_the_graph_keeps(grid, images, texts):
    model = CarZero(memory.without_towers(TINY), 0.1).train()
    image, text = memory.random_features(TINY, images, texts)
    i2t = memory.kept_bytes(model, lambda: model.i2t(image, text))
    t2i = memory.kept_bytes(model, lambda: model.t2i(image, text))
    assert grid.i2t.kept(images, texts) == pytest.approx(i2t, rel=1e-6)
    assert grid.t2i.kept(texts, images) == pytest.approx(t2i, rel=1e-6)


def test_without_dropout_less_is_kept(grid):
    assert memory.count_grid(TINY, 0.0).i2t.pair < 0.8 * grid.i2t.pair


def test_with_chunks_the_peak_grows_with_the_batch_and_not_with_its_square(grid):
    def growth(chunk):
        return grid.peak(4096, chunk) / grid.peak(2048, chunk)

    assert growth(8) < 2
    assert growth(None) > 3.5
    assert grid.peak(64, 8) < grid.peak(64, 16) < grid.peak(64, None)
    assert grid.peak(4, 8) == grid.peak(4, 4)


def test_random_features_are_leaves_and_sentences_of_the_right_length():
    image, text = memory.random_features(TINY, 3, 200)
    assert all(t.requires_grad and t.is_leaf for t in (image.pooled, image.local, text.pooled, text.tokens))
    words = text.mask.sum(dim=1) - 2
    assert abs(float(words.float().mean()) - memory.WORDS) < 1
    assert int(words.max()) == text.mask.shape[1] - 2 == 16
    assert int(words.min()) >= 8


def test_whole_step_adds_up():
    whole = memory.count_whole(TINY, 0.1, mixed=False, pieces=6)
    trained = [p for p in CarZero(TINY).parameters() if p.requires_grad]
    assert whole.states == 16 * sum(p.numel() for p in trained)
    assert memory.count_whole(TINY, 0.1, mixed=True, pieces=6).image.kept < whole.image.kept
    kept, again = (whole.activations(64, 8, recompute) for recompute in (False, True))
    assert kept == pytest.approx(64 * (whole.image.kept + whole.text.kept) + whole.grid.peak(64, 8))
    assert again < kept / 1.5


def test_estimate_says_what_fits(grid):
    tower = memory.Tower(kept=50e6, inputs=1e6, layer=2e6)
    whole = memory.Whole(10**9, 0, grid, tower, tower)
    rows = bench.estimate_table({"fp32": whole}, 256, 1.0).splitlines()[2:]
    assert len(rows) == 8
    assert [row.split(" | ")[-1] for row in rows] == ["no |"] * 4 + ["yes |"] * 4
    doubled = bench.estimate_table({"fp32": whole}, 256, 20.0).splitlines()[2:]
    assert all(row.endswith("no |") for row in doubled)


@needs_linux
def test_measured_peak_sees_what_a_step_allocates():
    def prepare(batch):
        weight = torch.zeros(1, requires_grad=True)
        return lambda: (weight * torch.ones(batch * 2**18)).exp().sum()  # several MiB a pair

    cost = bench.measure(prepare, 32)
    assert 60 * bench.MIB < cost.peak < 400 * bench.MIB
    assert cost.cpu_s > 0


@needs_linux
def test_main_prints_the_tables(monkeypatch, capsys):
    seen = []

    def here(case, for_memory):
        seen.append((case, for_memory))
        step = bench.whole_step if case.towers else bench.grid_step
        return bench.measure(step(replace(case, batch=4)), 4)

    monkeypatch.setattr(bench, "in_own_process", here)
    assert bench.main(["--tiny", "--quick"]) == 0
    out = capsys.readouterr().out
    assert "| 16 | plain | " in out
    assert "| 16 | chunks of 8, recomputed | " in out
    assert "an image in its tower, recomputed" in out
    assert out.count("| yes |") == 16
    assert sum(for_memory for _, for_memory in seen) == len(seen) / 2 == 3


@needs_linux
def test_a_case_is_measured_by_its_process(monkeypatch, capsys):
    case = bench.Case(4, 2, recompute=True, tiny=True)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    assert bench.main(["--case", json.dumps(asdict(case))]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"peak", "cpu_s"}
