"""More or fewer pixels than the header says: no rest is left aside, and nothing is made up."""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hostile_specimens import COLUMNS, ROWS, grey_levels, specimens
from hostile_stream_lies import frame_header, png_chunk
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dicom_files import DELIMITER, file_of, item
from offclip.errors import ImageError
from offclip.images.formats.tiff_strips import LZW, check_unpacked, unpacked_lzw
from offclip.images.reading import read

RNG = np.random.default_rng(3)


def reason_of(content):
    with pytest.raises(ImageError) as caught:
        read(content)
    return caught.value.reason


def encoded(kind, pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


# ---- PNG


def png(width, height, packed, bits=8, interlaced=0):
    header = struct.pack(">LLBBBBB", width, height, bits, 0, 0, 0, interlaced)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_a_png_of_more_rows_than_its_header_says():
    rows = b"".join(b"\0" + bytes([i] * 5) for i in range(6))
    assert read(png(5, 6, zlib.compress(rows))).pixels[:, 0].tolist() == list(range(6))
    assert reason_of(png(5, 5, zlib.compress(rows))) == "contradictory"
    assert reason_of(png(5, 6, zlib.compress(rows + b"\0"))) == "contradictory"
    assert reason_of(png(5, 6, zlib.compress(rows[:-1]))) == "truncated"
    assert reason_of(png(5, 6, zlib.compress(rows)[:-1])) == "truncated"  # of the check sum
    wrong = bytearray(zlib.compress(rows))
    wrong[-1] ^= 1
    assert reason_of(png(5, 6, bytes(wrong))) == "damaged"
    assert reason_of(png(5, 6, zlib.compress(rows), interlaced=1)) == "truncated"


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 5), (8, 8), (13, 17)])
def test_an_interlaced_png_must_have_the_bytes_of_its_passes(bits, size):
    height, width = size
    passes = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    count = 0
    for y, x, down, across in passes:
        rows, columns = len(range(y, height, down)), len(range(x, width, across))
        count += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    assert read(png(width, height, zlib.compress(bytes(count)), bits, 1)).pixels.shape == size
    assert reason_of(png(width, height, zlib.compress(bytes(count + 1)), bits, 1)) == "contradictory"
    assert reason_of(png(width, height, zlib.compress(bytes(count - 1)), bits, 1)) == "truncated"


# ---- JPEG


@pytest.mark.parametrize(
    "name", ["file-jpeg", "file-jpeg-colour", "file-jpeg-progressive", "file-jpeg-restart"]
)
@pytest.mark.parametrize(
    ("at", "value"), [(5, ROWS - 16), (5, ROWS // 2), (7, COLUMNS - 16), (7, COLUMNS // 2)]
)
def test_a_jpeg_of_more_blocks_than_its_header_says(name, at, value):
    data = specimens()[name].data
    place = frame_header(data) + at
    assert reason_of(data[:place] + struct.pack(">H", value) + data[place + 2 :]) in (
        "contradictory",
        "damaged",
    )


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (48, 64), (7, 300), (200, 5, 3), (64, 64, 3)])
@pytest.mark.parametrize("flat", [True, False])
def test_whole_jpegs_are_read_even_if_they_are_of_one_grey(options, shape, flat):
    pixels = np.full(shape, 128, np.uint8) if flat else RNG.integers(0, 256, shape, np.uint8)
    for grey in (0, 128, 255):
        assert read(encoded("JPEG", np.full_like(pixels, grey), **options)).pixels.shape == shape[:2]
    assert read(encoded("JPEG", pixels, quality=30, **options)).pixels.shape == shape[:2]


def test_what_libjpeg_says_is_heard():
    """Of the bundled libjpeg of OpenCV: without its messages, half a scan would pass for a whole one."""
    data = specimens()["file-jpeg"].data
    assert reason_of(data[:-2] + bytes(range(1, 9)) + data[-2:]) == "contradictory"
    for lost in range(1, 12):
        assert reason_of(data[: -2 - lost].rstrip(b"\xff") + data[-2:]) == "truncated"
    colour = Image.fromarray(RNG.integers(0, 256, (40, 50, 3), np.uint8))
    for image, options in ((colour.convert("CMYK"), {}), (colour, {"keep_rgb": True})):
        file = io.BytesIO()
        image.save(file, "JPEG", **options)
        whole = file.getvalue()
        assert read(whole).pixels.shape == (40, 50)
        assert reason_of(whole[: len(whole) // 2].rstrip(b"\xff") + b"\xff\xd9") == "truncated"


# ---- TIFF


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("tag", [256, 257, 258])
def test_a_tiff_of_more_pixels_than_its_directory_says(compression, tag):
    options = {"compression": compression} if compression else {}
    data = bytearray(encoded("TIFF", grey_levels(), **options))
    (start,) = struct.unpack_from("<L", data, 4)
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        found, kind = struct.unpack_from("<HH", data, at)
        if found == tag:
            (value,) = struct.unpack_from("<H", data, at + 8)
            struct.pack_into("<HHLL", data, at, tag, kind, 1, value // 2)
    assert reason_of(bytes(data)) in ("contradictory", "damaged")


def test_strips_of_a_tiff_that_lie_over_its_directory():
    data = bytearray(encoded("TIFF", grey_levels()))
    (start,) = struct.unpack_from("<L", data, 4)
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, at)[0] == 273:
            struct.pack_into("<L", data, at + 8, struct.unpack_from("<L", data, at + 8)[0] - 40)
    assert reason_of(bytes(data)) == "contradictory"


def lzw_strip(pixels):
    """The only strip of a TIFF that libtiff has written."""
    data = encoded("TIFF", pixels, compression="tiff_lzw", tiffinfo={278: pixels.shape[0]})
    (start,) = struct.unpack_from("<L", data, 4)
    tags = {}
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        tag, kind, many, value = struct.unpack_from("<HHLL", data, at)
        tags[tag] = value if kind == 4 else value & 0xFFFF
        assert tag not in (273, 279) or many == 1
    return memoryview(data)[tags[273] : tags[273] + tags[279]]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    height=st.integers(1, 90), width=st.integers(1, 300), levels=st.integers(1, 256), seed=st.integers(0, 99)
)
def test_the_bytes_of_lzw_codes_are_counted_as_libtiff_unpacks_them(height, width, levels, seed):
    pixels = np.random.default_rng(seed).integers(0, levels, (height, width)).astype(np.uint8)
    strip = lzw_strip(pixels)
    assert unpacked_lzw(strip, pixels.size, "film.tif") == pixels.size
    check_unpacked(strip, pixels.size, LZW, "film.tif")
    for size, reason in ((pixels.size - 1, "contradictory"), (pixels.size + 1, "truncated")):
        with pytest.raises(ImageError) as caught:
            check_unpacked(strip, size, LZW, "film.tif")
        assert caught.value.reason == reason


@pytest.mark.parametrize("size", [3836, 3837, 3838, 3839, 70_000])
def test_lzw_codes_at_the_clear_code(size):
    for pixels in (RNG.integers(0, 256, (1, size), np.uint8), np.zeros((1, size * 300), np.uint8)):
        assert unpacked_lzw(lzw_strip(pixels), pixels.size, "film.tif") == pixels.size


def test_an_lzw_strip_is_not_counted_beyond_what_is_asked_for():
    strip = lzw_strip(np.zeros((100, 60_000), np.uint8))
    assert unpacked_lzw(strip, 1000, "film.tif") > 1000


# ---- BMP


@pytest.mark.parametrize(
    ("at", "value"),
    [(22, ROWS - 1), (22, 1), (18, COLUMNS // 2), (10, 1070), (14, 56), (28, 4), (46, 2**32 - 1)],
)
def test_a_bmp_whose_size_or_palette_lies(at, value):
    data = specimens()["file-bmp"].data
    width = 2 if at == 28 else 4
    changed = data[:at] + value.to_bytes(width, "little") + data[at + width :]
    assert reason_of(changed) in ("contradictory", "truncated", "damaged")


def test_two_bytes_behind_the_pixels_of_a_bmp_are_allowed():
    data = specimens()["file-bmp"].data
    assert np.array_equal(read(data + b"\0\0").pixels, read(data).pixels)


# ---- DICOM


@pytest.mark.parametrize("name", ["jpeg", "jpeg-ls", "jpeg-2000", "jpeg-lossless"])
def test_an_item_that_covers_the_next_one(name):
    specimen = specimens()[name]
    stream = specimen.stream
    half = len(stream) // 4 * 2
    covered = stream[:half] + item(stream[half:] + b"\0" * (len(stream) % 2))
    pixel_data = item(b"") + item(covered) + DELIMITER
    assert reason_of(file_of(replace(specimen.pixels, pixel_data=pixel_data))) == "damaged"


def test_more_elements_than_a_header_can_have():
    data = specimens()["explicit"].data
    at = data.index(struct.pack("<HH", 0x7FE0, 0x0010) + b"OW")
    many = b"".join(struct.pack("<HH2sH", 0x0029, 0x1000 + i % 256, b"LO", 0) for i in range(100_001))
    assert reason_of(data[:at] + many + data[at:]) == "damaged"
    few = many[: 8 * 1000]
    assert read(data[:at] + few + data[at:]).pixels.shape == (ROWS, COLUMNS)
