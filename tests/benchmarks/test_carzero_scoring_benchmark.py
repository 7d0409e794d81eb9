"""The scoring benchmark: its plain way is right, it notices differences, and it runs as a whole."""

import pytest
import torch
from xray_modules import load

from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fast import FastFusion
from offclip.models.carzero.scoring import Scorer

setup, reference, options, memory, bench = (
    load(f"carzero_{part}") for part in ("setup", "reference", "options", "memory", "scoring")
)
CONFIG = CarZeroConfig.tiny()


@pytest.fixture(autouse=True)
def threads():
    """`main` measures with one thread; other tests may want theirs."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny():
    return setup.make_bench(CONFIG, 3)


@torch.inference_mode()
def test_the_plain_way_gives_the_logits_and_attention_of_the_model(tiny) -> None:
    text = setup.make_texts(tiny.model, 5)
    logits = reference.score(tiny.model, tiny.pixels, text)
    expected = tiny.model.similarity(tiny.image, text)
    assert expected.std() > 0.02
    assert (logits - expected).abs().max() < 1e-5
    memory = reference.slots(text, CONFIG.slots)
    assert memory.shape == (5, 1 + CONFIG.slots, CONFIG.width)
    one = reference.fuse(tiny.model, setup.first_images(tiny.image, 1), text, memory)
    sees = tiny.model.attention(tiny.image, text)[:, 0]
    assert (one.i2t_attention - sees).abs().max() < 1e-5
    assert one.t2i_attention.shape == (CONFIG.fusion_layers, 5, 1 + CONFIG.slots)


def test_prompts_differ_and_have_no_pieces(tiny) -> None:
    ids, mask, continues = setup.make_tokens(CONFIG, 17)
    assert ids.shape == (17, setup.TOKENS)
    assert len({tuple(row) for row in ids.tolist()}) == 17
    assert ids.max() < CONFIG.vocabulary_size
    assert mask.all()
    assert not continues.any()


@torch.inference_mode()
def test_a_difference_stops_the_measurement(tiny, monkeypatch) -> None:
    text = setup.make_texts(tiny.model, 3)
    slots = reference.slots(text, CONFIG.slots)
    scorer = Scorer(FastFusion(tiny.model.fusion), text, CONFIG)
    assert bench._agree(tiny, text, slots, scorer) < bench.TOLERANCE
    scorer.prompts.parts[0].memory.values[0].add_(0.01)
    with pytest.raises(memory.DifferentError):
        bench._agree(tiny, text, slots, scorer)


def test_ways_take_turns_and_the_least_counts() -> None:
    calls: list[str] = []
    seconds = setup.in_turns([lambda: calls.append("a"), lambda: calls.append("b")], 2)
    assert calls == ["a", "b"] * 3
    assert len(seconds) == 2


def test_what_is_missed_is_said() -> None:
    rows = [bench.Row("fusion", 17, 12.0, 1.0, 0.0), bench.Row("fusion", 192, 15.0, 1.0, 0.0)]
    assert bench.missed(rows) == ["fusion at 17 prompts: 12.00, 13.0 required"]


def test_operations_of_the_published_geometry() -> None:
    cuda = load("carzero_cuda")
    few, many = (cuda.operations(CarZeroConfig(), prompts) / 1e9 for prompts in (0, 192))
    assert 36 < few < 38  # 35 of the tower, 1.86 of the keys and values of the patches
    assert 7 < many - few < 10


def test_command_prints_all_tables(monkeypatch, capsys) -> None:
    monkeypatch.setattr(bench, "PROMPTS", (2, 3))
    monkeypatch.setattr(bench, "measure_memory", lambda model, prompts: [memory.Peak(192, 400, 500)])
    command = ["carzero_scoring.py", "--quick", "--repeats", "1", "--skip-compile"]
    monkeypatch.setattr("sys.argv", command)
    assert bench.main() == 0
    printed = capsys.readouterr().out
    for cell in ("| image + fusion | 3 |", "| 8 |", "| int8-towers |", "| 192 | 400 | 500 |", "torch "):
        assert cell in printed


def test_memory_is_that_of_a_model_that_was_loaded(tiny, monkeypatch) -> None:
    folders = []

    def here(folder: str, count: int) -> tuple[int, int]:
        folders.append(folder)
        return memory.score_here(folder, count)

    monkeypatch.setattr(memory, "_apart", here)  # a process of its own would import torch
    (peak,) = memory.measure_memory(tiny.model, (4,))
    assert peak.prompts == 4
    assert 50 < peak.loaded <= peak.peak
    assert len(folders) == 1
