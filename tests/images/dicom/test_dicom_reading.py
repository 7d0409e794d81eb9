"""A DICOM file as a film: which files are taken, which pixels come out."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from film_bytes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, dataset_of, file_of, film_of, gradient

from offclip.errors import ImageError
from offclip.images.dicom.reading import read_dicom
from offclip.images.film import Film, ReadOptions

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
ALL = ReadOptions(modalities=())


def film(data: bytes, options: ReadOptions = ReadOptions(), **changes) -> Film:
    return read_dicom(data, replace(options, **changes), "film.dcm")


def refused(data: bytes, options: ReadOptions = ReadOptions(), **changes) -> ImageError:
    with pytest.raises(ImageError) as error:
        film(data, options, **changes)
    assert "Secret" not in str(error.value)
    assert "hidden" not in str(error.value)
    return error.value


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, BIG_ENDIAN])
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (10, False), (12, True), (16, False), (16, True)])
def test_the_same_pixels_in_every_native_syntax(syntax, bits, signed):
    stored = gradient(bits, signed)
    found = film(film_of(stored, bits, syntax), policy="full-range")
    least = -(2 ** (bits - 1)) if signed else 0
    expected = np.floor((stored.astype(float) - least) / (2**bits - 1) * 255.0 + 0.5)
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.metadata.transfer_syntax == syntax
    assert found.metadata.bits == bits


def test_what_a_film_tells():
    data = film_of(
        gradient(12),
        PhotometricInterpretation="MONOCHROME1",
        WindowCenter=[2000, 2100],
        WindowWidth=[3000, 100],
        ViewPosition="AP",
        ImagerPixelSpacing=[0.2, 0.1],
        BurnedInAnnotation="NO",
        PatientAge="045Y",
        PatientSex="F",
    )
    found = film(data)
    assert found.pixels.dtype == np.uint8
    assert found.pixels.shape == (found.grid.height, found.grid.width) == (24, 31)
    assert (found.grid.aspect, found.grid.spacing_mm) == (2.0, (0.2, 0.1))
    told = found.metadata
    assert (told.format, told.modality, told.frames) == ("DICOM", "DX", 1)
    assert (told.grey, told.inverted, told.photometric) == ("window 1 of 2", True, "MONOCHROME1")
    assert (told.view, told.view_source, told.burned_in) == ("AP", "ViewPosition", False)
    assert told.identity is not None
    assert (told.identity.patient_id, told.identity.age_years, told.identity.sex) == ("hidden-17", 45.0, "F")
    assert told.notes == ()
    assert "hidden" not in repr(found)


@pytest.mark.parametrize(
    ("modality", "sop_class", "modalities", "taken"),
    [
        ("DX", None, ("CR", "DX"), True),
        ("CR", None, ("CR", "DX"), True),
        ("CT", None, ("CR", "DX"), False),
        ("CT", None, ("CT",), True),
        ("CT", None, (), True),
        (None, None, ("CR", "DX"), False),
        (None, None, (), True),
        ("OT", "1.2.840.10008.5.1.4.1.1.7", ("CR", "DX"), False),
        ("OT", "1.2.840.10008.5.1.4.1.1.7", ("CR", "SC"), True),
        ("OT", "1.2.840.10008.5.1.4.1.1.7.2", ("SC",), True),
        ("SC", None, ("SC",), True),
        ("OT", None, ("SC",), False),
    ],
)
def test_modalities(modality, sop_class, modalities, taken):
    attributes = {"Modality": modality} | ({"SOPClassUID": sop_class} if sop_class else {})
    data = film_of(gradient(12), **attributes)
    if taken:
        assert film(data, modalities=modalities).metadata.modality == (modality or "")
    else:
        assert refused(data, modalities=modalities).reason == "wrong-modality"


def test_the_modality_is_checked_before_the_pixels():
    dataset = dataset_of(gradient(12), Modality="CT")
    dataset.PixelData = bytes(10)
    assert refused(file_of(dataset)).reason == "wrong-modality"
    assert refused(file_of(dataset), modalities=()).reason == "truncated"


@pytest.mark.parametrize(
    ("flag", "told"), [("YES", True), ("NO", False), (None, None), ("", None), ("MAYBE", None)]
)
def test_burned_in_annotations(flag, told):
    data = film_of(gradient(12), **({} if flag is None else {"BurnedInAnnotation": flag}))
    assert film(data).metadata.burned_in is told
    if told:
        assert refused(data, burned_in="refuse").reason == "burned-in-annotation"
    else:
        assert film(data, burned_in="refuse").metadata.burned_in is told


def test_frames():
    frames = gradient(12, shape=(3 * 8, 8))
    dataset = dataset_of(frames, Rows=8, NumberOfFrames=3)
    data = file_of(dataset)
    assert refused(data).reason == "multi-frame"
    for frame in range(3):
        found = film(data, frame=frame, policy="full-range")
        expected = np.floor(frames[8 * frame : 8 * frame + 8] / 4095 * 255.0 + 0.5)
        np.testing.assert_array_equal(found.pixels, expected)
        assert found.metadata.frames == 3
    assert refused(data, frame=3).reason == "no-such-frame"
    assert refused(data, frame=-1).reason == "no-such-frame"
    assert film(film_of(gradient(12)), frame=0).metadata.frames == 1


def test_pixels_that_are_too_short_or_too_long():
    dataset = dataset_of(gradient(12))
    whole = dataset.PixelData
    dataset.PixelData = whole[:-2]
    assert refused(file_of(dataset)).reason == "truncated"
    dataset.PixelData = whole + bytes(64)
    assert refused(file_of(dataset)).reason == "contradictory"


def test_colour_is_luma():
    colour = np.random.default_rng(0).integers(0, 256, (9, 10, 3)).astype(np.uint8)
    found = film(film_of(colour, 8), policy="carzero")
    np.testing.assert_array_equal(found.pixels, cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY))
    exact = colour @ [0.299, 0.587, 0.114]
    assert np.abs(found.pixels - exact).max() < 0.51
    assert (found.metadata.grey, found.metadata.photometric) == ("luma", "RGB")


def test_deep_colour_is_luma_in_8_bits():
    colour = np.random.default_rng(0).integers(0, 4096, (9, 10, 3)).astype(np.uint16)
    found = film(film_of(colour, 12))
    assert np.abs(found.pixels - colour @ [0.299, 0.587, 0.114] / 4095 * 255).max() < 0.6


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_is_looked_up(bits):
    stored = gradient(8)
    dataset = dataset_of(stored, 8, PhotometricInterpretation="PALETTE COLOR")
    colours = np.random.default_rng(0).integers(0, 2**bits, (256, 3))
    colours[0] = 2**bits - 1
    for at, name in enumerate(("Red", "Green", "Blue")):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, bits])
        words = colours[:, at].astype("<u1" if bits == 8 else "<u2").tobytes()
        setattr(dataset, f"{name}PaletteColorLookupTableData", words)
    found = film(file_of(dataset))
    expected = (colours @ [0.299, 0.587, 0.114])[stored] / (2**bits - 1) * 255
    assert np.abs(found.pixels - expected).max() < 0.5 + 1e-6
    assert found.metadata.grey == "luma of a palette"
    dataset.BluePaletteColorLookupTableData = bytes(10)
    assert refused(file_of(dataset)).reason == "damaged"
    dataset.SegmentedRedPaletteColorLookupTableData = bytes(10)
    assert refused(file_of(dataset)).reason == "unsupported-pixels"


def test_bits_that_are_not_stored_do_not_count():
    stored = gradient(12)
    found = film(film_of(stored | 0x3000, 12), policy="full-range")
    np.testing.assert_array_equal(found.pixels, film(film_of(stored), policy="full-range").pixels)


def test_a_film_of_pydicom_equals_its_own_pixels():
    path = SHIPPED / "MR_small.dcm"
    dataset = pydicom.dcmread(path)
    shown = pydicom.pixels.apply_windowing(dataset.pixel_array, dataset)
    found = film(path.read_bytes(), ALL)
    assert found.metadata.grey == "window 1 of 1"
    assert np.abs(found.pixels - (shown + 32768) / 65535 * 255).max() < 0.5 + 1e-6
    for name in ("MR_small_implicit.dcm", "MR_small_bigendian.dcm"):
        np.testing.assert_array_equal(film((SHIPPED / name).read_bytes(), ALL).pixels, found.pixels)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("MR_truncated.dcm", "truncated"),
        ("MR_small_padded.dcm", "contradictory"),
        ("test-SR.dcm", "no-pixels"),
        ("rtplan.dcm", "no-pixels"),
        ("badVR.dcm", "damaged"),
        ("README.txt", "not-an-image"),
        ("rtdose.dcm", "multi-frame"),
    ],
)
def test_files_of_pydicom_that_are_no_films(name, reason):
    assert refused((SHIPPED / name).read_bytes(), ALL).reason == reason


def test_without_pydicom_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydicom.filereader", None)
    error = refused(film_of(gradient(12)))
    assert error.reason == "decoder-not-installed"
    assert "offclip[dicom]" in str(error)
