"""Single attacks by the pixels of a file: sizes that are not there, bombs, lying and half codestreams."""

import os
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hostile_fates import TIGHT, WIDE, fate, peak_mb, reason_of
from hostile_specimens import specimens
from hostile_stream_lies import frame_header, png_chunk

from dicom_files import DELIMITER, encapsulate, file_of, item
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.pool import DecoderPool
from offclip.images.reading import read

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")


@pytest.fixture(scope="module")
def pool():
    with DecoderPool(1, TIGHT) as decoders:
        yield decoders


@pytest.fixture(scope="module")
def wide():
    with DecoderPool(1, WIDE) as decoders:
        yield decoders


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
            (tag,) = struct.unpack_from("<H", data, at)
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
    found = []
    assert peak_mb(lambda: found.extend(fate(wide, content))) < 20  # of the caller
    (outcome,) = found
    # The last is CharLS, which does not count as far as 8 GiB and is told so by an exception.
    known = (
        "truncated",
        "contradictory",
        "damaged",
        "too-much-memory",
        "unsupported-pixels",
        "decoder-crashed",
    )
    assert outcome in known


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
        start += (
            8 + length if vr not in (b"OB", b"UN") else 12 + struct.unpack_from("<L", sound, start + 8)[0]
        )
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return sound[:start] + packer.compress(body) + packer.flush()


def test_a_small_deflated_file_that_becomes_400_mb(pool):
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    # After a full flush nothing refers back, so a packed megabyte can be repeated.
    packed = (packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)) * 400 + packer.flush()
    sound = specimens()["deflated"].data
    content = sound[: len(deflated(b"")) - 2] + packed
    assert len(content) < 0.5 * 2**20
    small = ReadOptions(limits=Limits(max_unpacked_bytes=64 * 2**20))
    reasons = []
    # The limit, and as much again while the buffer of zlib grows.
    assert peak_mb(lambda: reasons.append(reason_of(content, small))) < 200
    assert reasons == ["unpacks-too-large"]
    assert fate(pool, content) == ["damaged"]  # fifty million empty elements are not walked through


def test_a_png_whose_pixels_unpack_to_more_than_its_header_says(pool):
    header = struct.pack(">LLBBBBB", 16, 16, 8, 0, 0, 0, 0)
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    content = (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", bomb) + png_chunk(b"IEND", b"")
    )
    reasons = []
    assert peak_mb(lambda: reasons.append(reason_of(content))) < 20  # 64 megabytes are not unpacked
    assert reasons == ["contradictory"]
    assert fate(pool, content) == ["contradictory"]


def test_texts_and_profiles_of_a_png_are_not_unpacked():
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    sound = specimens()["file-png"].data
    chunks = png_chunk(b"zTXt", b"Comment\0\0" + bomb) + png_chunk(b"iCCP", b"p\0\0" + bomb)
    chunks += png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb)
    content = sound[:33] + chunks + sound[33:]
    films = []
    assert peak_mb(lambda: films.append(read(content))) < 20
    assert np.array_equal(films[0].pixels, read(sound).pixels)


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
    tags = [
        (256, 4, 1, 4),
        (257, 4, 1, 4),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, many, strip),
    ]
    tags += [(277, 3, 1, 1), (278, 4, 1, 1), (279, 4, many, 8)]
    content = b"II*\0" + struct.pack("<L", 24) + bytes(16) + directory(tags)
    assert fate(pool, content)[0] in ("truncated", "contradictory", "damaged")


def test_tags_of_a_tiff_that_share_their_many_values(pool):
    # 20 MB that would be a hundred million Python numbers.
    tags = [(tag, 4, 5_000_000, 200) for tag in (256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 320)]
    content = (b"II*\0" + struct.pack("<L", 8) + directory(tags)).ljust(200, b"\0") + bytes(20_000_000)
    reasons = []
    assert peak_mb(lambda: reasons.append(reason_of(content))) < 100
    assert reasons == ["damaged"]
    half = [(273, 4, 2_500_000, 200), (279, 4, 2_500_000, 200)]
    content = (b"II*\0" + struct.pack("<L", 8) + directory(half)).ljust(200, b"\0") + bytes(10_000_000)
    assert fate(pool, content) == ["damaged"]


def test_millions_of_empty_fragments(pool):
    pixels = specimens()["jpeg"].pixels
    pixel_data = item(b"") + item(b"") * 3_000_000 + DELIMITER
    assert fate(pool, file_of(replace(pixels, pixel_data=pixel_data))) == ["damaged"]


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
    for rows, columns, precision in (
        (1, 1, 12),
        (65535, 1, 12),
        (48, 64, 2),
        (48, 64, 16),
        (0, 0, 12),
        (4800, 6400, 12),
    ):
        changed = stream[: at + 4] + struct.pack(">BHH", precision, rows, columns) + stream[at + 9 :]
        # The DICOM header as it was, and one that tells the same lie.
        lies.append(replace(specimen.pixels, codestreams=(changed,), pixel_data=encapsulate([changed])))
        if rows:
            header = replace(specimen.pixels.header, rows=rows, columns=columns)
            lies.append(replace(lies[-1], header=header))
    for outcome in fate(pool, *map(file_of, lies)):
        assert outcome in ("contradictory", "damaged", "truncated", "unsupported-pixels")


@pytest.mark.parametrize(
    "name", ["rle", "jpeg", "jpeg-colour", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "htj2k"]
)
def test_half_a_codestream_is_not_a_film(pool, name):
    specimen = specimens()[name]
    stream = specimen.stream
    half = [stream[: len(stream) * part // 8] for part in range(1, 8)]
    ended = [part.rstrip(b"\xff") + b"\xff\xd9" for part in half] if stream[:1] == b"\xff" else []
    files = [
        file_of(replace(specimen.pixels, codestreams=(part,), pixel_data=encapsulate([part])))
        for part in half + ended
    ]
    for outcome in fate(pool, *files):
        assert outcome in ("truncated", "damaged", "contradictory")
