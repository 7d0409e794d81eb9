from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dicom_files import NATIVE, UIDS, Stored, film, pattern, stored
from offclip.errors import ImageError
from offclip.images.dicom.decode import decode_frame
from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.dicom.stored import rgb_from_ybr

SHAPE = (43, 37)


def _decoded(pixels: Stored, frame: int = 0) -> np.ndarray:
    return decode_frame(pixels.header, pixels.pixel_data, frame, "film.dcm")


def _reason(header: PixelHeader, pixel_data: bytes, frame: int = 0) -> str:
    with pytest.raises(ImageError) as error:
        decode_frame(header, pixel_data, frame, "film.dcm")
    return error.value.reason


def _same(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.dtype == expected.dtype and np.array_equal(found, expected)


@pytest.mark.parametrize("syntax", NATIVE)
def test_colour_by_plane(syntax):
    values = pattern((*SHAPE, 3), 8)
    assert _same(_decoded(stored(values, syntax, planar=1)), values)


@pytest.mark.parametrize("interleave", [0, 1, 2])
def test_colour_of_jpeg_ls_in_each_order(interleave):
    values = pattern((*SHAPE, 3), 8)
    assert _same(_decoded(stored(values, "jpeg-ls", interleave=interleave)), values)


def test_ybr_becomes_rgb():
    rgb = pattern((*SHAPE, 3), 8)
    ybr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    assert np.abs(rgb_from_ybr(ybr, 8).astype(int) - rgb).max() <= 3
    for syntax in ("explicit", "rle", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "big-endian"):
        codec = {"photometric_interpretation": 0, "use_mct": False} if syntax == "jpeg-2000" else {}
        found = _decoded(stored(ybr, syntax, photometric="YBR_FULL", **codec))
        assert _same(found, rgb_from_ybr(ybr, 8))


def test_shared_colour_samples():
    pairs = np.array([[[10, 200, 90, 160], [30, 40, 128, 128]]], np.uint8)
    header = PixelHeader(UIDS["explicit"], 1, 4, 3, 8, 8, 7, photometric="YBR_FULL_422")
    ybr = np.array([[[10, 90, 160], [200, 90, 160], [30, 128, 128], [40, 128, 128]]], np.uint8)
    assert _same(decode_frame(header, pairs.tobytes(), 0, "x"), rgb_from_ybr(ybr, 8))
    odd = replace(header, columns=3)
    assert _reason(odd, bytes(6)) == "unsupported-pixels"
    assert _reason(replace(header, photometric="YBR_PARTIAL_422"), bytes(8)) == "unsupported-pixels"


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_colour_of_jpeg_is_what_the_codestream_says(photometric):
    rgb = np.dstack([film(SHAPE, 8, seed) for seed in range(3)])
    pixels = stored(rgb, "jpeg", photometric=photometric, subsampling=0)  # Pillow writes JFIF
    reference = np.asarray(Image.open(BytesIO(pixels.codestreams[0])))
    assert np.abs(_decoded(pixels).astype(int) - reference).max() <= 2


def test_colour_transforms_of_jpeg_2000_are_undone():
    rgb = pattern((*SHAPE, 3), 8)
    assert _same(_decoded(stored(rgb, "jpeg-2000", photometric="YBR_RCT")), rgb)
    smooth = np.dstack([film(SHAPE, 8, seed) for seed in range(3)])
    found = _decoded(stored(smooth, "jpeg-2000-lossy", photometric="YBR_ICT", ratio=3))
    assert np.abs(found.astype(int) - smooth).mean() < 3
