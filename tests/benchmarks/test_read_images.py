import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from xray_modules import load

from offclip.images import ReadOptions, read
from offclip.images.dicom.syntaxes import SYNTAXES

films, core, flow, bench = (load(f"read_images{part}") for part in ("_films", "_core", "_flow", ""))
SHAPE = (96, 80)
TINY = bench.Size(shape=SHAPE, repeats=1, seconds=0.0, start_seconds=0.0, distinct=1, fed=4, streamed=4)


@pytest.fixture(autouse=True)
def threads():
    """`main` measures with one thread; other tests may want theirs."""
    of_torch, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(of_torch)
    cv2.setNumThreads(of_opencv)


def written(kind, stored: np.ndarray, folder: Path) -> Path:
    path = folder / f"film.{kind.suffix}"
    try:
        kind.write(stored, path)
    except films.NoEncoderError as error:
        pytest.skip(str(error))
    return path


def test_film_is_smooth_with_noise_and_always_the_same() -> None:
    stored = films.film((512, 400), 1)
    assert stored.dtype == np.uint16
    assert stored.max() < 2**12
    beside = np.corrcoef(stored[:, :-1].ravel(), stored[:, 1:].ravel())[0, 1]
    assert beside > 0.95
    corner = stored[:20, :20].astype(float)
    assert 5 < np.diff(corner, axis=1).std() < 100
    assert np.array_equal(stored, films.film((512, 400), 1))
    assert not np.array_equal(stored, films.film((512, 400), 2))


@pytest.mark.parametrize("kind", films.dicom_kinds(), ids=lambda kind: kind.name)
def test_every_transfer_syntax_is_written_as_itself(kind, tmp_path: Path) -> None:
    stored = films.film(SHAPE)
    film = read(written(kind, stored, tmp_path), ReadOptions(policy="full-range"))
    uid = "1.2.840.10008." + kind.suffix.removesuffix(".dcm")
    assert film.metadata.transfer_syntax == uid
    syntax = SYNTAXES[uid]
    expected = films.eight_bit(stored).astype(float) if syntax.codec == "jpeg" else stored / 4095 * 255
    lossy = syntax.codec == "jpeg" or uid.endswith((".81", ".91", ".203"))
    assert film.metadata.bits == (8 if syntax.codec == "jpeg" else 12)
    assert np.abs(film.pixels - expected).max() <= (30 if lossy else 0.51)


def test_all_syntaxes_are_measured() -> None:
    assert len({kind.suffix for kind in films.dicom_kinds()}) == len(SYNTAXES)


@pytest.mark.parametrize("shape", [SHAPE, (80, 96), (300, 300), (300, 517)])
def test_both_ways_give_the_same_tensor(shape: tuple[int, int], tmp_path: Path) -> None:
    stored = films.film(shape)
    kinds = [films.Kind("raw", "dcm", films.write_dicom), *films.raster_kinds()]
    for kind in kinds:
        path = written(kind, stored, tmp_path)
        tensor = core.official(path)
        assert tensor.shape == (3, 224, 224)
        core.require_equal(path, tensor, core.ours(path, ReadOptions(policy="carzero")))
        with pytest.raises(core.DifferentError, match="another tensor"):
            core.require_equal(path, tensor, core.ours(path, ReadOptions(policy="carzero")) + 1e-6)


def test_the_official_way_by_hand(tmp_path: Path) -> None:
    stored = np.full((256, 128), 100, np.uint16)
    stored[0, 0] = 1000  # lies in what is cut off
    films.write_dicom(stored, tmp_path / "film.dcm")
    tensor = core.official(tmp_path / "film.dcm")
    inside, outside = ((value / 255 - 0.4978) / 0.2449 for value in (25, 0))
    assert torch.allclose(tensor[:, :, 48:176], torch.tensor(inside))
    assert torch.allclose(tensor[:, :, :48], torch.tensor(outside))
    assert torch.allclose(tensor[:, :, 176:], torch.tensor(outside))


def test_ways_take_turns() -> None:
    calls: list[str] = []
    seconds = core.in_turns([lambda: calls.append("a"), lambda: calls.append("b")], 2)
    assert calls == ["a", "b"] * 3
    assert [len(times) for times in seconds] == [2, 2]


def test_gain_of_raw_dicom() -> None:
    times = [
        core.Times(bench._RAW, "official", (0.1, 0.3, 0.2)),
        core.Times(bench._RAW, "offclip, carzero", (0.05, 0.06, 0.04)),
    ]
    found = bench.gain(times)
    assert (found.least, found.median) == pytest.approx((2.5, 4.0))
    assert bench.core_table(times).splitlines()[-1] == (
        "| raw DICOM, 12 bits | offclip, carzero | 40.0 | 50.0 | 2.50 | 4.00 |"
    )


def test_waiting_is_counted_with_and_without_the_first_batch() -> None:
    wait = flow._wait("model", "way", 10, elapsed=5.0, waited=2.0, first=1.0)
    assert (wait.per_second, wait.model_seconds, wait.share, wait.later_share) == (2.0, 0.3, 0.4, 0.25)


def test_a_model_that_waits_for_nothing(tmp_path: Path) -> None:
    films.write_dicom(films.film(SHAPE), tmp_path / "film.dcm")
    seen = []

    class Model(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            seen.append(pixels.clone())
            return pixels

    waits = list(flow.measure_waits("none", Model(), [tmp_path / "film.dcm"] * 3, 2, (1,)))
    assert [wait.way for wait in waits] == ["official, serial", "offclip, serial", "offclip, 1 process"]
    assert all(0 <= wait.later_share <= 1 and 0 < wait.share <= 1 for wait in waits)
    # All ways feed the same tensors: one batch of two and one of one, after a first call that does not count.
    assert [len(pixels) for pixels in seen] == [2, *[2, 1] * 3]
    assert all(torch.equal(seen[1], pixels) for pixels in seen[3::2])


def test_command_prints_all_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "QUICK", TINY)
    monkeypatch.setattr(bench, "models", lambda: {"nothing": nn.Identity()})
    monkeypatch.setattr(
        bench, "_memory_apart", flow.measure_memory
    )  # a process of its own would import torch
    command = ["read_images.py", "--quick", "--shape", "96", "80", "--folder", str(tmp_path)]
    monkeypatch.setattr("sys.argv", command)
    status = bench.main()
    shown = capsys.readouterr().out
    result = json.loads(shown.splitlines()[-1])
    assert status == (0 if result["passed"] else 1)
    assert shown.count("\n## ") == 4
    assert all(f"| {kind.name} | " in shown for kind in (*films.dicom_kinds(), *films.raster_kinds()))
    assert "| offclip, 2 processes | " in shown
    assert not list(tmp_path.iterdir())  # the films are gone


def test_memory_is_measured_in_its_own_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "film.dcm"
    films.write_dicom(films.film(SHAPE), path)
    for workers in (0, 1):
        monkeypatch.setattr(
            "sys.argv", ["read_images.py", "--measure-memory", "4", str(workers), str(path), str(path)]
        )
        assert bench.main() == 0
        memory = flow.Memory(**json.loads(capsys.readouterr().out))
        assert 10 < memory.before <= memory.parent
        assert (memory.worker is None) == (workers == 0)


def test_other_tensors_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "QUICK", TINY)
    monkeypatch.setattr(core, "PREPROCESS", replace(core.PREPROCESS, geometry="letterbox"))
    monkeypatch.setattr("sys.argv", ["read_images.py", "--quick", "--parts", "core", "--shape", "96", "80"])
    assert bench.main() == 1
    assert "another tensor" in capsys.readouterr().err
