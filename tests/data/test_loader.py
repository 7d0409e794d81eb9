"""Reading images: what cannot be read is listed, and the rest stays paired with its id."""

import threading

import numpy as np
import polars as pl
import pytest

from offclip.data import loader
from offclip.data.loader import ImageRef, load_pixels
from offclip.errors import DataError
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.preprocess import Preprocess


@pytest.fixture
def films(tmp_path, write_film):
    """Six films, film i of grey value 10 * i, at even places among six files that cannot be read."""
    (tmp_path / "text.png").write_text("a report, saved as .png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8)
    whole = write_film(tmp_path / "cut.png", noise).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    write_film(tmp_path / "huge.png", 0, size=(300, 300))
    bad = ["text", "empty", "folder", "cut", "huge", "missing"]
    refs = []
    for i, name in enumerate(bad):
        refs.append(ImageRef(f"good{i}", write_film(tmp_path / f"good{i}.png", 10 * i)))
        refs.append(ImageRef(name, tmp_path / f"{name}.png"))
    return refs


def test_the_rest_goes_on_and_ids_stay_with_their_pixels(films):
    seen = []
    options = ReadOptions(limits=Limits(max_pixels=200 * 200))
    store, skipped = load_pixels(
        films, Preprocess(16), options=options, on_progress=lambda *at: seen.append(at)
    )
    assert store.image_ids == tuple(f"good{i}" for i in range(6))
    centres = store.squares[:, 8, 8].tolist()
    assert centres == [10 * i for i in range(6)]
    assert [geometry.width for geometry in store.geometry] == [30] * 6
    assert seen[-1] == (12, 12)
    reasons = {entry.id: entry.reason for entry in skipped}
    assert list(reasons) == ["text", "empty", "folder", "cut", "huge", "missing"]
    for name, words in (
        ("text", "not-an-image: "),
        ("empty", "empty: "),
        ("folder", "not-a-file: "),
        ("cut", "truncated: "),
        ("huge", "too-many-pixels: "),
        ("missing", "missing: "),
    ):
        assert reasons[name].startswith(words)
        assert f"{name}.png: " in reasons[name]


def test_position_and_batch_go_by_id(films):
    store, _ = load_pixels(films, Preprocess(16))
    rows = [store.position()[f"good{i}"] for i in (4, 1)]
    assert store.batch(rows)[:, 8, 8].tolist() == [40, 10]


def test_no_readable_image_names_the_first_reason(films):
    with pytest.raises(DataError, match=r"None of 2 images can be read.*does not exist"):
        load_pixels([films[-1], films[1]], Preprocess(16))
    with pytest.raises(DataError, match="no frontal image"):
        load_pixels([], Preprocess(16))


def test_pixels_beyond_memory_go_to_a_file_and_stay_the_same(films, monkeypatch, tmp_path):
    in_memory, _ = load_pixels(films, Preprocess(16))
    monkeypatch.setattr(loader, "MEMORY_LIMIT_BYTES", 100)
    spilled, _ = load_pixels(films, Preprocess(16), spill=tmp_path / "new folder" / "pixels.npy")
    assert isinstance(spilled.squares, np.memmap)
    assert spilled.image_ids == in_memory.image_ids
    assert (spilled.batch(range(6)) == in_memory.batch(range(6))).all()
    with pytest.raises(DataError, match="GiB"):
        load_pixels(films, Preprocess(16))


def test_a_disk_too_small_for_the_pixels_is_named(films, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loader, "MEMORY_LIMIT_BYTES", 100)
    monkeypatch.setattr(loader.os, "posix_fallocate", full, raising=False)
    with pytest.raises(DataError, match="No space left on device") as caught:
        load_pixels(films, Preprocess(16), spill=tmp_path / "pixels.npy")
    assert "Free some space" in caught.value.remedy
    assert not (tmp_path / "pixels.npy").exists()


def test_ctrl_c_does_not_wait_for_the_files_to_come(films):
    handed_out = []

    class Films(list):
        def __iter__(self):
            for film in super().__iter__():
                handed_out.append(film)
                yield film

    def stop(done, total):
        raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        load_pixels(Films(films * 500), Preprocess(16), workers=2, on_progress=stop)
    assert len(handed_out) < 20
    assert threading.active_count() <= threads + 1  # the watchdog may still be on its way out


def test_the_phantom_is_read_whole(studies):
    images = studies["images"].explode().struct.unnest()
    refs = [ImageRef(i, p) for i, p in images.select("image_id", "path").iter_rows()]
    store, skipped = load_pixels(refs, Preprocess(32))
    assert not skipped
    assert list(store.image_ids) == images.get_column("image_id").to_list()
    assert isinstance(images, pl.DataFrame)
    assert store.squares.std(axis=(1, 2)).min() > 10
