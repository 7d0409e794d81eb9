import struct
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_files import HTJ2K, UIDS, codestream, pattern, rle, stored
from offclip.errors import ImageError
from offclip.images.dicom.jpeg2000_stream import bare_codestream, read_jpeg2000
from offclip.images.dicom.jpeg_stream import read_jpeg
from offclip.images.dicom.native_messages import native_messages
from offclip.images.dicom.rle import rle_words, unpack_bits
from offclip.images.dicom.syntaxes import SYNTAXES, syntax_of

ROWS, COLUMNS = 40, 33
RUN = st.tuples(st.integers(0, 255), st.integers(1, 300))


def _syntax(name: str):
    return SYNTAXES[UIDS[name]]


def _stream(name: str, bits: int = 8, **codec) -> bytes:
    shape = (24, 20) if name in HTJ2K else (ROWS, COLUMNS)
    return codestream(pattern(shape, bits), name, bits, **codec)


def _read(name: str, data: bytes):
    read = read_jpeg2000 if "2000" in name or name in HTJ2K else read_jpeg
    return read(data, _syntax(name), "film.dcm")


def _reason(name: str, data: bytes) -> str:
    with pytest.raises(ImageError) as error:
        _read(name, data)
    return error.value.reason


CODECS = {
    "jpeg": 8,
    "jpeg-lossless": 12,
    "jpeg-lossless-57": 14,
    "jpeg-ls": 10,
    "jpeg-ls-near": 12,
    "jpeg-2000": 12,
    "jpeg-2000-lossy": 12,
    "htj2k": 12,
}


@pytest.mark.parametrize(("name", "bits"), CODECS.items())
def test_the_header_of_a_codestream_is_read(name, bits):
    stream = _read(name, _stream(name, bits) + b"\0")
    size = (24, 20) if name == "htj2k" else (ROWS, COLUMNS)
    assert (stream.rows, stream.columns, stream.components, stream.precision) == (*size, 1, bits)


@pytest.mark.parametrize(("name", "bits"), CODECS.items())
def test_every_cut_is_refused_before_a_decoder_sees_it(name, bits):
    data = _stream(name, bits).rstrip(b"\0")
    steps = {*range(0, len(data), max(1, len(data) // 150)), len(data) - 1, len(data) - 2}
    for cut in sorted(steps):
        assert _reason(name, data[:cut]) in ("truncated", "damaged")
    assert _reason(name, data[: len(data) // 2]) == "truncated"
    assert _reason(name, data + b"more") == "damaged"
    assert _read(name, data + b"\xff") == _read(name, data)


@pytest.mark.parametrize("name", ["jpeg", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "htj2k"])
@pytest.mark.parametrize("other", ["jpeg", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "htj2k"])
def test_a_codestream_of_another_syntax_is_refused(name, other):
    if name != other:
        assert _reason(name, _stream(other)) in ("contradictory", "damaged")


def _frame_header(data: bytes) -> int:
    return next(i for i in range(len(data)) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC1, 0xC3, 0xF7))


def test_twelve_bit_extended_jpeg_is_refused_with_what_to_do():
    data = bytearray(_stream("jpeg"))
    at = _frame_header(data)
    data[at + 1], data[at + 4] = 0xC1, 12
    with pytest.raises(ImageError, match=r"12-bit extended JPEG.*dcmdjpeg") as error:
        _read("jpeg-extended", bytes(data))
    assert error.value.reason == "unsupported-transfer-syntax"
    data[at + 4] = 8
    assert _read("jpeg-extended", bytes(data)).precision == 8
    assert _reason("jpeg", bytes(data)) == "contradictory"  # SOF1 is not baseline


def test_an_unknown_height_is_refused():
    data = bytearray(_stream("jpeg"))
    at = _frame_header(data)
    data[at + 5 : at + 7] = b"\0\0"
    assert _reason("jpeg", bytes(data)) == "unsupported-pixels"
    assert _reason("jpeg", _stream("jpeg")[:-2] + b"\xff\xdc\0\4\0\x28\xff\xd9") == "unsupported-pixels"


@pytest.mark.parametrize(
    "application", [b"\xff\xe0\0\x10JFIF\0\3" + bytes(8), b"\xff\xee\0\x0eAdobe" + bytes(6) + b"\7"]
)
def test_application_segments_that_make_gdcm_abort_are_refused(application):
    data = _stream("jpeg")
    assert _reason("jpeg", data[:2] + application + data[2:]) == "damaged"


def test_predictors_are_those_of_the_syntax():
    for predictor in range(1, 8):
        data = _stream("jpeg-lossless-57", 12, predictor=predictor)
        assert _read("jpeg-lossless-57", data).precision == 12
        if predictor > 1:
            assert _reason("jpeg-lossless", data) == "contradictory"
    assert _reason("jpeg-lossless-57", _stream("jpeg-lossless-57", 12, selection=9)) == "damaged"


def test_progressive_jpeg_and_several_scans_are_refused():
    assert _reason("jpeg", _stream("jpeg", progressive=True)) == "contradictory"
    data = _stream("jpeg")
    scan = data.index(b"\xff\xda")
    assert _reason("jpeg", data[:-2] + data[scan:]) == "unsupported-pixels"


def test_restart_markers_are_counted():
    data = _stream("jpeg-lossless", 12, restart_rows=4)
    assert _read("jpeg-lossless", data).rows == ROWS
    marker = data.index(b"\xff\xd4")
    assert _reason("jpeg-lossless", data[:marker] + data[marker + 2 :]) == "truncated"
    assert _reason("jpeg-lossless", data[:marker] + b"\xff\xd6" + data[marker + 2 :]) == "damaged"


def test_two_frame_headers_or_none_are_refused():
    data = _stream("jpeg")
    at = _frame_header(data)
    head = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    assert _reason("jpeg", data[:at] + head + data[at:]) == "damaged"
    assert _reason("jpeg", data[:at] + data[at + len(head) :]) == "damaged"


def _with_preset(values: tuple[int, ...]) -> bytes:
    data = _stream("jpeg-ls", 8)
    return data[:2] + struct.pack(">HHB5H", 0xFFF8, 13, 1, *values) + data[2:]


@pytest.mark.parametrize(
    "preset", [(256, 3, 7, 21, 64), (255, 9, 7, 21, 64), (255, 3, 7, 300, 64), (255, 3, 7, 21, 2)]
)
def test_impossible_presets_of_jpeg_ls_are_refused(preset):
    assert _reason("jpeg-ls", _with_preset(preset)) == "damaged"


def test_possible_presets_of_jpeg_ls_are_read():
    assert _read("jpeg-ls", _with_preset((255, 3, 7, 21, 64))).precision == 8
    assert _read("jpeg-ls", _with_preset((0, 0, 0, 0, 0))).precision == 8


def test_mapping_tables_and_other_rarities_of_jpeg_ls_are_refused():
    data = _stream("jpeg-ls", 8)
    table = data[:2] + struct.pack(">HHBBB", 0xFFF8, 6, 2, 1, 1) + b"\0" + data[2:]
    assert _reason("jpeg-ls", table) == "unsupported-pixels"
    transform = data[:2] + b"\xff\xe8\0\7mrfx\1" + data[2:]
    assert _reason("jpeg-ls", transform) == "unsupported-pixels"


def test_near_lossless_is_not_lossless():
    assert _reason("jpeg-ls", _stream("jpeg-ls-near", 8, near=3)) == "contradictory"
    assert _read("jpeg-ls-near", _stream("jpeg-ls", 8)).precision == 8


def test_a_jp2_wrapper_is_taken_off():
    data = _stream("jpeg-2000", 12, codec_format=1)
    assert data[4:8] == b"jP  "
    bare = bare_codestream(data, "x")
    assert bare[:4] == b"\xff\x4f\xff\x51"
    assert _read("jpeg-2000", bare).precision == 12
    with pytest.raises(ImageError) as error:
        bare_codestream(data[: len(data) // 2], "x")
    assert error.value.reason == "truncated"
    with pytest.raises(ImageError) as error:
        bare_codestream(data[:12], "x")
    assert error.value.reason == "damaged"


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def test_sizes_of_jpeg_2000_that_make_no_sense_are_refused():
    data = _stream("jpeg-2000", 12)
    # SIZ: 8 size, 16 offset, 24 tile, 32 offset of the tiles, 40 components, 42 depth, 43 step
    assert _reason("jpeg-2000", _patched(data, 24, struct.pack(">2I", 0, 40))) == "damaged"
    assert _reason("jpeg-2000", _patched(data, 16, struct.pack(">I", 500))) == "damaged"
    assert _reason("jpeg-2000", _patched(data, 8, struct.pack(">4I", 2**31, 2**31, 0, 0))) == "damaged"
    assert _reason("jpeg-2000", _patched(data, 40, struct.pack(">H", 3))) == "damaged"
    assert _reason("jpeg-2000", _patched(data, 43, b"\2\2")) == "unsupported-pixels"
    # A smaller tile promises more tiles than there are.
    assert _reason("jpeg-2000", _patched(data, 24, struct.pack(">2I", 20, 40))) == "truncated"


def test_offsets_of_jpeg_2000_count():
    data = _patched(_stream("jpeg-2000", 12), 16, struct.pack(">2I", 1, 2))
    stream = _read("jpeg-2000", data)
    assert (stream.rows, stream.columns) == (ROWS - 2, COLUMNS - 1)


def test_tile_parts_of_jpeg_2000_are_followed():
    data = _stream("jpeg-2000", 12)
    at = data.index(b"\xff\x90\0\x0a")
    size = int.from_bytes(data[at + 6 : at + 10], "big")
    assert _read("jpeg-2000", _patched(data, at + 6, struct.pack(">I", 0))) == _read("jpeg-2000", data)
    assert _reason("jpeg-2000", _patched(data, at + 6, struct.pack(">I", size * 3))) == "truncated"
    assert _reason("jpeg-2000", _patched(data, at + 6, struct.pack(">I", size - 3))) == "damaged"
    assert _reason("jpeg-2000", _patched(data, at + 6, struct.pack(">I", 5))) == "damaged"
    assert _reason("jpeg-2000", _patched(data, at + 4, struct.pack(">H", 7))) == "damaged"
    assert _reason("jpeg-2000", _patched(data, at + 11, b"\2")) == "truncated"


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(RUN, min_size=1, max_size=12), st.randoms(), st.sampled_from((1, 3, 2**18)))
def test_pack_bits_round_trip(runs, random, block):
    """Against an encoder that chooses at random between runs, literals and the byte that says nothing."""
    plain = b"".join(bytes([value]) * count for value, count in runs)
    packed, at = bytearray(), 0
    while at < len(plain):
        longest = 1
        while at + longest < len(plain) and longest < 128 and plain[at + longest] == plain[at]:
            longest += 1
        if longest > 1 and random.random() < 0.8:
            packed += bytes([257 - longest, plain[at]])
            at += longest
        else:
            count = min(random.randint(1, 128), len(plain) - at)
            packed += bytes([count - 1]) + plain[at : at + count]
            at += count
        if at < len(plain) and random.random() < 0.1:
            packed.append(128)
    with mock.patch("offclip.images.dicom.rle._BLOCK", block):
        _check_pack_bits(bytes(packed), plain)


def _check_pack_bits(packed: bytes, plain: bytes) -> None:
    assert unpack_bits(packed, len(plain), "x").tobytes() == plain
    assert unpack_bits(packed + b"\0", len(plain), "x").tobytes() == plain
    for reason, data, length in (
        ("truncated", packed[:-1], len(plain)),
        ("truncated", packed, len(plain) + 1),
        ("damaged", packed + b"\0\0\0", len(plain)),
    ):
        with pytest.raises(ImageError) as error:
            unpack_bits(data, length, "x")
        assert error.value.reason == reason
    if len(plain) > 130:
        with pytest.raises(ImageError) as error:
            unpack_bits(packed, len(plain) - 129, "x")
        assert error.value.reason == "damaged"


def test_half_of_rle_is_refused():
    values = pattern((40, 33), 16)
    header, data = stored(values, "rle").header, rle(values)
    assert np.array_equal(rle_words(data, header, "x").reshape(40, 33), values)
    offset = struct.unpack_from("<2I", data, 4)[1]
    lies = {
        data[: len(data) // 2]: "truncated",
        data[:63]: "truncated",
        data[:64]: "truncated",
        _patched(data, 0, struct.pack("<I", 1)): "contradictory",
        _patched(data, 4, struct.pack("<I", 66)): "damaged",
        _patched(data, 8, struct.pack("<I", 60)): "damaged",
        _patched(data, 8, struct.pack("<I", len(data))): "truncated",
        _patched(data, 8, struct.pack("<I", offset + 40)): "damaged",
        _patched(data, 12, struct.pack("<I", 9)): "damaged",
    }
    for lie, reason in lies.items():
        with pytest.raises(ImageError) as error:
            rle_words(lie, header, "x")
        assert error.value.reason == reason
    for shape in ({"rows": 80}, {"rows": 65535, "columns": 65535}):
        with pytest.raises(ImageError) as error:
            rle_words(data, replace(header, **shape), "x")
        assert error.value.reason == "truncated"


@pytest.mark.parametrize(
    "uid", ["", "1.2.3", "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.6.1"]
)
def test_other_transfer_syntaxes_are_refused(uid):
    with pytest.raises(ImageError) as error:
        syntax_of(uid, "film.dcm")
    assert error.value.reason == "unsupported-transfer-syntax"


def test_messages_of_others_are_passed_on(capfd):
    import os

    with native_messages("corrupt") as lines:
        os.write(2, b"Corrupt JPEG data: x\nsomething else\n")
    assert lines == ["Corrupt JPEG data: x"]
    assert capfd.readouterr().err == "something else\n"


def test_standard_error_comes_back_after_an_exception(capfd):
    import os

    with pytest.raises(ValueError, match="inside"), native_messages("corrupt"):
        raise ValueError("inside")
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"
