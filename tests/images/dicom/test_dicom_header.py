"""Opening a file: what is accepted, what is refused and why; nothing of pydicom gets out."""

import io
import logging
import struct
import threading
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from film_bytes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, dataset_of, file_of, film_of, gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from offclip.errors import ImageError
from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.header import DicomFile, parse
from offclip.images.dicom.part10 import looks_like_dicom
from offclip.images.dicom.quiet import quiet
from offclip.images.limits import DEFAULT_LIMITS

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
SMALL = film_of(gradient(12, shape=(4, 4)), WindowCenter=[1, 2], WindowWidth=[3, 4], PatientAge="045Y")
JPEG = "1.2.840.10008.1.2.4.50"


def opened(data: bytes | memoryview, **limits) -> DicomFile:
    return parse(data, replace(DEFAULT_LIMITS, **limits), "film.dcm")


def reason_of(data: bytes, **limits) -> str:
    with pytest.raises(ImageError) as error:
        opened(data, **limits)
    assert "Secret" not in str(error.value)
    assert "hidden" not in str(error.value)
    return error.value.reason


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, BIG_ENDIAN])
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (16, True)])
def test_every_native_syntax_gives_header_and_pixels(syntax, bits, signed):
    stored = gradient(bits, signed, (5, 8))
    file = opened(film_of(stored, bits, syntax))
    header = file.pixels
    assert (header.transfer_syntax, header.rows, header.columns, header.frames) == (syntax, 5, 8, 1)
    assert (header.bits_allocated, header.bits_stored, header.high_bit) == (
        8 * stored.itemsize,
        bits,
        bits - 1,
    )
    assert (header.signed, header.samples, header.photometric) == (signed, 1, "MONOCHROME2")
    order = ">" if syntax == BIG_ENDIAN else "<"
    kind = stored.dtype.newbyteorder(order)
    np.testing.assert_array_equal(np.frombuffer(file.pixel_data, kind).reshape(5, 8), stored)
    assert file.notes == ()
    assert "Secret" not in repr(file)


def test_the_pixels_are_not_copied():
    data = film_of(gradient(12))
    pixel_data = opened(data).pixel_data
    assert pixel_data.obj is data
    assert opened(memoryview(data)).pixel_data.obj is data


def test_words_of_two_8_bit_pixels_are_put_in_order():
    stored = gradient(8, shape=(3, 4))
    dataset = dataset_of(stored, 8, BIG_ENDIAN)
    swapped = stored.reshape(-1, 2)[:, ::-1].tobytes()
    dataset.add_new(0x7FE00010, "OW", swapped)
    assert bytes(opened(file_of(dataset, BIG_ENDIAN)).pixel_data) == stored.tobytes()


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_a_file_without_preamble_or_meta_is_recognised_by_its_first_element(syntax):
    whole = film_of(gradient(12), syntax=syntax)
    assert opened(whole[132:]).pixels.transfer_syntax == syntax
    meta = 132 + 12 + struct.unpack_from("<L", whole, 140)[0]
    bare = opened(whole[meta:])
    assert bare.pixels.transfer_syntax == syntax
    assert bare.notes == ("The file names no transfer syntax; its first element shows it.",)
    assert looks_like_dicom(whole)
    assert looks_like_dicom(whole[132:])
    assert looks_like_dicom(whole[meta:])


@pytest.mark.parametrize(
    "data", [b"", b"DICM", b"PK\x03\x04" + bytes(200), b"\x08\0\x05\0" + b"\xff" * 200, b"\x89PNG"]
)
def test_other_files_are_no_dicom(data):
    assert not looks_like_dicom(data)
    assert reason_of(data) == "not-an-image"


def test_an_encapsulated_element_is_handed_on_from_its_offset_table():
    dataset = dataset_of(gradient(8), 8)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8fragment\xff\xd9"])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    file = opened(file_of(dataset, JPEG))
    assert bytes(file.pixel_data[:4]) == b"\xfe\xff\0\xe0"
    assert b"fragment" in bytes(file.pixel_data)
    assert file.pixels.transfer_syntax == JPEG


def test_encapsulated_and_native_must_fit_the_transfer_syntax():
    dataset = dataset_of(gradient(8), 8)
    native = file_of(dataset, EXPLICIT)
    assert reason_of(native.replace(EXPLICIT.encode(), b"1.2.840.10008.1.2.5")) == "contradictory"
    assert (
        reason_of(native.replace(EXPLICIT.encode(), b"1.2.840.99999.1.2.1")) == "unsupported-transfer-syntax"
    )
    at = native.index(b"\xe0\x7f\x10\0OB\0\0") + 8
    assert reason_of(native[:at] + b"\xff\xff\xff\xff" + native[at + 4 :]) == "contradictory"


def test_an_extended_offset_table_is_handed_on():
    dataset = dataset_of(gradient(12))
    dataset.add_new(0x7FE00001, "OV", struct.pack("<2Q", 0, 300))
    assert opened(file_of(dataset)).offsets == (0, 300)
    assert opened(film_of(gradient(12))).offsets is None


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Rows": None}, "damaged"),
        ({"Columns": 0}, "damaged"),
        ({"NumberOfFrames": 0}, "damaged"),
        ({"NumberOfFrames": -3}, "damaged"),
        ({"BitsStored": None}, "damaged"),
        ({"BitsAllocated": None}, "damaged"),
        ({"PixelRepresentation": None}, "damaged"),
        ({"PixelRepresentation": 2}, "damaged"),
        ({"PhotometricInterpretation": None}, "damaged"),
        ({"PhotometricInterpretation": "HSV"}, "unsupported-pixels"),
        ({"BitsAllocated": 64}, "unsupported-pixels"),
        ({"BitsAllocated": 12}, "unsupported-pixels"),
        ({"BitsStored": 17}, "contradictory"),
        ({"BitsStored": 0}, "contradictory"),
        ({"HighBit": 16}, "contradictory"),
        ({"HighBit": 3}, "contradictory"),
        ({"SamplesPerPixel": 3}, "contradictory"),
        ({"PhotometricInterpretation": "RGB"}, "contradictory"),
        ({"PlanarConfiguration": 7}, "damaged"),
        ({"Rows": [3, 4]}, "damaged"),
    ],
)
def test_numbers_that_cannot_be_are_refused(attributes, reason):
    assert reason_of(film_of(gradient(12), **attributes)) == reason


@pytest.mark.parametrize("keyword", ["SamplesPerPixel", "HighBit"])
def test_what_follows_from_other_numbers_may_be_missing(keyword):
    file = opened(film_of(gradient(12), **{keyword: None}))
    assert (file.pixels.samples, file.pixels.high_bit) == (1, 11)
    assert len(file.notes) == 1
    assert keyword in file.notes[0]


def test_numbers_in_odd_clothes_are_read():
    dataset = dataset_of(gradient(12))
    del dataset.Rows
    dataset.add_new(0x00280010, "IS", "24")
    dataset.add_new(0x00280008, "LO", " 1 ")
    assert opened(file_of(dataset)).pixels.rows == 24


@pytest.mark.parametrize(
    ("attributes", "limits", "reason"),
    [
        ({"Rows": 65535, "Columns": 65535}, {}, "too-many-pixels"),
        ({"NumberOfFrames": 1001}, {}, "too-many-frames"),
        ({"NumberOfFrames": 2**31 - 1}, {}, "too-many-frames"),
        ({}, {"max_pixels": 700}, "too-many-pixels"),
        ({}, {"max_unpacked_bytes": 1000}, "unpacks-too-large"),
    ],
)
def test_limits_hold_before_anything_is_decoded(attributes, limits, reason):
    assert reason_of(film_of(gradient(12), **attributes), **limits) == reason


def test_a_deflated_bomb_is_not_unpacked():
    bomb = film_of(np.zeros((3000, 3000), np.uint16), syntax=DEFLATED)
    assert len(bomb) < 100_000
    assert reason_of(bomb, max_unpacked_bytes=2**20) == "unpacks-too-large"


def test_a_deflated_file_is_refused_when_cut_or_damaged():
    whole = film_of(gradient(12, shape=(60, 60)), syntax=DEFLATED)
    assert reason_of(whole[:-900]) == "truncated"
    meta = 132 + 12 + struct.unpack_from("<L", whole, 140)[0]
    assert reason_of(whole[:meta] + b"\xff" * 500) == "damaged"
    # Deflate after the file meta, and a data set that is cut before it was deflated.
    plain = zlib.decompress(whole[meta:], -15)
    packer = zlib.compressobj(wbits=-15)
    assert reason_of(whole[:meta] + packer.compress(plain[:-500]) + packer.flush()) == "truncated"


def test_every_truncation_is_noticed():
    whole = film_of(gradient(12), WindowCenter=40, WindowWidth=80)
    for length in range(len(whole)):
        reason = reason_of(whole[:length])
        if length <= 131:
            assert reason == "not-an-image"
        else:
            # A cut between two elements leaves a whole header without pixels, or none at all.
            assert reason in ("truncated", "no-pixels", "damaged")


def test_floating_point_pixels_are_refused():
    dataset = dataset_of(gradient(12))
    del dataset.PixelData
    assert reason_of(file_of(dataset)) == "no-pixels"
    dataset.FloatPixelData = np.zeros(24 * 31, "<f4").tobytes()
    assert reason_of(file_of(dataset)) == "unsupported-pixels"
    del dataset.FloatPixelData
    dataset.DoubleFloatPixelData = np.zeros(24 * 31, "<f8").tobytes()
    assert reason_of(file_of(dataset)) == "unsupported-pixels"


def test_sequences_in_sequences_without_end_are_damaged():
    deep = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * 20_000
    whole = film_of(gradient(12))
    meta = 132 + 12 + struct.unpack_from("<L", whole, 140)[0]
    assert reason_of(whole[:meta] + deep) in ("damaged", "truncated")


@settings(derandomize=True, deadline=None, max_examples=300)
@given(places=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6))
def test_mutated_headers_give_a_film_or_a_reason(places):
    data = bytearray(SMALL)
    for place, value in places:
        data[place % len(data)] = value
    try:
        file = opened(bytes(data))
    except ImageError as error:
        told = str(error)
    else:
        told = repr(file)
        assert file.pixels.rows * file.pixels.columns <= DEFAULT_LIMITS.max_pixels
    assert "Secret" not in told


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_all_files_that_pydicom_ships_open_or_are_refused():
    reasons = []
    for path in sorted(SHIPPED.glob("*.dcm")):
        expected = (
            pydicom.dcmread(path, force=True, stop_before_pixels=True) if path.name != "no_meta.dcm" else None
        )
        try:
            file = opened(path.read_bytes())
        except ImageError as error:
            reasons.append(error.reason)
            continue
        reasons.append("opened")
        assert (file.pixels.rows, file.pixels.columns) == (expected.Rows, expected.Columns)
        assert file.pixels.transfer_syntax == expected.file_meta.TransferSyntaxUID
        assert file.pixels.frames == int(expected.get("NumberOfFrames") or 1)
    counts = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    print(counts)
    assert counts["opened"] >= 55
    assert set(counts) <= {"opened", "no-pixels", "damaged", "truncated", "not-an-image"}


def broken_dataset() -> Dataset:
    """A header whose values pydicom warns about."""
    return pydicom.dcmread(
        io.BytesIO(film_of(gradient(12)).replace(b"hidden-17", b"hid\x80\xffn-17")), stop_before_pixels=True
    )


def test_attributes_never_warn_and_never_raise_an_error_of_pydicom():
    dataset = broken_dataset()
    attributes = Attributes(dataset, "film.dcm")
    assert attributes.text("PatientID").startswith("hid")
    assert attributes.text("NoSuchKeyword") == ""
    assert attributes.numbers("WindowCenter") == ()
    assert attributes.first("ModalityLUTSequence", "VOILUTSequence") is None
    with pytest.raises(ImageError, match="Modality is no number"):
        attributes.number("Modality")
    with pytest.raises(ImageError, match="Modality is no sequence"):
        attributes.items("Modality")
    dataset.ViewCodeSequence = Sequence([])
    assert attributes.items("ViewCodeSequence") == ()


def test_quiet_is_for_its_own_thread_and_ends():
    logger, records = logging.getLogger("pydicom"), []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger.addHandler(handler)
    try:
        with quiet():
            logger.warning("inside")
            other = threading.Thread(target=logger.warning, args=("from another thread",))
            other.start()
            other.join()
        logger.warning("after")
    finally:
        logger.removeHandler(handler)
    assert records == ["from another thread", "after"]
    with pytest.warns(UserWarning, match="after"):
        warnings.warn("after", UserWarning, stacklevel=1)
