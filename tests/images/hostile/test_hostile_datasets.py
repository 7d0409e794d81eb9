"""Attacks by the data set of a DICOM file, and paths at which no file is."""

import os
import struct
import threading

import numpy as np
import pytest
from hostile_fates import TIGHT, fate, reason_of
from hostile_specimens import specimens
from hostile_tally import OPTIONS

from dicom_files import file_of
from offclip.errors import ImageError
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.pool import DecoderPool
from offclip.images.reading import read

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")


@pytest.fixture(scope="module")
def pool():
    with DecoderPool(1, TIGHT) as decoders:
        yield decoders


# ---- Data sets


def element(group, number, vr, value, length=None):
    """An explicit little endian element."""
    size = len(value) if length is None else length
    if vr in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
        return struct.pack("<HH2sHL", group, number, vr, 0, size) + value
    return struct.pack("<HH2sH", group, number, vr, size % 65536) + value


def with_element(inserted):
    """A sound file with an element before its pixels."""
    data = specimens()["explicit"].data
    at = data.index(struct.pack("<HH", 0x7FE0, 0x0010) + b"OW")
    return data[:at] + inserted + data[at:]


@pytest.mark.parametrize("depth", [10, 100, 1000, 10_000, 100_000])
def test_sequences_within_sequences(pool, depth):
    opened = struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    closed = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    content = with_element(opened * depth + closed * depth)
    (outcome,) = fate(pool, content)
    assert outcome in ((48, 64), "damaged", "truncated", "too-slow")
    if depth == 10:
        assert outcome == (48, 64)
    # In the calling process as well: no error but ours, and no crash.
    reasons = []
    try:
        read(content)
    except ImageError as error:
        reasons.append(error.reason)
    assert set(reasons) <= {"damaged", "truncated"}


@pytest.mark.parametrize("vr", [b"OB", b"UN", b"UT", b"SQ"])
@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF, 10**8])
def test_an_element_that_says_it_is_as_large_as_can_be(pool, vr, length):
    assert fate(pool, with_element(element(0x0029, 0x1010, vr, b"abcd", length)))[0] in (
        "truncated",
        "damaged",
    )


def test_private_elements_of_100_mb_cost_their_bytes_and_no_more(pool):
    block = element(0x0029, 0x0010, b"LO", b"OFFCLIP ") + element(0x0029, 0x1010, b"OB", bytes(100 * 2**20))
    content = with_element(block)
    assert fate(pool, content) == [(48, 64)]
    assert reason_of(content, ReadOptions(limits=Limits(max_file_bytes=100 * 2**20))) == "file-too-large"


@pytest.mark.parametrize(
    "charset", ["ISO_IR 999", "\\\\\\\\", "ISO 2022 IR 87", "GB18030\\ISO 2022 IR 58", "utf_7", "x" * 60]
)
def test_character_sets_that_lie_cost_no_film(charset):
    data = specimens()["explicit"].data
    sound = read(data).pixels
    name = element(0x0008, 0x0005, b"CS", charset.encode() + b" " * (len(charset) % 2))
    at = data.index(struct.pack("<HH", 0x0008, 0x0016))
    names = element(0x0010, 0x0010, b"PN", b"\xff\xfe\x1b$B\x80^\xc3\x28 ")
    changed = data[:at] + name + data[at:]
    at = changed.index(struct.pack("<HH", 0x0028, 0x0002))
    film = read(changed[:at] + names + changed[at:])
    assert np.array_equal(film.pixels, sound)
    assert "\x1b" not in repr(film)


def test_an_empty_value_where_a_number_must_be():
    pixels = specimens()["explicit"].pixels
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation"):
        assert reason_of(file_of(pixels, {keyword: None})) == "damaged"


# ---- Files that are none


def test_pipes_devices_folders_and_circles_of_links_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "none.png")
    expected = {
        "pipe.dcm": "not-a-file",
        "folder.png": "not-a-file",
        "circle.png": "not-a-file",
        "a.png": "not-a-file",
        "nowhere.png": "missing",
        "nul\0.png": "not-a-file",
        "x" * 5000: "not-a-file",
        "/dev/zero": "not-a-file",
        "/dev/stdin": "not-a-file",
    }
    paths = [tmp_path / name for name in expected if not name.startswith("/dev")]
    with DecoderPool(1, OPTIONS) as decoders:
        found = [result.reason for result in decoders.map(paths)]
    assert found == [reason for name, reason in expected.items() if not name.startswith("/dev")]
    for path in ("/dev/zero", *paths):
        with pytest.raises(ImageError):
            read(path)


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "film.png"
    path.write_bytes(specimens()["file-png"].data)
    honest = os.stat_result
    real = type(path).stat

    def larger(self, **options):
        about = real(self, **options)
        values = list(about)
        values[6] += 100  # st_size: the file has shrunk since
        return honest(values)

    monkeypatch.setattr(type(path), "stat", larger)
    with pytest.raises(ImageError) as caught:
        read(path)
    assert caught.value.reason == "truncated"


def test_a_file_that_is_cut_and_grown_by_another_writer(tmp_path):
    path = tmp_path / "film.dcm"
    data = specimens()["explicit"].data
    path.write_bytes(data)
    sound = read(data).pixels
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            for length in (len(data) // 2, 0, len(data)):
                with path.open("wb") as file:
                    file.write(data[:length])

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        reasons = set()
        for _ in range(300):
            try:
                assert np.array_equal(read(path).pixels, sound)
            except ImageError as error:
                reasons.add(error.reason)
    finally:
        stop.set()
        writer.join()
    assert reasons <= {"truncated", "empty", "missing"}
