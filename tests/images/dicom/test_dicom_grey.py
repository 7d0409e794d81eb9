"""Grey values against a reference that goes by the text of the standard, pixel by pixel, in plain Python."""

import math

import film_bytes
import numpy as np
import pytest
from film_bytes import dataset_of, gradient, lookup_item
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from offclip.errors import ImageError
from offclip.images.dicom import table
from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.grey import Grey, to_grey
from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.film import ReadOptions

PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)


def header_of(dataset: Dataset) -> PixelHeader:
    return PixelHeader(
        film_bytes.EXPLICIT,
        dataset.Rows,
        dataset.Columns,
        bits_allocated=dataset.BitsAllocated,
        bits_stored=dataset.BitsStored,
        high_bit=dataset.HighBit,
        signed=dataset.PixelRepresentation == 1,
        photometric=dataset.PhotometricInterpretation,
    )


def grey_of(stored: np.ndarray, bits: int = 12, policy="standard", window=0, frame=0, **attributes) -> Grey:
    dataset = dataset_of(stored, bits, **attributes)
    options = ReadOptions(policy=policy, window=window)
    return to_grey(stored, Attributes(dataset, "film.dcm"), header_of(dataset), options, frame)


def window_value(x: float, center: float, width: float, function: str) -> float:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2 with an output from 0 to 1."""
    if function == "SIGMOID":
        power = -4 * (x - center) / width
        return 0.0 if power > 700 else 1 / (1 + math.exp(power))
    if function == "LINEAR":
        if x <= center - 0.5 - (width - 1) / 2:
            return 0.0
        if x > center - 0.5 + (width - 1) / 2:
            return 1.0
        return (x - (center - 0.5)) / (width - 1) + 0.5
    if x <= center - width / 2:
        return 0.0
    if x > center + width / 2:
        return 1.0
    return (x - center) / width + 0.5


def reference(stored: np.ndarray, shown, slope=1.0, intercept=0.0, inverted=False, padding=()) -> np.ndarray:
    """Every pixel for itself: rescale, `shown`, inversion, padding, rounding."""
    out = np.zeros(stored.shape, np.uint8)
    for at, value in np.ndenumerate(stored):
        y = shown(float(value) * slope + intercept)
        y = 1.0 - y if inverted else y
        out[at] = 0 if int(value) in padding else math.floor(y * 255.0 + 0.5)
    return out


windows = st.tuples(
    st.floats(-3000, 3000, allow_nan=False),
    st.floats(1, 6000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)


@PROPERTY
@given(
    bits=st.integers(2, 16),
    signed=st.booleans(),
    slope=st.sampled_from([1.0, 0.5, -1.0, 1.7, 2.0]),
    intercept=st.sampled_from([0.0, -1024.0, 3.25]),
    window=windows,
    inverted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_standard_order_is_bit_identical_with_the_reference(
    bits, signed, slope, intercept, window, inverted, seed
):
    center, width, function = window
    # DS holds 16 characters; the reference takes what the header really holds.
    center, width = float(f"{center:.6g}"), max(1.0, float(f"{width:.6g}"))
    stored = gradient(bits, signed, (9, 7), seed)
    grey = grey_of(
        stored,
        bits,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=center,
        WindowWidth=width,
        VOILUTFunction=function,
        PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2",
    )
    assert grey.inverted == inverted
    expected = reference(
        stored, lambda x: window_value(x, center, width, function), slope, intercept, inverted
    )
    if grey.description == "window 1 of 1":
        np.testing.assert_array_equal(grey.pixels, expected)
    else:
        # Only a window that shows everything as one grey value is given up.
        assert "nearly all pixels" in grey.notes[-1]
        assert len(np.unique(expected)) == 1


@PROPERTY
@given(bits=st.integers(8, 16), signed=st.booleans(), window=windows, seed=st.integers(0, 99))
def test_windows_agree_with_pydicom(bits, signed, window, seed):
    stored = gradient(bits, signed, (9, 7), seed)
    center, width, function = round(window[0], 3), max(20.0, round(window[1], 3)), window[2]
    shape = {
        "WindowCenter": center,
        "WindowWidth": width,
        "VOILUTFunction": function,
        "RescaleSlope": 1.5,
        "RescaleIntercept": -7,
    }
    grey = grey_of(stored, bits, **shape)
    if grey.description == "percentile":
        return
    dataset = dataset_of(stored, bits, **shape)
    with np.errstate(over="ignore"):
        shown = apply_voi_lut(apply_modality_lut(stored, dataset), dataset)
    least = -(2 ** (bits - 1)) if signed else 0
    low, high = least * 1.5 - 7, (least + 2**bits - 1) * 1.5 - 7
    ours, theirs = grey.pixels.astype(float), (shown - low) / (high - low) * 255
    assert np.abs(ours - theirs).max() < 0.5 + 1e-6


@PROPERTY
@given(
    bits=st.sampled_from([8, 10, 12, 16]),
    signed=st.booleans(),
    policy=st.sampled_from(["standard", "percentile"]),
    slope=st.sampled_from([1.0, -2.0]),
    seed=st.integers(0, 99),
)
def test_percentiles_are_those_of_the_sorted_modality_values(bits, signed, policy, slope, seed):
    stored = gradient(bits, signed, (40, 25), seed)
    stored.flat[:300] = stored.flat[0]  # padding in plenty would draw the low end down
    grey = grey_of(
        stored,
        bits,
        policy,
        RescaleSlope=slope,
        RescaleIntercept=10,
        PixelPaddingValue=int(stored.flat[0]),
    )
    assert grey.description == "percentile"
    film = stored[stored != stored.flat[0]].astype(np.float64) * slope + 10
    low, high = np.percentile(film, [0.5, 99.5], method="inverted_cdf")
    expected = reference(
        stored,
        lambda x: min(1.0, max(0.0, (x - low) / (high - low))),
        slope,
        10.0,
        padding=(int(stored.flat[0]),),
    )
    np.testing.assert_array_equal(grey.pixels, expected)


@pytest.mark.parametrize(
    ("bits", "signed"), [(8, False), (8, True), (12, False), (12, True), (16, False), (16, True)]
)
@pytest.mark.parametrize("slope", [1.0, -0.5])
def test_full_range_takes_all_that_the_bits_can_hold(bits, signed, slope):
    stored = gradient(bits, signed)
    grey = grey_of(
        stored, bits, "full-range", RescaleSlope=slope, RescaleIntercept=3, WindowCenter=1, WindowWidth=9
    )
    ends = sorted(slope * end + 3 for end in (int(stored.min()), int(stored.max())))
    expected = reference(stored, lambda x: (x - ends[0]) / (ends[1] - ends[0]), slope, 3.0)
    np.testing.assert_array_equal(grey.pixels, expected)
    assert grey.description == "full range"


@PROPERTY
@given(
    bits=st.integers(2, 16),
    signed=st.booleans(),
    cut=st.floats(0.05, 1),
    seed=st.integers(0, 99),
)
def test_carzero_is_the_scaling_of_the_official_code(bits, signed, cut, seed):
    stored = (gradient(bits, signed, (9, 7), seed) * cut).astype(
        f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}"
    )
    grey = grey_of(
        stored,
        bits,
        "carzero",
        PhotometricInterpretation="MONOCHROME1",
        RescaleSlope=3,
        RescaleIntercept=-100,
        WindowCenter=40,
        WindowWidth=80,
        PixelPaddingValue=int(stored.max()),
    )
    values = stored.astype(np.float64)
    if values.max() <= 0:
        expected = np.zeros(stored.shape, np.uint8)
    else:
        expected = (np.maximum(values, 0) / values.max() * 255.0).astype(np.uint8)
    np.testing.assert_array_equal(grey.pixels, expected)
    assert (grey.description, grey.inverted) == ("carzero", False)


@pytest.mark.parametrize("policy", ["standard", "percentile", "full-range", "carzero"])
@pytest.mark.parametrize("signed", [False, True])
def test_32_bits_are_computed_without_a_table(policy, signed):
    stored = gradient(16, signed).astype("i4" if signed else "u4") * 1000
    shape = {"WindowCenter": 2e7, "WindowWidth": 3e7, "RescaleSlope": 1, "RescaleIntercept": 0}
    grey = grey_of(stored, 32, policy, **shape)
    values = stored.astype(np.float64)
    if policy == "standard":
        expected = reference(stored, lambda x: window_value(x, 2e7, 3e7, "LINEAR"))
    elif policy == "percentile":
        low, high = np.percentile(values, [0.5, 99.5], method="inverted_cdf")
        expected = reference(stored, lambda x: min(1.0, max(0.0, (x - low) / (high - low))))
    elif policy == "full-range":
        low = -(2.0**31) if signed else 0.0
        expected = reference(stored, lambda x: (x - low) / (2.0**32 - 1))
    else:
        expected = (np.maximum(values, 0) / values.max() * 255.0).astype(np.uint8)
    np.testing.assert_array_equal(grey.pixels, expected)


@pytest.mark.parametrize("data_vr", ["US", "OW"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_voi_lut_goes_before_the_window(bits, data_vr):
    stored = gradient(12)
    entries = [round((2**bits - 1) * (k / 999) ** 2) for k in range(1000)]
    grey = grey_of(
        stored,
        VOILUTSequence=[lookup_item(entries, 500, bits, data_vr)],
        WindowCenter=100,
        WindowWidth=10,
    )
    expected = reference(stored, lambda x: entries[min(999, max(0, int(x) - 500))] / (2**bits - 1))
    np.testing.assert_array_equal(grey.pixels, expected)
    assert grey.description == "VOI LUT 1 of 1"
    if bits == 8:
        return  # pydicom 3.0 counts the entries of such a table in 8 bits
    dataset = dataset_of(stored, VOILUTSequence=[lookup_item(entries, 500, bits, "US")])
    shown = apply_voi_lut(stored, dataset)
    np.testing.assert_array_equal(grey.pixels, np.floor(shown / (2**bits - 1) * 255.0 + 0.5))


@pytest.mark.parametrize("signed", [False, True])
def test_a_modality_lut_is_applied_first(signed):
    stored = gradient(10, signed)
    first = int(stored.min()) + 40
    entries = [(7 * k) % 4096 for k in range(900)]
    item = lookup_item(entries, first, 12, signed=signed)
    grey = grey_of(stored, 10, ModalityLUTSequence=[item], WindowCenter=2048, WindowWidth=4096)
    expected = reference(
        stored,
        lambda x: window_value(entries[min(899, max(0, int(x) - first))], 2048, 4096, "LINEAR"),
    )
    np.testing.assert_array_equal(grey.pixels, expected)
    # pydicom takes 8 or 16 bits alone; they change no entry.
    deep = lookup_item(entries, first, 16, signed=signed)
    shown = apply_modality_lut(stored, dataset_of(stored, 10, ModalityLUTSequence=[deep]))
    full = grey_of(stored, 10, "full-range", ModalityLUTSequence=[item])
    np.testing.assert_array_equal(full.pixels, np.floor(shown / 4095 * 255.0 + 0.5))


def test_a_voi_lut_of_65536_entries_says_0():
    stored = gradient(16)
    entries = list(range(65535, -1, -1))
    grey = grey_of(stored, 16, VOILUTSequence=[lookup_item(entries, 0, 16, "OW")])
    np.testing.assert_array_equal(grey.pixels, reference(stored, lambda x: (65535 - x) / 65535))


def test_a_signed_voi_lut_starts_below_zero():
    stored = gradient(8, signed=True)
    entries = list(range(256))
    grey = grey_of(stored, 8, VOILUTSequence=[lookup_item(entries, -128, 8, signed=True)])
    np.testing.assert_array_equal(grey.pixels, (stored.astype(int) + 128).astype(np.uint8))


def test_8_bit_entries_may_share_words():
    stored = gradient(8)
    packed = [low | (high << 8) for low, high in zip(range(0, 256, 2), range(1, 256, 2), strict=True)]
    item = lookup_item(packed, 0, 8, "OW")
    item.LUTDescriptor = [256, 0, 8]
    np.testing.assert_array_equal(grey_of(stored, 8, VOILUTSequence=[item]).pixels, stored)


def test_entries_beyond_the_bits_that_are_named_raise_them():
    stored = gradient(12)
    entries = list(range(4096))
    item = lookup_item(entries, 0, 8)
    grey = grey_of(stored, VOILUTSequence=[item])
    np.testing.assert_array_equal(grey.pixels, reference(stored, lambda x: x / 4095))


def test_a_broken_modality_lut_refuses_the_file_and_a_broken_voi_lut_does_not():
    stored = gradient(12)
    item = lookup_item([1, 2, 3], 0, 12)
    item.LUTDescriptor = [4000, 0, 12]
    with pytest.raises(ImageError, match="it has 3 of its 4000 entries") as error:
        grey_of(stored, ModalityLUTSequence=[item])
    assert error.value.reason == "damaged"
    grey = grey_of(stored, VOILUTSequence=[item], WindowCenter=2000, WindowWidth=1000)
    assert grey.description == "window 1 of 1"
    assert grey.notes == ("VOI lookup table 1 is broken and ignored: it has 3 of its 4000 entries.",)


@pytest.mark.parametrize(
    ("center", "width", "function"),
    [
        ("2000", "0", None),
        ("2000", "-5", None),
        ("2000", "0.5", None),
        ("nan", "100", None),
        ("2000", "inf", None),
        ("2000", "0", "LINEAR_EXACT"),
        ("2000", "0", "SIGMOID"),
    ],
)
def test_a_broken_window_falls_to_percentiles_with_a_note(center, width, function):
    stored = gradient(12)
    dataset = dataset_of(stored)
    dataset.add_new(0x00281050, "LO", center)
    dataset.add_new(0x00281051, "LO", width)
    if function:
        dataset.VOILUTFunction = function
    grey = to_grey(stored, Attributes(dataset, "film.dcm"), header_of(dataset), ReadOptions())
    assert grey.description == "percentile"
    assert grey.notes == ("Window 1 is broken and ignored.",)
    np.testing.assert_array_equal(grey.pixels, grey_of(stored, policy="percentile").pixels)


def test_a_window_that_cannot_be_read_falls_to_percentiles():
    dataset = dataset_of(gradient(12))
    dataset.add_new(0x00281050, "LO", "middle")
    dataset.add_new(0x00281051, "LO", "100")
    grey = to_grey(gradient(12), Attributes(dataset, "film.dcm"), header_of(dataset), ReadOptions())
    assert grey.notes == ("The windows cannot be read and are ignored.",)


def test_an_absurd_window_falls_to_percentiles_but_a_flat_film_keeps_its_window():
    stored = gradient(12)
    grey = grey_of(stored, WindowCenter=99999, WindowWidth=10)
    assert grey.description == "percentile"
    assert grey.notes == ("window 1 of 1 shows nearly all pixels as one grey value and is ignored.",)
    assert len(np.unique(grey.pixels)) > 100
    flat = grey_of(np.full((20, 20), 700, np.uint16), WindowCenter=700.5, WindowWidth=101)
    assert flat.description == "window 1 of 1"
    assert np.unique(flat.pixels).tolist() == [128]


def test_a_film_whose_sampled_rows_are_flat_is_looked_at_whole():
    stored = np.zeros((32, 32), np.uint16)
    stored[1:16] = gradient(12, shape=(15, 32))
    assert grey_of(stored, WindowCenter=2048, WindowWidth=4096).description == "window 1 of 1"


def test_width_1_is_a_step():
    stored = np.array([[9, 10, 11]], np.uint16)
    grey = grey_of(stored, WindowCenter=10, WindowWidth=1)
    assert grey.pixels.tolist() == [[0, 255, 255]]


def test_the_choice_of_a_window():
    stored = gradient(12)
    several = {"WindowCenter": [1000, 2000, 500], "WindowWidth": [100, 3000, 50]}
    for choice, name in ((0, "window 1 of 3"), (2, "window 3 of 3"), ("widest", "window 2 of 3")):
        grey = grey_of(stored, window=choice, **several)
        assert (grey.description, grey.notes) == (name, ())
    beyond = grey_of(stored, window=7, **several)
    assert beyond.description == "window 1 of 3"
    assert beyond.notes == ("There is no window 7; the first of 3 is taken.",)
    broken = grey_of(stored, window="widest", WindowCenter=[1, 2000], WindowWidth=[-9, 300])
    assert broken.description == "window 2 of 2"


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted", "noted"),
    [
        ("MONOCHROME2", None, False, False),
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME1", None, True, False),
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME1", "IDENTITY", True, True),
        ("MONOCHROME2", "INVERSE", True, True),
    ],
)
@pytest.mark.parametrize("policy", ["standard", "percentile", "full-range"])
def test_bone_is_white(photometric, shape, inverted, noted, policy):
    stored = gradient(12)
    extra = {"PresentationLUTShape": shape} if shape else {}
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    grey = grey_of(stored, policy=policy, PhotometricInterpretation=photometric, **window, **extra)
    assert (grey.inverted, bool(grey.notes)) == (inverted, noted)
    darkest, brightest = stored.argmin(), stored.argmax()
    assert (grey.pixels.flat[brightest] < grey.pixels.flat[darkest]) == inverted


@pytest.mark.parametrize("inverted", [False, True])
def test_padding_is_black_after_everything(inverted):
    stored = gradient(12, signed=True)
    stored[3:6] = -2000
    stored[6:8] = -1990
    photometric = "MONOCHROME1" if inverted else "MONOCHROME2"
    grey = grey_of(
        stored,
        PhotometricInterpretation=photometric,
        PixelPaddingValue=-2000,
        PixelPaddingRangeLimit=-1990,
        WindowCenter=0,
        WindowWidth=1000,
    )
    assert not grey.pixels[3:8].any()
    assert grey.pixels[:3].max() == 255


def test_padding_written_as_unsigned_is_the_signed_value():
    stored = gradient(12, signed=True)
    stored[3:6] = -2000
    dataset = dataset_of(stored, PhotometricInterpretation="MONOCHROME1")
    dataset.add_new(0x00280120, "US", 65536 - 2000)
    grey = to_grey(stored, Attributes(dataset, "film.dcm"), header_of(dataset), ReadOptions())
    assert not grey.pixels[3:6].any()


def test_nothing_but_padding_is_black():
    grey = grey_of(np.full((4, 4), 9, np.uint16), PixelPaddingValue=9)
    assert not grey.pixels.any()
    assert grey.notes == ("The film has no contrast.",)


def test_broken_rescale_values_are_ignored_with_a_note():
    stored = gradient(12)
    grey = grey_of(stored, RescaleSlope=0, RescaleIntercept=5, WindowCenter=2048, WindowWidth=4096)
    assert grey.notes == ("The rescale values are broken and ignored.",)
    np.testing.assert_array_equal(grey.pixels, grey_of(stored, WindowCenter=2048, WindowWidth=4096).pixels)


def test_frames_of_an_enhanced_file_have_their_own_window():
    def group(center: float) -> Dataset:
        item, voi = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = center, 500
        item.FrameVOILUTSequence = [voi]
        return item

    shared, rescale = Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 2, 1
    shared.PixelValueTransformationSequence = [rescale]
    stored = gradient(12)
    grey = grey_of(
        stored,
        frame=1,
        PerFrameFunctionalGroupsSequence=[group(700), group(3000)],
        SharedFunctionalGroupsSequence=[shared],
        WindowCenter=1,
        WindowWidth=2,
    )
    expected = reference(stored, lambda x: window_value(x, 3000, 500, "LINEAR"), 2, 1)
    np.testing.assert_array_equal(grey.pixels, expected)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [12, 16])
def test_the_table_without_opencv_5_gives_the_same(monkeypatch, bits, signed):
    stored = gradient(bits, signed, (600, 500))
    with_opencv = grey_of(stored, bits, "full-range").pixels
    monkeypatch.setattr(table, "_opencv_looks_up_words", lambda: False)
    np.testing.assert_array_equal(grey_of(stored, bits, "full-range").pixels, with_opencv)


def test_counting_goes_in_parts(monkeypatch):
    stored = gradient(12, signed=True)
    domain = table.domain_of(12, signed=True)
    monkeypatch.setattr(table, "_EXACT_COUNT", 100)
    expected = [int((stored == value).sum()) for value in (-2048, 0, 2047)]
    assert table.count_values(stored, domain)[[0, 2048, 4095]].tolist() == expected
    assert table.count_values(stored, domain).sum() == stored.size


def test_read_only_pixels_are_enough():
    stored = gradient(12)
    stored.flags.writeable = False
    assert grey_of(stored, WindowCenter=2048, WindowWidth=4096).pixels.shape == stored.shape
