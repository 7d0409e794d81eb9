"""Raster files that are cut off, damaged, or made to do harm: one reason each, and never wrong pixels."""

import io
import random
import struct
import zlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from offclip.errors import ImageError
from offclip.images import Limits, ReadOptions, read
from offclip.images.formats.jpeg import MOST_SCANS

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 52), np.uint8)
COLOUR = RNG.integers(0, 256, (40, 52, 3), np.uint8)


def encoded(file_format, pixels=GREY, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


FILES = {
    "png": encoded("PNG"),
    "png-16": encoded("PNG", RNG.integers(0, 65536, (40, 52), np.uint16)),
    "jpeg": encoded("JPEG"),
    "jpeg-colour": encoded("JPEG", COLOUR),
    "jpeg-progressive": encoded("JPEG", progressive=True),
    "jpeg-restart": encoded("JPEG", restart_marker_blocks=4),
    "tiff": encoded("TIFF"),
    "tiff-lzw": encoded("TIFF", compression="tiff_lzw"),
    "tiff-deflate": encoded("TIFF", compression="tiff_adobe_deflate"),
    "bmp": encoded("BMP", COLOUR),
}


def reason_of(content, **limits):
    with pytest.raises(ImageError) as caught:
        read(content, ReadOptions(limits=Limits(**limits)))
    assert caught.value.remedy
    return caught.value.reason


@pytest.mark.parametrize("kind", FILES)
def test_no_beginning_of_a_file_passes_for_the_whole(kind):
    content = FILES[kind]
    reasons = Counter(
        reason_of(content[:length]) for length in {*range(1, len(content), 13), len(content) - 1}
    )
    assert reasons["truncated"] > 0.8 * reasons.total()


@pytest.mark.parametrize("kind", FILES)
def test_mutated_files_are_read_or_refused_but_never_crash(kind):
    content, rng, reasons = FILES[kind], random.Random(kind), Counter()
    truth = read(content).pixels
    for _ in range(200):
        changed = bytearray(content)
        for _ in range(rng.choice((1, 3))):
            changed[rng.randrange(min(len(changed), rng.choice((60, 10_000))))] = rng.randrange(256)
        try:
            film = read(bytes(changed), ReadOptions(limits=Limits(max_pixels=10_000)))
        except ImageError as error:
            reasons[error.reason] += 1
            continue
        reasons["read"] += 1
        if kind.startswith("png"):  # every byte of a PNG stands under a check sum
            assert np.array_equal(film.pixels, truth)
    print(kind, dict(reasons))
    assert reasons.total() - reasons["read"] > 5


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-colour", "jpeg-progressive", "jpeg-restart"])
@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.98])
def test_a_jpeg_with_part_of_its_scan_and_an_end_marker(kind, share):
    # libjpeg itself takes such a file, fills the rest with grey and says nothing.
    content = FILES[kind]
    assert reason_of(content[: int(share * len(content))].rstrip(b"\xff") + b"\xff\xd9") == "truncated"


def test_bytes_behind_the_end_marker_of_a_jpeg_do_no_harm():
    expected = read(FILES["jpeg"]).pixels
    assert np.array_equal(read(FILES["jpeg"] + bytes(100)).pixels, expected)
    assert np.array_equal(read(FILES["jpeg"] + FILES["jpeg"]).pixels, expected)


def test_a_jpeg_without_one_restart_marker():
    content = FILES["jpeg-restart"]
    at = content.index(b"\xff\xd3")
    assert reason_of(content[:at] + content[at + 2 :]) == "damaged"
    last = max(content.rfind(bytes((0xFF, 0xD0 + number))) for number in range(8))
    assert reason_of(content[:last] + content[last + 2 :]) == "truncated"


def test_a_progressive_jpeg_with_thousands_of_scans():
    content = FILES["jpeg-progressive"]
    start = content.index(b"\xff\xda")
    scan = b"\xff\xda\0\x08\1\1\0\0\0\0" + bytes(4)
    assert reason_of(content[:start] + scan * (MOST_SCANS * 20) + content[start:]) in ("too-slow", "damaged")
    # With every scan lawful in itself: eight scans of one frequency after the other, then too many.
    first = content[: content.index(b"\xff\xc2")]
    frame = b"\xff\xc2\0\x11\x08\0\x28\0\x34\3\1\x11\0\2\x11\0\3\x11\0"
    scans = b"".join(
        struct.pack(">HHBBBBBB", 0xFFDA, 8, 1, number, 0, frequency, frequency, 0) + b"\0"
        for number in (1, 2, 3)
        for frequency in range(1, 64)
    )
    assert reason_of(first + frame + scans + b"\xff\xd9") == "too-slow"


def png_chunk(kind, body):
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def png(width, height, packed, *more, bits=8, colour=0):
    header = png_chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, bits, colour, 0, 0, 0))
    chunks = b"".join(png_chunk(kind, body) for kind, body in more)
    return b"\x89PNG\r\n\x1a\n" + header + chunks + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


ROWS = zlib.compress(b"\0\1\2\3\4" * 4)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (png(60_000, 60_000, ROWS), "too-many-pixels"),
        (png(2**32 - 1, 1, ROWS), "too-many-pixels"),
        (png(8000, 8000, ROWS), "truncated"),  # within the limit, but the bytes cannot hold it
        (png(4, 5, ROWS), "truncated"),  # one row short
        (png(0, 4, ROWS), "damaged"),
        (png(4, 4, b"no zlib"), "damaged"),
        (png(4, 4, ROWS, bits=3), "damaged"),
        (png(4, 4, ROWS, colour=3), "damaged"),  # no palette
        (png(4, 4, ROWS, (b"ABCD", b"")), "unsupported-format"),  # a critical chunk that nobody knows
        (png(4, 4, ROWS)[:-12], "truncated"),  # no IEND
        (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IEND", b""), "damaged"),
    ],
)
def test_png_headers_that_lie(content, reason):
    assert reason_of(content) == reason


def test_a_sound_png_of_that_making_is_read():
    assert read(png(4, 4, ROWS)).pixels.tolist() == [[1, 2, 3, 4]] * 4


@pytest.mark.parametrize("side", [(1, 1), (4, 3), (300, 2), (1000, 1000), (3, 900), (257, 515)])
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_whole_pngs_are_read_and_one_row_less_is_noticed(side, level):
    height, width = side
    for pixels in (
        np.zeros(side, np.uint8),
        np.full(side, 9, np.uint8),
        RNG.integers(0, 256, side, np.uint8),
    ):
        rows = b"".join(b"\0" + row.tobytes() for row in pixels)
        content = png(width, height, zlib.compress(rows, level))
        assert np.array_equal(read(content).pixels, pixels)
        short = png(width, height, zlib.compress(rows[: -width - 1], level))
        assert reason_of(short) == "truncated"


def test_an_interlaced_png_is_read_and_must_be_whole():
    # Adam7 of an image of 8 x 8: passes of 1, 1, 2, 4, 8, 16 and 32 pixels.
    passes = [
        (0, 8, 0, 8),
        (0, 8, 4, 8),
        (4, 8, 0, 4),
        (0, 4, 2, 4),
        (2, 4, 0, 2),
        (0, 2, 1, 2),
        (1, 2, 0, 1),
    ]
    pixels = RNG.integers(0, 256, (8, 8), np.uint8)
    rows = b"".join(
        b"\0" + row.tobytes() for y, down, x, across in passes for row in pixels[y::down, x::across]
    )
    header = png_chunk(b"IHDR", struct.pack(">LLBBBBB", 8, 8, 8, 0, 0, 0, 1))
    for end, whole in ((len(rows), True), (len(rows) - 9, False), (len(rows) // 2, False)):
        content = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(rows[:end]))
        content += png_chunk(b"IEND", b"")
        if whole:
            assert np.array_equal(read(content).pixels, pixels)
        else:
            assert reason_of(content) == "truncated"


def test_pixels_spread_over_many_small_chunks():
    content = png(4, 4, ROWS)
    packed = zlib.compress(b"\0\1\2\3\4" * 4)
    at, end = content.index(b"IDAT") - 4, content.index(b"IEND") - 4
    chunks = b"".join(png_chunk(b"IDAT", bytes([byte])) for byte in packed)
    assert read(content[:at] + chunks + content[end:]).pixels.tolist() == [[1, 2, 3, 4]] * 4


def test_text_that_unpacks_to_a_gigabyte_costs_nothing():
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    content = png(4, 4, ROWS, *[(b"zTXt", b"a\0\0" + bomb)] * 16, (b"iCCP", b"p\0\0" + bomb))
    assert read(content).pixels.shape == (4, 4)
    info = PngImagePlugin.PngInfo()
    info.add_text("report", "no patient data here", zip=True)
    assert np.array_equal(read(encoded("PNG", pnginfo=info)).pixels, GREY)


def test_the_check_sum_of_every_chunk_counts():
    content = bytearray(FILES["png"])
    content[content.index(b"IDAT") + 30] ^= 1
    assert reason_of(bytes(content)) == "damaged"


def test_limits_hold_before_anything_is_decoded():
    for kind in ("png", "jpeg", "tiff", "bmp"):
        assert reason_of(FILES[kind], max_pixels=40 * 52 - 1) == "too-many-pixels"
        read(FILES[kind], ReadOptions(limits=Limits(max_pixels=40 * 52)))
        assert reason_of(FILES[kind], max_unpacked_bytes=1000) == "unpacks-too-large"


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_bmp_bomb_is_refused_by_its_header(side):
    header = b"BM" + (54).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + side.to_bytes(4, "little") * 2 + b"\1\0\x18\0" + bytes(24)
    assert reason_of(header) == "too-many-pixels"


def tiff(entries, pixels=bytes(16), following=0):
    body = b"".join(struct.pack("<HHLL", tag, kind, many, value) for tag, kind, many, value in entries)
    start = 8 + len(pixels)
    head = b"II*\0" + struct.pack("<L", start) + pixels
    return head + struct.pack("<H", len(entries)) + body + struct.pack("<L", following)


def sound_tiff(**changes):
    tags = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 4, 279: 16}
    tags |= {int(tag[1:]): value for tag, value in changes.items()}
    return [(tag, 4, 1, value) for tag, value in sorted(tags.items())]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff(sound_tiff(t256=60_000, t257=60_000)), "too-many-pixels"),
        (tiff(sound_tiff(t256=400)), "truncated"),
        (tiff(sound_tiff(t273=10**6)), "truncated"),
        (tiff(sound_tiff(t279=10**9)), "truncated"),
        (tiff(sound_tiff(t277=60_000)), "unsupported-pixels"),
        (tiff(sound_tiff(t278=1)), "contradictory"),
        (tiff(sound_tiff(t322=60_000, t323=60_000, t324=8, t325=16)), "too-many-pixels"),
        (tiff([*sound_tiff()[:-1], (279, 4, 10**9, 8)]), "truncated"),
        (tiff([*sound_tiff()[:-1], (279, 99, 1, 8)]), "damaged"),
        (tiff([*sound_tiff(), (279, 4, 1, 16)]), "damaged"),
        (tiff([(256, 3, 2, 4), *sound_tiff()[1:]]), "damaged"),  # two widths
        (tiff(sound_tiff(), following=24), "damaged"),  # a circle of pages
        (tiff(sound_tiff(), following=10**8), "truncated"),
        (b"II*\0" + struct.pack("<L", 0) + bytes(20), "no-pixels"),
    ],
)
def test_tiff_tags_that_lie(content, reason):
    assert reason_of(content) == reason


def test_a_sound_tiff_of_that_making_is_read():
    assert read(tiff(sound_tiff(), bytes(range(16)))).pixels.tolist() == np.arange(16).reshape(4, 4).tolist()


def test_a_tiff_with_more_pages_than_allowed():
    pages = [Image.fromarray(GREY)] * 4
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    assert reason_of(buffer.getvalue(), max_frames=3) == "too-many-frames"
