"""Decoding in processes: whatever happens, one file is lost, the order stays, nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from offclip.errors import ImageError, InputError, OffclipError
from offclip.images import pool as pool_module
from offclip.images.decoder import Decoder
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.pool import Decoded, DecoderPool, NamedBytes
from offclip.images.preprocess import Preprocess
from offclip.images.reading import read

ODD = str(Path(__file__).with_name("odd_worker.py"))
SMALL = ReadOptions(limits=Limits(max_pixels=1000, seconds=30))


@pytest.fixture
def odd(tmp_path):
    """A pool of processes that misbehave, and the ids of all that were started."""
    counter = tmp_path / "started"
    pools = []

    def make(workers: int = 1, options: ReadOptions = SMALL, **more) -> DecoderPool:
        pools.append(DecoderPool(workers, options, command=(ODD, str(counter)), **more))
        return pools[-1]

    yield make, lambda: [int(line) for line in counter.read_text().split()]
    for pool in pools:
        pool.close()


def outcome(result):
    return result.reason if isinstance(result, ImageError) else "film"


def is_gone(process: int) -> bool:
    """Whether a process has ended and was waited for."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def has_ended(process: int) -> bool:
    """Whether an orphan has ended; in some containers nobody waits for orphans."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    return is_gone(process)


def test_a_process_that_dies_or_lies_costs_its_file_and_no_other(odd):
    make, started = odd
    bad = ["abort", "killed", "exit", "garbage", "half", "lie-size", "lie-grid", "lie-type", "lie-field"]
    bad += ["lie-nothing", "lie-long", "lie-few", "lie-reason", "lie-refusal"]
    names = ["good", *bad, "good"]
    with make() as pool:
        results = list(pool.map(names))
    assert [outcome(result) for result in results] == ["film", *["decoder-crashed"] * len(bad), "film"]
    messages = dict(zip(names, (str(result) for result in results), strict=True))
    assert messages["abort"].startswith("abort: ")
    assert "SIGABRT" in messages["abort"]
    assert "the memory is full" in messages["killed"]
    assert "exit code 7" in messages["exit"]
    assert "mark of a frame" in messages["garbage"]
    assert "cut off" in messages["half"] or "another size" in messages["half"]
    assert "another size" in messages["lie-size"]
    assert "at most 1,000 were expected" in messages["lie-long"]
    assert len(started()) == len(bad) + 2  # the first loses a used process and is tried again in a new one
    assert all(is_gone(process) for process in started())


def test_what_a_file_before_has_broken_is_tried_again(odd):
    make, started = odd
    with make() as pool:
        results = list(pool.map(["good", "abort-unless-fresh", "good"]))
    assert [outcome(result) for result in results] == ["film"] * 3
    assert len(started()) == 2


def test_a_file_that_hangs_is_given_up_and_the_rest_goes_on(odd):
    make, started = odd
    with make(options=ReadOptions(limits=Limits(max_pixels=1000, seconds=0.6))) as pool:
        results = list(pool.map(["good", "hang", "slow", "good"]))
    assert [outcome(result) for result in results] == ["film", "too-slow", "film", "film"]
    assert "longer than 0.6 seconds" in results[1].message
    assert len(started()) == 2


def test_what_a_refusal_says_is_printable(odd):
    make, _ = odd
    with make() as pool:
        (refused,) = pool.map(["control"])
    assert (refused.message, refused.reason) == ("a [31mb", "damaged")


def test_order_is_kept_and_only_a_few_files_are_read_ahead(odd, monkeypatch):
    monkeypatch.setattr(pool_module, "_PATIENCE_SECONDS", 0.0)
    make, started = odd
    asked = []

    def sources():
        for number in range(40):
            asked.append(number)
            yield ("slow" if number % 10 == 0 else "abort" if number % 10 == 5 else "good")

    with make(workers=2) as pool:
        kinds = []
        for result in pool.map(sources()):
            kinds.append(outcome(result))
            assert len(asked) <= len(kinds) + 4
    expected = ["decoder-crashed" if number % 10 == 5 else "film" for number in range(40)]
    assert kinds == expected
    assert len(started()) > 2


def test_a_model_that_is_slower_than_one_process_gets_no_second(odd):
    make, started = odd
    with make(workers=4) as pool:
        for _ in pool.map(["good"] * 8):
            time.sleep(0.05)
    assert len(started()) == 1


def test_a_process_that_cannot_start_ends_with_one_clear_error():
    for command, words in ((("-c", "import no_such_module"), "no_such_module"), (("-c", ""), "exit code 0")):
        with (
            DecoderPool(2, command=command) as pool,
            pytest.raises(OffclipError, match=f"does not start.*{words}"),
        ):
            list(pool.map(["a", "b", "c"]))


def test_leaving_early_ends_every_process(odd):
    make, started = odd
    pool = make(workers=1)
    results = pool.map(["good", "hang", "good"])
    assert outcome(next(results)) == "film"
    results.close()
    pool.close()
    assert all(is_gone(process) for process in started())
    pool.close()
    with pytest.raises(InputError, match="closed"):
        next(pool.map(["good"]))


def test_closing_from_elsewhere_wakes_who_waits(odd):
    make, _ = odd
    pool = make(workers=1)
    seen = []

    def ask():
        try:
            seen.extend(outcome(result) for result in pool.map(["hang", "good", "good"]))
        except OffclipError as error:
            seen.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    pool.close()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert "closed" in seen[-1]


def test_one_worker_at_least():
    with pytest.raises(InputError, match="0 workers"):
        DecoderPool(0)


SCRIPT = """
import sys, time
from offclip.images.pool import DecoderPool
pool = DecoderPool(1)
results = pool.map(["no-such-film.png"] * 4)
print(next(results).reason, pool._decoders[0]._process.pid, flush=True)
if sys.argv[1] != "abandoned":
    with pool:
        time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("how", ["interrupted", "killed", "abandoned"])
def test_no_process_outlives_the_one_that_asks(tmp_path, how):
    """A script without `if __name__ == "__main__"`, ended by Ctrl-C, by SIGKILL, or at its last line."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    reason, worker = process.stdout.readline().split()
    assert reason == "missing"
    if how != "abandoned":
        process.send_signal(signal.SIGINT if how == "interrupted" else signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    if how == "abandoned":
        assert (process.returncode, errors) == (0, "")
    end = time.monotonic() + 10  # it sees by itself that nobody asks any more
    while not has_ended(int(worker)) and time.monotonic() < end:
        time.sleep(0.02)
    assert has_ended(int(worker))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Some good films and some that are refused."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 256, (40 + number, 60), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("a report")
    return folder


def test_the_real_process_reads_what_this_one_reads(films):
    paths = [*sorted(films.iterdir()), films / "missing.png"]
    sources = [*paths, NamedBytes("archive.zip/0.png", (films / "0.png").read_bytes())]
    preprocess = Preprocess(16)
    with DecoderPool(1) as pool, DecoderPool(1, preprocess=preprocess) as squares:
        results = list(zip(sources, pool.map(sources), squares.map(sources), strict=True))
    assert sum(isinstance(result, Decoded) for _, result, _ in results) == 7
    for source, result, square in results:
        in_memory = isinstance(source, NamedBytes)
        name = source.name if in_memory else str(source)
        if isinstance(result, ImageError):
            with pytest.raises(ImageError) as caught:
                read(source.data if in_memory else source, name=name)
            for refused in (result, square):
                assert refused.__reduce__() == caught.value.__reduce__()
            continue
        film = read(source.data if in_memory else source, name=name)
        pixels, geometry = preprocess.fit(film.pixels, film.grid.aspect)
        assert np.array_equal(result.film.pixels, film.pixels)
        assert (result.film.grid, result.film.metadata) == (film.grid, film.metadata)
        assert result.geometry is None
        assert np.array_equal(square.film.pixels, pixels)
        assert (square.geometry, square.film.grid) == (geometry, film.grid)


def test_relative_paths_keep_their_names_in_messages(films, monkeypatch):
    monkeypatch.chdir(films)
    with DecoderPool(1) as pool:
        good, bad = pool.map(["0.png", Path("text.png")])
    assert isinstance(good, Decoded)
    assert bad.message.startswith("text.png: ")


def test_a_decoder_says_the_same_after_it_was_closed():
    decoder = Decoder(ReadOptions(), None)
    decoder.close()
    with pytest.raises(OffclipError, match="closed"):
        decoder.decode("a.png")
