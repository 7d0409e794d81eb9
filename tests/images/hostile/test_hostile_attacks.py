"""Single attacks: sizes that are not there, bombs, nesting, lying lengths, files that are none."""

import io
import os
import resource
import struct
import sys
import threading
import time
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hostile_specimens import specimens
from hostile_stream_lies import frame_header, png_chunk
from hostile_tally import OPTIONS
from PIL import Image

from dicom_files import UIDS, dicom_file, encapsulate, file_of, pattern, stored
from offclip.errors import ImageError
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.pool import DecoderPool, NamedBytes
from offclip.images.reading import read

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
# So little that a film of 65535 x 65535, or one of its rows too many, would show.
TIGHT = ReadOptions(limits=Limits(memory_bytes=1536 * 2**20, seconds=20))


# With the limits on pixels and bytes out of the way, the file itself must show it, or the process ends at its own.
WIDE = ReadOptions(
    limits=Limits(max_pixels=2**33, max_unpacked_bytes=2**36, memory_bytes=1024 * 2**20, seconds=20)
)


@pytest.fixture(scope="module")
def pool():
    with DecoderPool(1, TIGHT) as decoders:
        yield decoders


@pytest.fixture(scope="module")
def wide():
    with DecoderPool(1, WIDE) as decoders:
        yield decoders


def reason_of(content, options=ReadOptions()):
    with pytest.raises(ImageError) as caught:
        read(content, options)
    assert caught.value.message
    assert caught.value.remedy
    return caught.value.reason


def fate(pool, *contents):
    """What became of files in a process of their own: a reason, or the shape of the pixels."""
    results = pool.map(NamedBytes(f"file {i}", content) for i, content in enumerate(contents))
    return [result.reason if isinstance(result, ImageError) else result.film.pixels.shape for result in results]


# ---- Sizes that are not there


def huge(specimen):
    """The file with 65535 x 65535 pixels in every header that it has."""
    stream = specimen.stream
    if specimen.format == "png":
        header = b"\0\0\xff\xff\0\0\xff\xff" + stream[24:29]
        return stream[:8] + png_chunk(b"IHDR", header) + stream[33:]
    if specimen.format == "bmp":
        return stream[:18] + struct.pack("<ll", 65535, 65535) + stream[26:]
    if specimen.format == "tiff":
        data = bytearray(stream)
        (start,) = struct.unpack_from("<L", stream, 4)
        for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", stream, start)[0], 12):
            tag, kind = struct.unpack_from("<HH", data, at)
            if tag in (256, 257, 278):
                struct.pack_into("<HHLL", data, at, tag, 4, 1, 65535)
        return bytes(data)
    if stream[:2] == b"\xff\xd8":
        at = frame_header(stream) + 5
        stream = stream[:at] + b"\xff\xff\xff\xff" + stream[at + 4 :]
    elif stream[:2] == b"\xff\x4f":
        stream = stream[:8] + struct.pack(">LL", 65535, 65535) + stream[16:]
    if specimen.format == "jpeg":
        return stream
    header = replace(specimen.pixels.header, rows=65535, columns=65535)
    pixels = replace(specimen.pixels, header=header)
    if stream:
        pixels = replace(pixels, codestreams=(stream,), pixel_data=encapsulate([stream]))
    return file_of(pixels)


@pytest.mark.parametrize("name", specimens())
def test_a_size_that_is_not_there_takes_no_memory(pool, wide, name):
    content = huge(specimens()[name])
    assert fate(pool, content) == ["too-many-pixels"]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (outcome,) = fate(wide, content)
    # The last is CharLS, which does not count as far as 8 GiB and is told so by an exception.
    known = ("truncated", "contradictory", "damaged", "too-much-memory", "unsupported-pixels", "decoder-crashed")
    assert outcome in known
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KiB, of the caller


def test_headers_within_the_limits_that_few_bytes_cannot_fill(pool):
    # 7,900 x 8,000 pixels are allowed, but a few hundred bytes are not such a film.
    for syntax in ("explicit", "rle", "jpeg", "jpeg-lossless", "jpeg-ls"):
        specimen = specimens()[syntax]
        stream = specimen.stream
        if stream[:2] == b"\xff\xd8":
            at = frame_header(stream) + 5
            stream = stream[:at] + struct.pack(">HH", 7900, 8000) + stream[at + 4 :]
        pixels = replace(specimen.pixels, header=replace(specimen.pixels.header, rows=7900, columns=8000))
        if stream:
            pixels = replace(pixels, codestreams=(stream,), pixel_data=encapsulate([stream]))
        assert fate(pool, file_of(pixels)) in (["truncated"], ["damaged"], ["contradictory"])


# ---- Bombs


def deflated(body: bytes) -> bytes:
    """A deflated DICOM file with another data set."""
    sound = specimens()["deflated"].data
    start = 132
    while sound[start : start + 2] == b"\2\0":
        vr, length = struct.unpack_from("<2sH", sound, start + 4)
        start += 8 + length if vr not in (b"OB", b"UN") else 12 + struct.unpack_from("<L", sound, start + 8)[0]
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return sound[:start] + packer.compress(body) + packer.flush()


def test_a_small_deflated_file_that_becomes_400_mb(pool):
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = packer.compress(bytes(400 * 2**20)) + packer.flush()
    sound = specimens()["deflated"].data
    content = sound[: len(deflated(b"")) - 2] + packed
    assert len(content) < 0.5 * 2**20
    small = ReadOptions(limits=Limits(max_unpacked_bytes=64 * 2**20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason_of(content, small) == "unpacks-too-large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
    assert fate(pool, content) == ["damaged"]  # fifty million empty elements are not walked through


def test_a_png_whose_pixels_unpack_to_more_than_its_header_says(pool):
    header = struct.pack(">LLBBBBB", 16, 16, 8, 0, 0, 0, 0)
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    content = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", bomb) + png_chunk(b"IEND", b"")
    start = time.process_time()
    assert reason_of(content) == "contradictory"
    assert time.process_time() - start < 5  # 64 megabytes were not unpacked
    assert fate(pool, content) == ["contradictory"]


def test_texts_and_profiles_of_a_png_are_not_unpacked():
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    sound = specimens()["file-png"].data
    chunks = png_chunk(b"zTXt", b"Comment\0\0" + bomb) + png_chunk(b"iCCP", b"p\0\0" + bomb)
    chunks += png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb)
    content = sound[:33] + chunks + sound[33:]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert np.array_equal(read(content).pixels, read(sound).pixels)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 * 1024


def test_a_jpeg_of_thousands_of_scans():
    sound = specimens()["file-jpeg-progressive"].data
    start = sound.rindex(b"\xff\xda")
    scan = sound[start:-2]
    assert reason_of(sound[:-2] + scan * 5000 + b"\xff\xd9") in ("damaged", "too-slow")


def directory(entries, following=0):
    body = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + body + struct.pack("<L", following)


@pytest.mark.parametrize(
    ("many", "strip"),
    [(2**32 - 1, 8), (2**30, 8), (100_000, 8), (1, 2**32 - 1)],
)
def test_a_tiff_of_as_many_strips_as_can_be_said(pool, many, strip):
    tags = [(256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, many, strip)]
    tags += [(277, 3, 1, 1), (278, 4, 1, 1), (279, 4, many, 8)]
    content = b"II*\0" + struct.pack("<L", 24) + bytes(16) + directory(tags)
    assert fate(pool, content)[0] in ("truncated", "contradictory", "damaged")


def test_directories_of_a_tiff_that_point_at_themselves(pool):
    tags = [(256, 4, 1, 4), (257, 4, 1, 4)]
    for following in (8, 9, 10, 20):
        content = b"II*\0" + struct.pack("<L", 8) + directory(tags, following) + bytes(40)
        assert fate(pool, content)[0] in ("damaged", "truncated", "no-pixels", "too-many-frames")
    # A chain of ten thousand pages.
    chain = b"".join(directory(tags, 8 + 30 * (i + 1)) for i in range(10_000))
    assert fate(pool, b"II*\0" + struct.pack("<L", 8) + chain) == ["too-many-frames"]


# ---- Codestreams


def test_jpeg_ls_whose_header_lies_costs_no_process_of_the_caller(pool):
    specimen = specimens()["jpeg-ls"]
    stream, at = specimen.stream, frame_header(specimen.stream)
    lies = []
    for rows, columns, precision in ((1, 1, 12), (65535, 1, 12), (48, 64, 2), (48, 64, 16), (0, 0, 12), (4800, 6400, 12)):
        changed = stream[: at + 4] + struct.pack(">BHH", precision, rows, columns) + stream[at + 9 :]
        # The DICOM header as it was, and one that tells the same lie.
        lies.append(replace(specimen.pixels, codestreams=(changed,), pixel_data=encapsulate([changed])))
        if rows:
            header = replace(specimen.pixels.header, rows=rows, columns=columns)
            lies.append(replace(lies[-1], header=header))
    for outcome in fate(pool, *map(file_of, lies)):
        assert outcome in ("contradictory", "damaged", "truncated", "unsupported-pixels")


@pytest.mark.parametrize("name", ["rle", "jpeg", "jpeg-colour", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "htj2k"])
def test_half_a_codestream_is_not_a_film(pool, name):
    specimen = specimens()[name]
    stream = specimen.stream
    half = [stream[: len(stream) * part // 8] for part in range(1, 8)]
    ended = [part.rstrip(b"\xff") + b"\xff\xd9" for part in half] if stream[:1] == b"\xff" else []
    files = [
        file_of(replace(specimen.pixels, codestreams=(part,), pixel_data=encapsulate([part]))) for part in half + ended
    ]
    for outcome in fate(pool, *files):
        assert outcome in ("truncated", "damaged", "contradictory")


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
    opened = struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closed = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    content = with_element(opened * depth + closed * depth)
    (outcome,) = fate(pool, content)
    assert outcome in ((48, 64), "damaged", "truncated", "too-slow")
    if depth == 10:
        assert outcome == (48, 64)
    # In the calling process as well: no error but ours, and no crash.
    try:
        read(content)
    except ImageError as error:
        assert error.reason in ("damaged", "truncated")


@pytest.mark.parametrize("vr", [b"OB", b"UN", b"UT", b"SQ"])
@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF, 10**8])
def test_an_element_that_says_it_is_as_large_as_can_be(pool, vr, length):
    assert fate(pool, with_element(element(0x0029, 0x1010, vr, b"abcd", length)))[0] in ("truncated", "damaged")


def test_private_elements_of_100_mb_cost_their_bytes_and_no_more(pool):
    block = element(0x0029, 0x0010, b"LO", b"OFFCLIP ") + element(0x0029, 0x1010, b"OB", bytes(100 * 2**20))
    content = with_element(block)
    assert fate(pool, content) == [(48, 64)]
    assert reason_of(content, ReadOptions(limits=Limits(max_file_bytes=100 * 2**20))) == "file-too-large"


@pytest.mark.parametrize("charset", ["ISO_IR 999", "\\\\\\\\", "ISO 2022 IR 87", "GB18030\\ISO 2022 IR 58", "utf_7", "x" * 60])
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


__all__ = ["UIDS", "Image", "dicom_file", "io", "pattern", "stored", "sys"]
