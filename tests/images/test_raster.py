"""PNG, JPEG, TIFF and BMP: the right grey for every kind of pixel, and bit for bit as the peers read them."""

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from offclip.errors import ConfigError, ImageError
from offclip.images import ReadOptions, read
from offclip.images.raster import scale_deep

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (24, 36), np.uint8)
DEEP = RNG.integers(0, 65536, (24, 36), np.uint16)
COLOUR = RNG.integers(0, 256, (24, 36, 3), np.uint8)
CARZERO, PERCENTILE = ReadOptions(policy="carzero"), ReadOptions(policy="percentile")


def encoded(image, file_format, **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def tiff(pixels, bits, photometric=1, order="<", **tags):
    """A TIFF of one strip, written tag by tag; `pixels` are its bytes."""
    entries = {
        256: 36,
        257: 24,
        258: bits,
        259: 1,
        262: photometric,
        273: 8,
        277: 1,
        278: 24,
        279: len(pixels),
    }
    entries |= {int(tag[1:]): value for tag, value in tags.items()}
    start = 8 + len(pixels)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", start)
    body = b"".join(struct.pack(order + "HHLL", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    return head + pixels + struct.pack(order + "H", len(entries)) + body + bytes(4)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
def test_8_bit_grey_comes_back_exactly(file_format):
    film = read(encoded(GREY, file_format))
    assert film.pixels.dtype == np.uint8
    assert np.array_equal(film.pixels, GREY)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_is_scaled_by_its_full_range_and_not_by_its_own(file_format):
    film = read(encoded(GREY.astype(np.uint16) * 257, file_format))
    assert np.array_equal(film.pixels, GREY)
    assert (film.metadata.bits, film.metadata.grey) == (16, "full range of 16 bits")
    assert film.metadata.notes == ()
    dark = read(encoded(np.full((4, 4), 2570, np.uint16), file_format))
    assert (dark.pixels == 10).all()
    assert "12 of 16 bits" in dark.metadata.notes[0]


def test_percentiles_stretch_16_bit_grey_and_leave_outliers_aside():
    film = RNG.integers(1000, 3001, (200, 200)).astype(np.uint16)
    film[0, 0], film[0, 1] = 0, 65535
    read_ = read(encoded(film, "PNG"), PERCENTILE)
    low, high = np.percentile(film, (0.5, 99.5))
    expected = ((film - low) / (high - low) * 255).clip(0, 255)
    assert abs(read_.pixels - expected).max() <= 1
    assert read_.metadata.grey == "percentile"
    flat = read(encoded(np.full((4, 4), 2570, np.uint16), "PNG"), PERCENTILE)
    assert (flat.pixels == 10).all()  # nothing to stretch


@pytest.mark.parametrize("bits", [9, 10, 12, 16])
def test_full_range_is_exact_for_all_values(bits):
    values = np.arange(2**bits, dtype=np.uint16)[None]
    expected = values.astype(int) * 255 // (2**bits - 1)
    assert np.array_equal(scale_deep(values, bits)[0], expected)
    assert np.array_equal(scale_deep(values, bits, inverted=True)[0], expected[:, ::-1])


def test_grey_jpeg_is_as_libjpeg_gives_it_and_colour_gives_its_y_channel():
    grey = encoded(GREY, "JPEG", quality=90)
    assert np.array_equal(read(grey).pixels, np.asarray(Image.open(io.BytesIO(grey))))
    colour = encoded(COLOUR, "JPEG", quality=90)
    image = Image.open(io.BytesIO(colour))
    image.draft("YCbCr", None)
    assert np.array_equal(read(colour).pixels, np.asarray(image)[..., 0])
    assert read(colour).metadata.photometric == "YCbCr"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_other_modes_become_their_grey_value(mode):
    image = Image.fromarray((GREY > 127).astype(np.uint8) * 255).convert(mode)
    assert np.array_equal(read(encoded(image, "PNG")).pixels, (GREY > 127) * np.uint8(255))


def test_a_palette_is_looked_up():
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putdata([0, 1, 2])
    image.putpalette([200, 200, 200, 10, 10, 10, 90, 90, 90])
    assert read(encoded(image, "PNG")).pixels.tolist() == [[200, 10, 90]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "I;16"])
def test_what_is_transparent_is_black(mode):
    options = {}
    if mode == "P":
        image = Image.fromarray(np.full((2, 2), 1, np.uint8)).convert("P")
        image.putpalette([0, 0, 0, 250, 250, 250])
        options = {"transparency": bytes([255, 0])}
    elif mode in ("L", "I;16"):
        image, options = Image.new(mode, (2, 2), 250), {"transparency": 250}
    else:
        image = Image.new("L", (2, 2), 250).convert(mode)
        image.putalpha(0)
    assert (read(encoded(image, "PNG", **options)).pixels == 0).all()


def test_a_cmyk_jpeg_becomes_grey():
    image = Image.new("L", (16, 16), 180).convert("RGB").convert("CMYK")
    film = read(encoded(image, "JPEG"))  # Pillow writes it inverted, with Adobe's marker
    assert film.pixels.shape == (16, 16)
    assert abs(film.pixels.astype(int) - 180).max() <= 3
    assert film.metadata.photometric == "CMYK"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF"])
def test_the_exif_orientation_is_applied(orientation, file_format):
    exif = Image.Exif()
    exif[274] = orientation
    content = encoded(GREY, file_format, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert np.array_equal(read(content).pixels, np.asarray(upright))
    assert read(content).grid.height == upright.height


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_tiff_bits_byte_order_and_white_is_zero(order, photometric):
    kinds = {
        8: (GREY.tobytes(), GREY, 255),
        16: (DEEP.astype(order + "u2").tobytes(), DEEP, 65535),
        12: (_packed_12(DEEP >> 4), DEEP >> 4, 4095),
    }
    for bits, (content, values, top) in kinds.items():
        if (bits, order) == (12, ">"):
            continue  # Pillow does not know it; refused, see below
        film = read(tiff(content, bits, photometric, order))
        shown = values.astype(int) if photometric else top - values.astype(int)
        assert np.array_equal(film.pixels, shown * 255 // top), bits
        assert film.metadata.inverted == (photometric == 0)
        assert film.metadata.bits == bits


def _packed_12(values):
    bits = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(-1, 2), axis=1)[:, 4:]
    return np.packbits(bits).tobytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff(_packed_12(DEEP >> 4), 12, order=">"), "unsupported-pixels"),
        (tiff(DEEP.tobytes(), 16, t339=2), "unsupported-pixels"),  # signed
        (tiff(bytes(24 * 36 * 4), 32, t339=3), "unsupported-pixels"),  # floating point
        (tiff(bytes(24 * 36 * 4), 32), "unsupported-pixels"),
        (tiff(GREY.tobytes(), 8, t259=34712), "unsupported-format"),  # JPEG 2000 in TIFF
    ],
)
def test_tiff_pixels_without_a_grey_scale_are_refused(content, reason):
    with pytest.raises(ImageError) as caught:
        read(content)
    assert caught.value.reason == reason


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate"])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_compressions_and_bigtiff(compression, big):
    for pixels in (GREY, DEEP):
        content = encoded(pixels, "TIFF", compression=compression, big_tiff=big)
        assert np.array_equal(read(content).pixels, pixels if pixels is GREY else pixels // 257)


def test_a_tiff_of_several_pages_needs_a_frame():
    pages = [Image.fromarray(GREY + np.uint8(step)) for step in range(3)]
    content = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(ImageError, match="holds 3 images") as caught:
        read(content)
    assert caught.value.reason == "multi-frame"
    for frame in range(3):
        for policy in ("standard", "carzero"):
            film = read(content, ReadOptions(frame=frame, policy=policy))
            assert np.array_equal(film.pixels, GREY + np.uint8(frame))
            assert film.metadata.frames == 3
    for frame in (3, -1):
        with pytest.raises(ImageError) as caught:
            read(content, ReadOptions(frame=frame))
        assert caught.value.reason == "no-such-frame"


def test_an_animated_png_gives_its_first_image_when_asked():
    content = encoded(GREY, "PNG", save_all=True, append_images=[Image.fromarray(GREY[::-1].copy())])
    with pytest.raises(ImageError) as caught:
        read(content)
    assert caught.value.reason == "multi-frame"
    assert np.array_equal(read(content, ReadOptions(frame=0)).pixels, GREY)


def kinds_of_file():
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[274] = orientation
        for name, image in (("grey", GREY), ("colour", COLOUR)):
            yield f"png-{name}-{orientation}", encoded(image, "PNG", exif=exif)
            yield f"jpeg-{name}-{orientation}", encoded(image, "JPEG", exif=exif)
            if orientation < 5:  # OpenCV 5 cannot read the others itself
                yield f"tiff-{name}-{orientation}", encoded(image, "TIFF", exif=exif)
    for mode in ("1", "P", "LA", "RGBA", "RGB", "CMYK"):
        image = Image.fromarray(COLOUR if mode in ("P", "RGB", "RGBA", "CMYK") else GREY).convert(mode)
        if mode in ("LA", "RGBA"):
            image.putalpha(Image.fromarray(GREY[::-1].copy()))
        for file_format in {"CMYK": ("JPEG", "TIFF"), "LA": ("PNG", "TIFF")}.get(
            mode, ("PNG", "TIFF", "BMP")
        ):
            yield f"{file_format}-{mode}", encoded(image, file_format)
    yield "png-16", encoded(DEEP, "PNG")
    yield "png-16-transparent", encoded(DEEP, "PNG", transparency=int(DEEP[0, 0]))
    yield "tiff-16", encoded(DEEP, "TIFF")
    yield "tiff-white-is-zero", tiff(GREY.tobytes(), 8, 0)
    yield "png-48", cv2.imencode(".png", RNG.integers(0, 65536, (24, 36, 3), np.uint16))[1].tobytes()
    yield "jpeg-progressive", encoded(GREY, "JPEG", progressive=True)
    yield "jpeg-colour-progressive-444", encoded(COLOUR, "JPEG", progressive=True, subsampling=0)
    yield "jpeg-rgb", encoded(COLOUR, "JPEG", keep_rgb=True)
    yield "jpeg-restart", encoded(np.tile(GREY, (5, 5)), "JPEG", restart_marker_blocks=3)
    yield "jpeg-odd", encoded(GREY[:1, :1], "JPEG")


@pytest.mark.parametrize(("kind", "content"), list(kinds_of_file()))
def test_the_policy_carzero_is_opencv_bit_by_bit(tmp_path, kind, content):
    (tmp_path / "film").write_bytes(content)
    expected = cv2.imread(str(tmp_path / "film"), cv2.IMREAD_GRAYSCALE)
    assert expected is not None, kind
    film = read(content, CARZERO)
    assert film.pixels.dtype == expected.dtype == np.uint8
    assert np.array_equal(film.pixels, expected)
    assert film.metadata.grey == "as OpenCV reads it"
    # Other policies differ from OpenCV by the rounding of luma, transparency and depth, never in shape.
    assert read(content).pixels.shape == expected.shape


def test_real_films_are_read_as_opencv_and_pillow_read_them():
    folder = Path(__file__).parents[3] / "shared" / "data" / "nih_chestxray14" / "images"
    films = sorted(folder.rglob("*.*"))[:20]
    if not films:
        pytest.skip("no real films beside this checkout (../shared/data)")
    for path in films:
        assert np.array_equal(read(path, CARZERO).pixels, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        assert np.array_equal(read(path).pixels, np.asarray(Image.open(path).convert("L")))


def test_a_setting_of_pillow_that_lets_half_files_pass_is_refused(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ConfigError, match="LOAD_TRUNCATED_IMAGES"):
        read(encoded(GREY, "PNG"))


def test_the_global_limit_of_pillow_plays_no_part(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read(encoded(GREY, "PNG")).pixels.shape == GREY.shape
