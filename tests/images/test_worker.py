"""The process that decodes: no torch, its own limits, and nothing on the pipe but frames."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from offclip.errors import ImageError
from offclip.images import worker
from offclip.images.film import Film, FilmMetadata, Identity, PixelGrid, ReadOptions
from offclip.images.limits import Limits
from offclip.images.pool import DecoderPool
from offclip.images.preprocess import Preprocess
from offclip.images.protocol import (
    Frame,
    ProtocolError,
    plain,
    read_frame,
    rebuild,
    write_frame,
)

PATCHED = """
import ctypes, os, sys
from offclip.images import worker
from offclip.images.film import Film, FilmMetadata, PixelGrid
import numpy as np

def read(source, options, *, name):
    if name == "prints":
        print("from Python", flush=True)
        ctypes.CDLL(None).puts(b"from C")
        ctypes.CDLL(None).fflush(None)
        os.write(2, b"x" * 200_000)
        return Film(np.full((2, 2), len(sys.stdin.read()), np.uint8), PixelGrid(2, 2), FilmMetadata("PNG"))
    if name == "memory":
        np.ones(2**31, np.uint8)
    if name == "fault":
        raise KeyError("PatientName^Secret")
    if name == "leak":
        worker.kept = getattr(worker, "kept", 0) + 1
        if worker.kept > 1:
            raise MemoryError
    if name == "hangs-alone":
        import time
        with open(options.modalities[0], "w") as file:
            file.write(str(os.getpid()))
        worker._set_alarm(0.2)
        ctypes.CDLL(None).sleep(60)
    return Film(np.zeros((2, 2), np.uint8), PixelGrid(2, 2), FilmMetadata("PNG"))

worker.read = read
worker.main()
"""


def test_it_starts_without_torch_and_without_tables():
    code = "import sys, json, offclip.images.worker; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"torch", "polars", "pyarrow", "pydicom", "scipy", "matplotlib"}
    assert "cv2" in loaded


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_reader_that_prints_hogs_or_fails_costs_its_file():
    options = ReadOptions(limits=Limits(memory_bytes=2**31))
    with DecoderPool(1, options, command=("-c", PATCHED)) as pool:
        names = ["prints", "memory", "good", "fault", "leak", "leak", "good"]
        results = list(pool.map(names))
    kinds = [result.reason if isinstance(result, ImageError) else "film" for result in results]
    # The second leak is read by a fresh process: what an earlier file has left is no reason to refuse it.
    assert kinds == ["film", "too-much-memory", "film", "decoder-crashed", "film", "film", "film"]
    assert (results[0].film.pixels == 0).all()  # its own input is empty
    assert "KeyError in <string>" in results[3].message
    assert "Secret" not in str(results[3])


@pytest.mark.skipif(os.name != "posix", reason="alarms of POSIX")
def test_a_reader_that_hangs_is_ended_by_the_system_when_nobody_asks(tmp_path):
    options = ReadOptions(modalities=(str(tmp_path / "pid"),))
    with DecoderPool(1, options, command=("-c", PATCHED)) as pool:
        (lost,) = pool.map(["hangs-alone"])
    assert "SIGALRM" in lost.message


def test_an_error_of_opencv_is_memory_or_a_fault(monkeypatch):
    question = Frame({"name": "a.png", "path": None}, np.zeros(1, np.uint8))

    def answer(error):
        def read(*_, **__):
            raise error

        monkeypatch.setattr(worker, "read", read)
        return worker._answer(question, ReadOptions(), None)[0]

    full, broken = cv2.error("full"), cv2.error("broken")
    full.code, broken.code = cv2.Error.StsNoMem, cv2.Error.StsBadArg
    assert answer(full)["refused"]["reason"] == "too-much-memory"
    assert answer(broken)["refused"]["reason"] == "decoder-crashed"
    assert answer(broken)["last"]
    assert "last" not in answer(ImageError("a.png: no.", "Look.", "damaged"))


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as questions, os.fdopen(writing, "wb", 0) as answers:
        yield questions, answers


def test_frames_come_as_they_were_sent(pipe):
    questions, answers = pipe
    write_frame(answers, {"name": "Größe\udcff.png"}, b"pixels")
    frame = read_frame(questions, 6)
    assert (frame.head, frame.body.tobytes()) == ({"name": "Größe\udcff.png"}, b"pixels")
    answers.close()
    assert read_frame(questions, 6) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"OCF1", "cut off"),
        (b"OCF1\x02\0\0\0\x01\0\0\0\0\0\0\0{}", "cut off"),
        (b"HTTP\x02\0\0\0\0\0\0\0\0\0\0\0{}", "mark"),
        (b"OCF1\xff\xff\xff\xff\0\0\0\0\0\0\0\0{}", "expected"),
        (b"OCF1\x02\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff{}", "expected"),
        (b"OCF1\x02\0\0\0\0\0\0\0\0\0\0\0[]", "no JSON object"),
        (b"OCF1\x07\0\0\0\0\0\0\0\0\0\0\0{'a':1}", "no JSON"),
        (b'OCF1\x09\0\0\0\0\0\0\0\0\0\0\0{"a":NaN}', "no JSON"),
        (b"OCF1\x00\x00\x01\x00\0\0\0\0\0\0\0\0" + b"[" * 2**16, "no JSON"),
    ],
)
def test_what_is_no_frame_is_refused_before_memory_is_taken(pipe, data, words):
    questions, answers = pipe
    writer = os.dup(answers.fileno())
    answers.close()
    # More than a pipe may hold: written while it is read.
    child = subprocess.Popen(
        [sys.executable, "-c", f"import os; os.write({writer}, {data!r})"], pass_fds=[writer]
    )
    os.close(writer)
    with pytest.raises(ProtocolError, match=words):
        read_frame(questions, 1000)
    child.wait()


def test_films_survive_the_way_as_json():
    identity = Identity("1", "1.2", "1.3", "1.4", 61.5, "F")
    metadata = FilmMetadata("DICOM", 12, burned_in=None, identity=identity, notes=("one", "two"))
    for value in (metadata, PixelGrid(2, 3, 1.5, (0.1, 0.2)), ReadOptions(window="widest", frame=3)):
        assert rebuild(type(value), json.loads(json.dumps(plain(value)))) == value


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (PixelGrid, {"height": 2.0, "width": 3}, "height"),
        (PixelGrid, {"height": True, "width": 3}, "height"),
        (PixelGrid, {"height": 2}, "PixelGrid"),
        (PixelGrid, {"height": 2, "width": 3, "spacing_mm": [0.1]}, "spacing_mm"),
        (PixelGrid, {"height": 2, "width": 3, "more": 1}, "not the fields"),
        (PixelGrid, [2, 3], "not the fields"),
        (FilmMetadata, {"format": "PNG", "notes": [1]}, "notes"),
        (FilmMetadata, {"format": "PNG", "burned_in": 1}, "burned_in"),
        (ReadOptions, {"policy": "none"}, "policy"),
    ],
)
def test_what_has_another_type_is_refused(kind, value, words):
    with pytest.raises(ProtocolError, match=words):
        rebuild(kind, value)


def test_a_film_that_no_square_can_hold_is_refused(monkeypatch):
    film = Film(np.zeros((2, 2), np.uint8), PixelGrid(2, 2, aspect=1e9), FilmMetadata("DICOM"))
    monkeypatch.setattr(worker, "read", lambda *_, **__: film)
    question = Frame({"name": "a.dcm", "path": None}, np.zeros(1, np.uint8))
    head, _ = worker._answer(question, ReadOptions(), Preprocess(8))
    assert head["refused"]["reason"] == "contradictory"
    film.pixels.flags.writeable = False
    tall = Film(film.pixels, PixelGrid(2, 2, aspect=2.0), film.metadata)
    monkeypatch.setattr(worker, "read", lambda *_, **__: tall)
    assert worker._answer(question, ReadOptions(), Preprocess(8))[0]["geometry"]["inner_width"] == 4


def test_a_film_whose_pixels_do_not_lie_together_is_sent_as_it_is(monkeypatch):
    film = Film(np.arange(12, dtype=np.uint8).reshape(3, 4)[:, ::2], PixelGrid(3, 2), FilmMetadata("PNG"))
    monkeypatch.setattr(worker, "read", lambda *_, **__: film)
    question = Frame({"name": "a.png", "path": None}, np.zeros(1, np.uint8))
    head, body = worker._answer(question, ReadOptions(), None)
    assert head["shape"] == [3, 2]
    assert bytes(body) == film.pixels.tobytes()
