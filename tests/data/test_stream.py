"""Batches that are decoded while the model works: order, what is skipped, and the time that is waited."""

import threading
import time

import numpy as np
import pytest
from PIL import Image

from offclip.data.stream import Batch, ImageRef, Square, read_squares, stream_squares
from offclip.errors import InputError
from offclip.images.film import ReadOptions
from offclip.images.preprocess import Preprocess


@pytest.fixture(scope="module")
def refs(tmp_path_factory, write_film):
    """Ten films of grey value 10 * i; the fourth, fifth and last cannot be read."""
    folder = tmp_path_factory.mktemp("films")
    refs = [ImageRef(f"i{i}", write_film(folder / f"{i}.png", 10 * i)) for i in range(10)]
    for i in (3, 4, 9):
        refs[i].path.write_text("a report")
    return refs


def test_batches_keep_the_order_and_list_what_is_left_out(refs):
    stream = stream_squares(refs, Preprocess(16), 3, workers=1)
    batches = list(stream)
    assert [batch.image_ids for batch in batches] == [("i0", "i1", "i2"), ("i5", "i6", "i7"), ("i8",)]
    assert [batch.squares.shape for batch in batches] == [(3, 16, 16), (3, 16, 16), (1, 16, 16)]
    assert np.concatenate([batch.squares[:, 8, 8] for batch in batches]).tolist() == [
        0,
        10,
        20,
        50,
        60,
        70,
        80,
    ]
    assert [[entry.id for entry in batch.skipped] for batch in batches] == [[], ["i3", "i4"], ["i9"]]
    assert batches[1].skipped[0].reason.startswith("not-an-image: ")
    assert all(geometry.width == 30 for batch in batches for geometry in batch.geometry)
    assert all(len(batch.geometry) == len(batch.image_ids) for batch in batches)


def test_what_is_skipped_at_the_end_is_told(refs):
    first, last = stream_squares([refs[0], refs[3]], Preprocess(16), 1, workers=1)
    assert (first.image_ids, first.skipped) == (("i0",), ())
    assert (last.image_ids, last.squares.shape) == ((), (0, 16, 16))
    assert [entry.id for entry in last.skipped] == ["i3"]


def test_the_share_of_waiting_falls_when_the_model_takes_its_time(refs):
    good = [refs[0]] * 12
    stream = stream_squares(good, Preprocess(16), 2, workers=1)
    assert stream.loader_share == 0.0
    for number, batch in enumerate(stream):
        assert isinstance(batch, Batch)
        if number == 0:
            first = stream.waited_seconds  # the start of the process
        time.sleep(0.1)
    assert stream.elapsed_seconds > 0.5
    assert first <= stream.waited_seconds < stream.elapsed_seconds
    assert stream.loader_share == stream.waited_seconds / stream.elapsed_seconds


def test_a_stream_that_is_left_ends_its_processes_and_asks_for_no_more(refs):
    asked = []

    def endless():
        while True:
            asked.append(1)
            yield refs[0]

    threads = threading.active_count()
    for _ in stream_squares(endless(), Preprocess(16), 4, workers=1):
        break
    assert len(asked) < 20
    end = time.monotonic() + 10
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= threads


def test_a_stream_can_be_read_again(refs):
    stream = stream_squares(refs[:3], Preprocess(16), 2, workers=1)
    assert [batch.image_ids for batch in stream] == [batch.image_ids for batch in stream]
    with pytest.raises(InputError, match="batch of 0"):
        stream_squares(refs, Preprocess(16), 0)


def test_model_says_how_grey_values_are_scaled(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((8, 8), 0x7F00, np.uint16)).save(path)
    images = [ImageRef("a", path)]
    # CARZero keeps the high byte of 16 bits, the standard scale rounds down v / 257.
    for preprocess, wanted in ((Preprocess(8), 0x7F00 // 257), (Preprocess(8, grey="carzero"), 0x7F)):
        (square,) = read_squares(images, preprocess, workers=1)
        assert isinstance(square, Square)
        assert np.unique(square.pixels).tolist() == [wanted]
    (square,) = read_squares(
        images, Preprocess(8, grey="carzero"), ReadOptions(policy="full-range"), workers=1
    )
    assert isinstance(square, Square)
    assert square.pixels[0, 0] == 0x7F00 // 257
