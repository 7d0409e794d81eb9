import numpy as np
import pytest

from offclip.errors import ImageError
from offclip.images import read
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.raw_img import SIDE, is_jsrt, read_jsrt
from offclip.images.reasons import Reason


def density() -> np.ndarray:
    """Bright lungs on the right half, as in a raw film; rows differ from columns."""
    film = np.zeros((SIDE, SIDE), np.uint16)
    film[:, SIDE // 2 :] = 4000
    film[0, 0], film[0, 1] = 4095, 1
    return film


def raw(film: np.ndarray) -> bytes:
    return film.astype(">u2").tobytes()


def test_only_name_and_size_tell():
    assert is_jsrt("JPCLN001.IMG", 8_388_608)
    assert is_jsrt("a/jpcnn093.img", 8_388_608)
    assert not is_jsrt("JPCLN001.IMG", 8_388_607)
    assert not is_jsrt("JPCLN001.png", 8_388_608)


def test_bone_is_white_and_the_scale_is_fixed():
    film = read_jsrt(raw(density()), ReadOptions(), "JPCLN001.IMG")
    assert film.pixels.shape == (2048, 2048)
    assert film.pixels.dtype == np.uint8
    assert (film.pixels[0, 0], film.pixels[0, 1], film.pixels[1, 0]) == (0, 255, 255)
    assert film.pixels[5, 2000] == round(255 * (1 - 4000 / 4095))
    assert film.grid.spacing_mm == (0.175, 0.175)
    metadata = film.metadata
    assert (metadata.format, metadata.bits, metadata.inverted, metadata.grey) == (
        "JSRT",
        12,
        True,
        "full range",
    )


def test_every_density_keeps_its_place():
    film = np.zeros((SIDE, SIDE), np.uint16)
    film.flat[:4096] = np.arange(4096)
    pixels = read_jsrt(raw(film), ReadOptions("full-range"), "a.img").pixels.flat[:4096].astype(int)
    expected = np.round(255 * (1 - np.arange(4096) / 4095))
    assert np.array_equal(pixels, expected)


def test_other_policies():
    narrow = np.clip(density(), 1000, 2000)
    narrow[0, :3] = (0, 4095, 1500)
    robust = read_jsrt(raw(narrow), ReadOptions("percentile"), "a.img")
    assert robust.metadata.grey == "percentile"
    assert (robust.pixels[1, 0], robust.pixels[1, 2000], robust.pixels[0, 1]) == (255, 0, 0)
    assert robust.pixels[0, 2] == 128
    peers = read_jsrt(raw(np.minimum(narrow, 2000)), ReadOptions("carzero"), "a.img")
    assert not peers.metadata.inverted
    assert (peers.pixels[1, 2000], peers.pixels[0, 2]) == (255, int(1500 / 2000 * 255))
    flat = read_jsrt(bytes(SIDE * SIDE * 2), ReadOptions("carzero"), "a.img")
    assert not flat.pixels.any()


@pytest.mark.parametrize(
    ("data", "limits", "reason"),
    [
        (bytes(100), Limits(), Reason.TRUNCATED),
        (bytes(SIDE * SIDE * 2 + 2), Limits(), Reason.NOT_AN_IMAGE),
        (bytes(SIDE * SIDE * 2), Limits(max_pixels=4_000_000), Reason.TOO_MANY_PIXELS),
        (bytes(SIDE * SIDE * 2), Limits(max_file_bytes=1000), Reason.FILE_TOO_LARGE),
        (b"\x20\x00" * SIDE * SIDE, Limits(), Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_refusals(data, limits, reason):
    with pytest.raises(ImageError) as refused:
        read_jsrt(data, ReadOptions(limits=limits), "JPCLN001.IMG")
    assert refused.value.reason == reason
    assert "JPCLN001.IMG" in str(refused.value)


def test_read_knows_raw_films_by_name_and_size(tmp_path):
    path = tmp_path / "JPCLN001.IMG"
    path.write_bytes(np.full((2048, 2048), 100, ">u2").tobytes())
    assert read(path).metadata.format == "JSRT"
    with pytest.raises(ImageError) as refused:
        read(path.rename(tmp_path / "JPCLN001.bin"))
    assert refused.value.reason == "not-an-image"
