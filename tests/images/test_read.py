"""Reading image files: every kind of pixel, and every way to be no image."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from offclip.errors import ImageError
from offclip.images.limits import Limits
from offclip.images.read import read_image

GREY = np.random.default_rng(0).integers(0, 256, (24, 36), np.uint8)


@pytest.fixture
def saved(tmp_path):
    def save(image: Image.Image, name: str, **options):
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_8_bit_grey_comes_back_exactly(saved, name):
    read = read_image(saved(Image.fromarray(GREY), name))
    assert read.dtype == np.uint8
    assert np.array_equal(read, GREY)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_is_scaled_by_its_full_range_and_not_by_its_own(saved, name):
    deep = GREY.astype(np.uint16) * 257
    assert np.array_equal(read_image(saved(Image.fromarray(deep), name)), GREY)
    dark = np.full((4, 4), 2570, np.uint16)
    assert (read_image(saved(Image.fromarray(dark), name)) == 10).all()


def test_the_name_does_not_decide_the_format(saved, tmp_path):
    saved(Image.fromarray(GREY), "a.png").rename(tmp_path / "film.jpg")
    assert np.array_equal(read_image(tmp_path / "film.jpg"), GREY)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_other_modes_become_their_grey_value(saved, mode):
    image = Image.fromarray((GREY > 127).astype(np.uint8) * 255).convert(mode)
    assert np.array_equal(read_image(saved(image, "a.png")), (GREY > 127) * np.uint8(255))


def test_a_palette_is_looked_up(saved):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), mode=None).convert("P")
    image.putdata([0, 1, 2])
    image.putpalette([200, 200, 200, 10, 10, 10, 90, 90, 90])
    assert read_image(saved(image, "a.png")).tolist() == [[200, 10, 90]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_black(saved, mode):
    if mode == "P":
        image = Image.fromarray(np.full((2, 2), 1, np.uint8)).convert("P")
        image.putpalette([0, 0, 0, 250, 250, 250])
        path = saved(image, "a.png", transparency=bytes([255, 0]))
    else:
        image = Image.new("L", (2, 2), 250).convert(mode)
        image.putalpha(0)
        path = saved(image, "a.png")
    assert (read_image(path) == 0).all()


def test_a_cmyk_jpeg_becomes_grey(saved):
    image = Image.new("L", (16, 16), 180).convert("RGB").convert("CMYK")
    read = read_image(saved(image, "a.jpg"))
    assert read.shape == (16, 16)
    assert abs(read.astype(int) - 180).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(saved, orientation):
    upright = np.zeros((20, 32), np.uint8)
    upright[:8, :8] = 250
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # PIL's transpositions that bring `upright` there
    image = Image.fromarray(upright)
    if orientation > 1:
        image = image.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[274] = orientation
    read = read_image(saved(image, "a.png", exif=exif))
    assert np.array_equal(read, upright)


def test_floating_point_pixels_are_refused(saved):
    with pytest.raises(ImageError, match=r"a\.tif: floating-point") as caught:
        read_image(saved(Image.fromarray(GREY.astype(np.float32)), "a.tif"))
    assert "8 or 16 bits" in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"FINDINGS: The lungs are clear.", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "decoded|not an image"),
        (b"GIF89a" + bytes(30), "not an image"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, content, message):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        read_image(tmp_path / "a.png")
    assert str(tmp_path / "a.png") in caught.value.message
    assert caught.value.remedy


def test_missing_files_folders_and_impossible_names(tmp_path):
    for path, message in (
        (tmp_path / "none.png", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / ("a" * 300), "cannot be opened"),
        ("a\0b.png", "cannot be opened"),
    ):
        with pytest.raises(ImageError, match=message):
            read_image(path)


def test_limits_hold_before_anything_is_decoded(saved, tmp_path):
    path = saved(Image.fromarray(GREY), "a.png")
    with pytest.raises(ImageError, match="36 x 24 pixels are more than 863"):
        read_image(path, Limits(max_pixels=863))
    read_image(path, Limits(max_pixels=864))
    with pytest.raises(ImageError, match="bytes are more than 100"):
        read_image(path, Limits(max_file_bytes=100))


@pytest.mark.parametrize("side", [9_000, 10_000, 60_000])
def test_a_bomb_is_refused_by_its_header(tmp_path, side):
    header = b"BM" + (54).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + side.to_bytes(4, "little") * 2 + b"\1\0\x18\0" + bytes(24)
    (tmp_path / "bomb.bmp").write_bytes(header)
    with pytest.raises(ImageError, match=r"pixels.* than 64,000,000"):
        read_image(tmp_path / "bomb.bmp")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's about broken metadata
@pytest.mark.parametrize(
    ("file_format", "mode"), [("PNG", "L"), ("PNG", "P"), ("JPEG", "RGB"), ("TIFF", "L"), ("BMP", "L")]
)
def test_damaged_files_are_read_or_refused_but_never_crash(tmp_path, file_format, mode):
    buffer = io.BytesIO()
    Image.fromarray(GREY).convert(mode).save(buffer, file_format)
    rng, refused = random.Random(0), 0
    for _ in range(150):
        content = bytearray(buffer.getvalue())
        for _ in range(rng.choice((1, 3))):
            content[rng.randrange(min(len(content), rng.choice((60, 10_000))))] = rng.randrange(256)
        content = content[: rng.randrange(1, len(content))] if rng.random() < 0.3 else content
        (tmp_path / "a").write_bytes(content)
        try:
            assert read_image(tmp_path / "a", Limits(max_pixels=10_000)).ndim == 2
        except ImageError:
            refused += 1
    assert refused > 10
