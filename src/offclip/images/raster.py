"""PNG, JPEG, TIFF and BMP files become 8-bit grey.

The structure of a file is checked first (`offclip.images.formats`), the limits with it. Then Pillow decodes
the image data alone, or OpenCV that of a JPEG. Pillow's plugins are called directly, because `Image.open`
guesses the format, and keeps its limit on pixels in a global variable.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib

import cv2
import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from offclip.errors import ConfigError, ImageError
from offclip.images.film import Film, FilmMetadata, GreyPolicy, PixelGrid, ReadOptions
from offclip.images.formats.bmp import check_bmp
from offclip.images.formats.exif import upright
from offclip.images.formats.header import RasterHeader
from offclip.images.formats.jpeg import check_jpeg
from offclip.images.formats.jpeg_pixels import check_scans, jpeg_grey
from offclip.images.formats.png import check_png
from offclip.images.formats.sniff import sniff
from offclip.images.formats.tiff import check_tiff
from offclip.images.reasons import Reason, refusal

PERCENTILES = (0.5, 99.5)
_CHECKS = {"PNG": check_png, "JPEG": check_jpeg, "TIFF": check_tiff, "BMP": check_bmp}
_READERS = {"PNG": PngImageFile, "JPEG": JpegImageFile, "TIFF": TiffImageFile, "BMP": BmpImageFile}
# What Pillow's plugins raise on damaged files.
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    AssertionError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
)
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")
logging.getLogger("PIL").setLevel(logging.WARNING)


def read_raster(data: bytes, options: ReadOptions, name: str) -> Film:
    """Decodes a PNG, JPEG, TIFF or BMP file.

    8-bit grey stays as it is. Colour becomes luma: the Y channel of a YCbCr JPEG, otherwise
    0.299 R + 0.587 G + 0.114 B. Transparent pixels lie over black. 16-bit grey is scaled by the full range
    of its bits, `value * 255 // 65535`, never by its own minimum and maximum, so that one film's grey stays
    comparable with another's; only the policy `"percentile"` stretches it. 16-bit colour keeps the high
    byte. The policy `"carzero"` gives what `cv2.imread(path, cv2.IMREAD_GRAYSCALE)` gives, bit by bit.

    Args:
        data: The whole file.
        options: How it is to be read.
        name: What messages call it.

    Raises:
        ImageError: The file is refused.
        ConfigError: Pillow was told to accept half files.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ConfigError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set: half files would be taken for whole ones.",
            "Leave it False.",
        )
    kind = sniff(data)
    if kind not in _CHECKS:
        raise refusal(Reason.NOT_AN_IMAGE, name, "neither PNG, JPEG, TIFF nor BMP")
    header = _CHECKS[kind](data, options, name)
    image = _decode(header, name)
    notes: tuple[str, ...] = ()
    if options.policy == "carzero":
        pixels, grey = _as_opencv_reads(image, data, header, options.frame or 0, name), "as OpenCV reads it"
    else:
        pixels, grey = _to_grey(image, header, options.policy, name)
        if grey == "full range of 16 bits" and not (pixels > 15).any():
            notes = ("at most 12 of 16 bits are used; the policy 'percentile' would show more",)
        pixels = upright(pixels, header.orientation)
    return Film(
        pixels,
        PixelGrid(*pixels.shape),
        FilmMetadata(
            format=header.format,
            bits=header.bits,
            grey=grey,
            inverted=header.photometric == "white is zero",
            photometric=header.photometric,
            frames=header.frames,
            notes=notes,
        ),
    )


def _decode(header: RasterHeader, name: str) -> Image.Image:
    """The decoded image, with all of its pixels; of a JPEG in YCbCr the Y channel alone, as OpenCV does."""
    try:
        if header.format == "JPEG":
            if header.photometric in ("grey", "YCbCr"):
                return _checked(Image.fromarray(jpeg_grey(header, name)), header, name)
            check_scans(header, name)
        image = _checked(_READERS[header.format](io.BytesIO(header.decodable)), header, name)
        image.load()
        return image
    except ImageError:
        raise
    except MemoryError as error:
        raise refusal(Reason.TOO_MUCH_MEMORY, name, "the memory does not suffice") from error
    except _DECODING_ERRORS as error:
        words = str(error)
        if "unknown pixel mode" in words or "unknown data organization" in words:
            what = f"{header.format} of {header.bits} bits, {header.photometric}, cannot be read"
            raise refusal(Reason.UNSUPPORTED_PIXELS, name, what) from error
        reason = Reason.TRUNCATED if "truncated" in words else Reason.DAMAGED
        raise refusal(reason, name, f"the pixels cannot be decoded ({words})") from error


def _checked(image: Image.Image, header: RasterHeader, name: str) -> Image.Image:
    if image.size != (header.width, header.height):
        what = f"the header says {header.width} x {header.height}, the decoder {image.size}"
        raise refusal(Reason.CONTRADICTORY, name, what)
    return image


def _to_grey(
    image: Image.Image, header: RasterHeader, policy: GreyPolicy, name: str
) -> tuple[np.ndarray, str]:
    """(H, W) uint8, and where the scale comes from."""
    try:
        if image.mode in _DEEP and header.photometric in ("grey", "white is zero"):
            deep = np.asarray(image).astype(np.uint16, copy=False)
            grey, scale = scale_deep(
                deep, header.bits, policy, inverted=header.photometric == "white is zero"
            )
            if header.transparent is not None:
                grey = np.where(deep == header.transparent, np.uint8(0), grey)
            return grey, scale
        if image.mode in ("F", *_DEEP):
            raise refusal(
                Reason.UNSUPPORTED_PIXELS, name, f"pixels of the kind {image.mode} have no grey scale"
            )
        if image.has_transparency_data:
            black = Image.new("RGBA", image.size, (0, 0, 0, 255))
            image = Image.alpha_composite(black, image.convert("RGBA"))
        grey = np.asarray(image if image.mode == "L" else image.convert("L"))
    except MemoryError as error:
        raise refusal(Reason.TOO_MUCH_MEMORY, name, "the memory does not suffice") from error
    except (ValueError, KeyError) as error:
        if isinstance(error, ImageError):
            raise
        what = f"pixels of the kind {image.mode} have no grey scale"
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, what) from error
    if header.photometric == "white is zero":
        grey = 255 - grey
    return grey, f"{header.bits}-bit" if header.photometric in ("grey", "white is zero") else "luma"


def scale_deep(
    deep: np.ndarray, bits: int, policy: GreyPolicy = "standard", inverted: bool = False
) -> tuple[np.ndarray, str]:
    """Grey of 9 to 16 bits as 8 bits, and the name of the scale.

    Args:
        deep: (H, W) uint16.
        bits: How many of the bits are used.
        policy: `"percentile"` stretches from the 0.5th to the 99.5th percentile; others take the full range.
        inverted: Whether 0 is white.

    Example:
        >>> scale_deep(np.array([[0, 2570, 65535]], np.uint16), bits=16)
        (array([[  0,  10, 255]], dtype=uint8), 'full range of 16 bits')
    """
    top = 2**bits - 1
    if policy == "percentile":
        counts = np.bincount(deep.ravel(), minlength=top + 1).cumsum()
        low, high = (int(np.searchsorted(counts, share / 100 * deep.size)) for share in PERCENTILES)
        if high > low:
            steps = ((np.arange(len(counts)) - low) * (255 / (high - low)) + 0.5).clip(0, 255)
            table = steps.astype(np.uint8)
            return (255 - table if inverted else table)[deep], "percentile"
    if bits == 16:
        grey = (deep // np.uint16(257)).astype(np.uint8)
    else:
        grey = (deep.astype(np.uint32) * 255 // top).clip(0, 255).astype(np.uint8)
    # Turned over before the division: 65535 - v, so that rounding stays downwards.
    if inverted:
        grey = scale_deep(np.uint16(top) - deep, bits)[0]
    return grey, f"full range of {bits} bits"


def _as_opencv_reads(
    image: Image.Image, data: bytes, header: RasterHeader, frame: int, name: str
) -> np.ndarray:
    """What `cv2.imread(path, cv2.IMREAD_GRAYSCALE)` gives, for a file that is known to be whole.

    Plain grey PNG and the Y channel of a JPEG are the same from both decoders (tested), so they are not
    decoded twice.
    """
    if header.orientation == 1 and not header.alpha:
        kind = (header.format, header.photometric, header.bits)
        if kind in (("PNG", "grey", 8), ("JPEG", "grey", 8), ("JPEG", "YCbCr", 8)):
            return np.asarray(image)
        if kind == ("PNG", "grey", 16):
            return (np.asarray(image) >> 8).astype(np.uint8)
    content = np.frombuffer(data, np.uint8)
    try:
        if header.frames == 1 or header.format == "PNG":
            pixels = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
        else:
            ok, pages = cv2.imdecodemulti(content, cv2.IMREAD_GRAYSCALE, range=(frame, frame + 1))
            pixels = pages[0] if ok and pages else None
    except cv2.error as error:
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, "OpenCV does not read this file") from error
    if pixels is None or pixels.dtype != np.uint8:
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, "OpenCV does not read this file as 8-bit grey")
    return pixels
