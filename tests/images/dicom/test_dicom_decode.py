import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dicom_files import (
    HTJ2K,
    LOSSLESS,
    NATIVE,
    UIDS,
    Stored,
    codestream,
    encapsulate,
    film,
    item,
    pattern,
    stored,
)
from offclip.errors import ImageError
from offclip.images.dicom.decode import decode_frame
from offclip.images.dicom.pixel_header import PixelHeader

SHAPE = (43, 37)
DEPTHS = (2, 7, 8, 10, 12, 14, 16, 32)
COMPRESSED = {
    "rle": 12,
    "jpeg": 8,
    "jpeg-lossless": 12,
    "jpeg-lossless-57": 12,
    "jpeg-ls": 12,
    "jpeg-2000": 12,
    "htj2k": 12,
}


def _decoded(pixels: Stored, frame: int = 0) -> np.ndarray:
    return decode_frame(pixels.header, pixels.pixel_data, frame, "film.dcm")


def _reason(header: PixelHeader, pixel_data: bytes, frame: int = 0) -> str:
    with pytest.raises(ImageError) as error:
        decode_frame(header, pixel_data, frame, "film.dcm")
    return error.value.reason


def _same(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.dtype == expected.dtype and np.array_equal(found, expected)


def _shape(syntax: str) -> tuple[int, int]:
    return (24, 20) if syntax in HTJ2K else SHAPE


def _cases() -> list[tuple[str, int, bool, bool]]:
    """Syntax, bits, sign and colour, as far as the codec and its encoder go."""
    cases = []
    for syntax in LOSSLESS:
        deepest = 32 if syntax in (*NATIVE, "rle") else 16
        every = [
            (bits, signed, colour) for bits in DEPTHS for signed in (False, True) for colour in (False, True)
        ]
        if syntax in HTJ2K:
            every = [
                (8, False, False),
                (8, False, True),
                (12, False, False),
                (16, False, False),
                (16, True, False),
            ]
        cases += [(syntax, *case) for case in every if case[0] <= deepest]
    return cases


@pytest.mark.parametrize(("syntax", "bits", "signed", "colour"), _cases())
def test_lossless_syntaxes_give_back_what_was_stored(syntax, bits, signed, colour):
    shape = _shape(syntax)
    values = pattern((*shape, 3) if colour else shape, bits, signed)
    assert _same(_decoded(stored(values, syntax, bits)), values)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossy_syntaxes_come_near(bits):
    values = film(SHAPE, bits)
    full = (1 << bits) - 1
    for syntax, most in (("jpeg-ls-near", 2), ("jpeg-2000-lossy", 0.06 * full), ("jpeg", 12)):
        if syntax == "jpeg" and bits > 8:
            continue
        found = _decoded(stored(values, syntax, bits))
        assert found.dtype == values.dtype
        assert 0 < np.abs(found.astype(int) - values.astype(int)).max() <= most


def test_lossy_htj2k_comes_near():
    values = pattern((24, 20), 16) // 64 * 64
    found = _decoded(stored(values, "htj2k-lossy", 16))
    assert 0 < np.abs(found.astype(int) - values.astype(int)).max() < 200


def test_baseline_is_what_pillow_decodes():
    pixels = stored(film(SHAPE, 8), "jpeg", 8, quality=60)
    assert np.array_equal(_decoded(pixels), np.asarray(Image.open(BytesIO(pixels.codestreams[0]))))


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_each_predictor_of_lossless_jpeg(predictor, bits):
    values = pattern(SHAPE, bits)
    pixels = stored(values, "jpeg-lossless-57", bits, predictor=predictor, restart_rows=5)
    assert _same(_decoded(pixels), values)


def _gdcm_lossless(values: np.ndarray, bits: int) -> bytes:
    gdcm = pytest.importorskip("gdcm")
    writer = gdcm.ImageWriter()
    image = writer.GetImage()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((values.shape[1], values.shape[0], 1))
    grey = gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2)
    image.SetPhotometricInterpretation(grey)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ImplicitVRLittleEndian))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, int(values.dtype.kind == "i")))
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetByteStringValue(values.tobytes())
    image.SetDataElement(element)
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(image)
    assert change.Change()
    encoded = change.GetOutput().GetDataElement().GetSequenceOfFragments().GetFragment(0).GetByteValue()
    return encoded.GetBuffer().encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("signed", [False, True])
def test_the_whole_word_may_be_encoded_as_gdcm_and_dcmtk_do(signed):
    """12 bits stored, 16 in the codestream: right, as long as no value needs more than 12."""
    values = pattern(SHAPE, 12, signed)
    header = stored(values, "jpeg-lossless", 12).header
    assert _same(decode_frame(header, encapsulate([_gdcm_lossless(values, 12)]), 0, "x"), values)
    words = values.view(np.uint16)
    for syntax in ("jpeg-lossless", "jpeg-ls"):
        data = encapsulate([codestream(words, syntax, 16)])
        as_stored = replace(header, transfer_syntax=UIDS[syntax])
        assert _same(decode_frame(as_stored, data, 0, "x"), values)
        assert _reason(replace(as_stored, bits_stored=10, high_bit=9), data) == "contradictory"


@pytest.mark.parametrize("syntax", ["explicit", "big-endian", "rle"])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_that_are_not_stored_are_cleared(syntax, signed):
    values = pattern(SHAPE, 12, signed)
    words = values.view(np.uint16) & 0x0FFF
    for dirt, high_bit in ((words | 0xA000, 11), (words << 4, 15), ((words << 3) | 0x8005, 14)):
        pixels = stored(dirt.astype(np.uint16), syntax, 16)
        header = replace(pixels.header, bits_stored=12, high_bit=high_bit, signed=signed)
        assert _same(decode_frame(header, pixels.pixel_data, 0, "x"), values)


def test_native_pixels_are_not_copied():
    pixels = stored(pattern(SHAPE, 12), "explicit", 12)
    found = _decoded(pixels)
    assert np.shares_memory(found, np.frombuffer(pixels.pixel_data, np.uint16))
    assert not found.flags.writeable


@pytest.mark.parametrize("frames", [1, 3])
def test_single_bits(frames):
    values = np.random.default_rng(0).integers(0, 2, (frames, 5, 7)).astype(np.uint8)
    data = np.packbits(values.ravel(), bitorder="little").tobytes()
    header = PixelHeader(UIDS["explicit"], 5, 7, 1, 1, 1, 0, frames=frames)
    for frame in range(frames):
        assert _same(decode_frame(header, data, frame, "x"), values[frame])
    assert _reason(header, data[:-1]) == "truncated"


@pytest.mark.parametrize("syntax", [*NATIVE, "rle", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "jpeg"])
def test_frames_are_told_apart(syntax):
    bits = 8 if syntax == "jpeg" else 12
    stack = np.stack([film(SHAPE, bits, seed) for seed in range(3)])
    for fragments, table in ((1, True), (1, False), (3, True), (3, False)):
        if syntax == "rle" and not table and fragments > 1:
            continue
        pixels = stored(stack, syntax, bits, frames=3, fragments=fragments, table=table)
        for frame in range(3):
            found = _decoded(pixels, frame)
            error = np.abs(found.astype(int) - stack[frame].astype(int)).max()
            assert error <= (12 if syntax == "jpeg" else 0)
    assert _reason(pixels.header, pixels.pixel_data, 3) == "no-such-frame"
    assert _reason(pixels.header, pixels.pixel_data, -1) == "no-such-frame"
    # A header that denies two of the frames.
    assert _reason(replace(pixels.header, frames=1), pixels.pixel_data) in ("contradictory", "damaged")


def test_a_jp2_wrapper_is_no_obstacle():
    values = pattern(SHAPE, 12)
    assert _same(_decoded(stored(values, "jpeg-2000", 12, codec_format=1)), values)


@pytest.mark.parametrize(("syntax", "bits"), COMPRESSED.items())
def test_headers_that_lie_are_refused_before_decoding(syntax, bits, monkeypatch):
    pixels = stored(pattern(_shape(syntax), bits), syntax, bits)
    header = pixels.header

    def never(*_):
        raise AssertionError("a decoder was called")

    for decoder in ("decode_jpeg", "decode_jpeg_ls", "decode_jpeg2000"):
        monkeypatch.setattr(f"offclip.images.dicom.decode.{decoder}", never)
    lies = [
        {"rows": header.rows + 1},
        {"rows": header.rows * 2},
        {"columns": header.columns - 1},
        {"rows": header.columns, "columns": header.rows + 1},
        {"rows": 65535, "columns": 65535},
        {"samples": 3, "photometric": "RGB"},
    ]
    if syntax != "rle":
        lies += [
            {"bits_stored": bits - 1, "high_bit": bits - 2},
            {"bits_allocated": 32, "bits_stored": 16, "high_bit": 15},
        ]
    if syntax in ("jpeg-2000", "htj2k"):
        lies.append({"signed": True})
    for lie in lies:
        assert _reason(replace(header, **lie), pixels.pixel_data) in ("contradictory", "truncated", "damaged")


@pytest.mark.parametrize(("syntax", "bits"), COMPRESSED.items())
def test_codestreams_that_lie_are_refused(syntax, bits):
    """The other side: the header is right and the codestream claims 65535 x 65535 pixels."""
    pixels = stored(pattern(_shape(syntax), bits), syntax, bits)
    data = bytearray(pixels.codestreams[0])
    if syntax == "rle":
        data[0] = 15
    elif syntax in ("jpeg-2000", "htj2k"):
        data[8:16] = b"\0\0\xff\xff" * 2
    else:
        at = next(i for i in range(len(data)) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC3, 0xF7))
        data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    assert _reason(pixels.header, encapsulate([bytes(data)])) in ("contradictory", "truncated", "damaged")


@pytest.mark.parametrize(("syntax", "bits"), COMPRESSED.items())
@pytest.mark.parametrize("closed", [False, True])
def test_half_a_codestream_is_refused(syntax, bits, closed):
    """Known to be accepted by the usual readers; with the end marker put back all headers are right."""
    values = pattern((24, 20), 12) if syntax in HTJ2K else film((80, 64), bits)
    pixels = stored(values, syntax, bits)
    data = pixels.codestreams[0].rstrip(b"\0")
    ends = b"\xff\xd9" if closed else b""
    for share in (0.3, 0.5, 0.7, 0.9, 0.97):
        cut = data[: int(len(data) * share)].rstrip(b"\xff") + ends
        assert _reason(pixels.header, encapsulate([cut])) in ("truncated", "damaged")
    if syntax not in ("rle", "htj2k", "jpeg-2000"):
        short = data[:-6].rstrip(b"\xff") + b"\xff\xd9"  # but for the last four bytes it is all there
        assert _reason(pixels.header, encapsulate([short])) in ("truncated", "damaged")


@pytest.mark.parametrize("syntax", ["jpeg-2000", "htj2k"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_half_a_tile_that_says_so_is_refused(syntax, share):
    """Size of the tile-part and end marker are right again: only the decoder can notice it."""
    pixels = stored(pattern(_shape(syntax), 12), syntax, 12)
    data = pixels.codestreams[0]
    at = data.index(b"\xff\x90\0\x0a")
    size = int(int.from_bytes(data[at + 6 : at + 10], "big") * share)
    cut = data[: at + 6] + size.to_bytes(4, "big") + data[at + 10 : at + size] + b"\xff\xd9"
    assert _reason(pixels.header, encapsulate([cut])) == "damaged"


def test_a_restart_interval_of_lossless_jpeg_that_ends_early_is_refused():
    pixels = stored(pattern((40, 37), 12), "jpeg-lossless", 12, restart_rows=8)
    data = pixels.codestreams[0]
    marker = data.index(b"\xff\xd1")
    for missing in (2, 9, 60):
        cut = data[: marker - missing].rstrip(b"\xff") + data[marker:]
        assert _reason(pixels.header, encapsulate([cut])) == "truncated"


@pytest.mark.parametrize(("syntax", "bits"), COMPRESSED.items())
def test_a_single_frame_takes_all_fragments(syntax, bits):
    whole = stored(pattern(_shape(syntax), bits), syntax, bits)
    for table in (True, False):
        parts = stored(pattern(_shape(syntax), bits), syntax, bits, fragments=4, table=table)
        assert _same(_decoded(parts), _decoded(whole))


def test_threads_do_not_disturb_each_other(capfd):
    values = film((80, 64), 8)
    good = stored(values, "jpeg")
    bad = encapsulate([good.codestreams[0][:900] + b"\xff\xd9"])
    expected = _decoded(good)

    def decode(number: int) -> bool:
        if number % 2:
            return _reason(good.header, bad) == "truncated"
        return np.array_equal(_decoded(good), expected)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(decode, range(60)))
    assert capfd.readouterr().err == ""


def test_what_libjpeg_only_warns_of_is_refused(capfd):
    values = film((80, 64), 8)
    pixels = stored(values, "jpeg", restart_marker_rows=1)
    assert np.abs(_decoded(pixels).astype(int) - values).max() <= 12
    data = pixels.codestreams[0]
    marker = data.index(b"\xff\xd3")
    inside = data[: marker - 6] + data[marker:]  # an interval in the middle ends early
    assert _reason(pixels.header, encapsulate([inside])) == "truncated"
    more = data[:-2] + bytes(20) + data[-2:]
    assert _reason(pixels.header, encapsulate([more])) == "damaged"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("syntax", NATIVE)
def test_native_lengths_are_checked(syntax):
    pixels = stored(pattern(SHAPE, 12), syntax, 12)
    assert _reason(pixels.header, pixels.pixel_data[:-2]) == "truncated"
    assert _reason(pixels.header, pixels.pixel_data[: len(pixels.pixel_data) // 2]) == "truncated"
    assert _reason(pixels.header, pixels.pixel_data + bytes(4)) == "contradictory"
    assert _reason(replace(pixels.header, rows=65535, columns=65535), pixels.pixel_data) == "truncated"


@pytest.mark.parametrize(
    ("syntax", "package", "module"),
    [
        ("jpeg", "python-gdcm", "gdcm"),
        ("jpeg-lossless", "python-gdcm", "gdcm"),
        ("jpeg-ls", "pyjpegls", "jpeg_ls"),
        ("jpeg-2000", "pylibjpeg-openjpeg", "openjpeg.utils"),
        ("htj2k", "pylibjpeg-openjpeg", "openjpeg.utils"),
    ],
)
def test_a_missing_decoder_is_named(syntax, package, module, monkeypatch):
    pixels = stored(pattern(_shape(syntax), 8), syntax)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImageError, match=package) as error:
        _decoded(pixels)
    assert error.value.reason == "decoder-not-installed"
    assert "offclip[dicom]" in error.value.remedy


def test_an_empty_fragment_is_refused():
    for syntax, bits in COMPRESSED.items():
        header = stored(pattern(_shape(syntax), bits), syntax, bits).header
        assert _reason(header, encapsulate([b"\0\0"])) in ("truncated", "damaged")
        assert _reason(header, item(b"")) == "truncated"


def test_another_transfer_syntax_is_refused():
    header = replace(stored(pattern(SHAPE, 8)).header, transfer_syntax="1.2.840.10008.1.2.4.100")
    assert _reason(header, encapsulate([b"\0\0"])) == "unsupported-transfer-syntax"
