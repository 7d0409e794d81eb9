"""Every file that pydicom ships: the pixels of an independent decoder, or a refusal with a reason."""

import logging
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from offclip.errors import ImageError
from offclip.images.dicom.decode import decode_frame
from offclip.images.dicom.header import parse
from offclip.images.dicom.reading import read_dicom
from offclip.images.film import Film, ReadOptions
from offclip.images.limits import DEFAULT_LIMITS

pydicom = pytest.importorskip("pydicom")
FOLDER = Path(pydicom.__file__).parent / "data"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
# Not the decoder that offclip uses for the syntax, where there is another.
REFERENCE = {"50": "pillow", "70": "", "90": "gdcm", "91": "gdcm", "80": "gdcm", "81": "gdcm"}
# What must be refused although it holds pixels.
REFUSED = {
    "J2K_pixelrep_mismatch.dcm": "contradictory",
    "JPEG-lossy.dcm": "unsupported-transfer-syntax",
    "JPEG2000-embedded-sequence-delimiter.dcm": "damaged",
    "JPGExtended.dcm": "unsupported-transfer-syntax",
    "MR_small_padded.dcm": "contradictory",
    "MR_truncated.dcm": "truncated",
    "badVR.dcm": "damaged",
    "rtplan_truncated.dcm": "truncated",
}
NO_FILM = ("not-an-image", "no-pixels", "unsupported-pixels", "damaged")


def _frames(path: Path) -> list[np.ndarray]:
    file = parse(path.read_bytes(), DEFAULT_LIMITS, path.name)
    return [decode_frame(file.pixels, file.pixel_data, i, path.name) for i in range(file.pixels.frames)]


def _reference(path: Path) -> np.ndarray:
    from pydicom.pixels import pixel_array

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, force=True)
        syntax = dataset.file_meta.TransferSyntaxUID
        plugin = REFERENCE.get(syntax.rsplit(".", 1)[1], "") if ".2.4." in syntax else ""
        return pixel_array(dataset, decoding_plugin=plugin)


def _rounding(path: Path) -> int:
    """How far two decoders may be apart: by one where the codestream is lossy, or colour is computed."""
    file = parse(path.read_bytes(), DEFAULT_LIMITS, path.name)
    lossy = file.pixels.transfer_syntax.endswith((".50", ".91"))
    return int(lossy or file.pixels.photometric.startswith("YBR_F"))


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[Path, list[np.ndarray] | str]]:
    found: dict[str, tuple[Path, list[np.ndarray] | str]] = {}
    for path in FILES:
        try:
            found[str(path.relative_to(FOLDER))] = path, _frames(path)
        except ImageError as error:
            found[str(path.relative_to(FOLDER))] = path, error.reason
    return found


def test_each_file_is_right_or_refused_with_a_reason(outcomes):
    counts = Counter()
    for path, outcome in outcomes.values():
        if isinstance(outcome, str):
            assert outcome == REFUSED.get(path.name, outcome), path.name
            assert path.name in REFUSED or outcome in NO_FILM, f"{path.name}: {outcome}"
            counts[outcome] += 1
            continue
        assert path.name not in REFUSED
        reference = _reference(path)
        found = np.stack(outcome) if len(outcome) > 1 else outcome[0]
        assert found.shape == reference.shape, path.name
        error = np.abs(found.astype(np.int64) - reference.astype(np.int64)).max()
        assert error <= _rounding(path), f"{path.name}: {error}"
        counts["right"] += 1
    print(dict(counts))
    assert counts["right"] >= 90


# Files of the same pixels in other transfer syntaxes: no decoder is needed to know what is right.
TWINS = {
    "MR_small.dcm": (
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
    ),
    "rtdose.dcm": ("rtdose_rle.dcm", "rtdose_expb.dcm"),
    "rtdose_1frame.dcm": ("rtdose_rle_1frame.dcm", "rtdose_expb_1frame.dcm"),
    "liver_1frame.dcm": ("liver_expb_1frame.dcm",),
}


@pytest.mark.parametrize("native", TWINS)
def test_twins_in_other_transfer_syntaxes_have_the_same_pixels(outcomes, native):
    by_name = {path.name: outcome for path, outcome in outcomes.values()}
    for name in TWINS[native]:
        assert not isinstance(by_name[name], str), by_name[name]
        for found, expected in zip(by_name[name], by_name[native], strict=True):
            assert np.array_equal(found, expected), name


# The test pattern of the SC_rgb files: ten bars of these colours, a second frame the other way round.
BARS = [(255, 0, 0), (255, 128, 128), (0, 255, 0), (128, 255, 128), (0, 0, 255), (128, 128, 255)]
BARS += [(grey, grey, grey) for grey in (0, 64, 192, 255)]


@pytest.mark.parametrize(
    "end", ["jpeg_gdcm", "rle", "rle_2frame", *(f"rle_{n}bit{f}" for n in (16, 32) for f in ("", "_2frame"))]
)
def test_the_colour_bars_are_those_that_they_were_made_of(outcomes, end):
    (frames,) = [outcome for path, outcome in outcomes.values() if path.name == f"SC_rgb_{end}.dcm"]
    assert not isinstance(frames, str)
    assert len(frames) == (2 if end.endswith("2frame") else 1)
    for number, frame in enumerate(frames):
        top = np.iinfo(frame.dtype).max
        expected = np.array(BARS, np.uint64).repeat(10, axis=0)[:, None] * (top // 255)
        assert np.array_equal(frame, np.broadcast_to(top - expected if number else expected, (100, 100, 3)))


def test_nothing_that_pydicom_decodes_is_refused_unseen(outcomes):
    """What is refused as no film must be none for pydicom either."""
    for path, outcome in outcomes.values():
        if isinstance(outcome, str) and path.name not in REFUSED and outcome != "no-pixels":
            with pytest.raises(Exception):  # noqa: B017
                _reference(path)


def _film(path: Path, options: ReadOptions) -> Film | str:
    try:
        return read_dicom(path.read_bytes(), options, path.name)
    except ImageError as error:
        return error.reason


def test_each_file_becomes_a_film_or_is_refused_for_the_same_reason(outcomes):
    options = ReadOptions(policy="full-range", modalities=(), frame=0)
    films = 0
    for path, outcome in outcomes.values():
        film = _film(path, options)
        if isinstance(film, str):
            late = () if isinstance(outcome, str) else ("unsupported-pixels",)  # 32 bits of colour
            assert film in late or film == outcome, path.name
            continue
        assert not isinstance(outcome, str), path.name
        assert film.pixels.dtype == np.uint8
        assert film.pixels.shape == outcome[0].shape[:2] == (film.grid.height, film.grid.width)
        films += 1
    assert films >= 80
