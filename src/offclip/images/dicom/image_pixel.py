"""The Image Pixel module of a header (PS3.3 C.7.6.3), each number checked."""

from __future__ import annotations

from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.limits import Limits
from offclip.images.reasons import Reason, refusal

_GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")


def pixel_header_of(attributes: Attributes, syntax: str, limits: Limits, notes: list[str]) -> PixelHeader:
    """The pixel header of a file.

    Args:
        attributes: The header.
        syntax: UID of the transfer syntax.
        limits: What the pixels may cost.
        notes: Takes what is assumed.

    Raises:
        ImageError: A number is missing (`damaged`), impossible with another (`contradictory`), not supported
            (`unsupported-pixels`) or over a limit (`too-many-frames`, `too-many-pixels`,
            `unpacks-too-large`).
    """
    name = attributes.name
    photometric = attributes.text("PhotometricInterpretation").upper()
    if photometric not in _GREY + _COLOUR:
        reason = Reason.UNSUPPORTED_PIXELS if photometric else Reason.DAMAGED
        what = "is none that is known" if photometric else "is missing"
        raise refusal(reason, name, f"the photometric interpretation {what}")
    samples = _integer(
        attributes, "SamplesPerPixel", name, default=1 if photometric in _GREY else 3, notes=notes
    )
    if samples != (1 if photometric in _GREY else 3):
        raise refusal(Reason.CONTRADICTORY, name, f"{samples} samples a pixel do not fit {photometric}")
    allocated = _integer(attributes, "BitsAllocated", name)
    if allocated not in (1, 8, 16, 32):
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, f"{allocated} bits are allocated for a grey value")
    stored = _integer(attributes, "BitsStored", name)
    high_bit = _integer(attributes, "HighBit", name, default=stored - 1, notes=notes)
    if not (1 <= stored <= allocated and stored - 1 <= high_bit < allocated):
        raise refusal(
            Reason.CONTRADICTORY,
            name,
            f"{stored} bits up to bit {high_bit} do not fit {allocated} allocated bits",
        )
    signed = _integer(attributes, "PixelRepresentation", name)
    planar = _integer(attributes, "PlanarConfiguration", name, default=0)
    if signed not in (0, 1) or planar not in (0, 1):
        raise refusal(
            Reason.DAMAGED, name, "the pixel representation or the planar configuration is neither 0 nor 1"
        )
    frames = _integer(attributes, "NumberOfFrames", name, default=1)
    rows, columns = _integer(attributes, "Rows", name), _integer(attributes, "Columns", name)
    if min(rows, columns, frames) < 1:
        raise refusal(
            Reason.DAMAGED, name, f"{rows} rows, {columns} columns and {frames} frames hold no pixel"
        )
    header = PixelHeader(
        transfer_syntax=syntax,
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit,
        signed=signed == 1,
        photometric=photometric,
        planar=planar,
        frames=frames,
    )
    _check_limits(header, limits, name)
    return header


def _integer(
    attributes: Attributes,
    keyword: str,
    name: str,
    default: int | None = None,
    notes: list[str] | None = None,
) -> int:
    value = attributes.integer(keyword)
    if value is not None:
        return value
    if default is None:
        raise refusal(Reason.DAMAGED, name, f"the attribute {keyword} is missing")
    if notes is not None:
        notes.append(f"{keyword} is missing; {default} is assumed.")
    return default


def _check_limits(header: PixelHeader, limits: Limits, name: str) -> None:
    if header.frames > limits.max_frames:
        raise refusal(
            Reason.TOO_MANY_FRAMES, name, f"{header.frames:,} frames are more than {limits.max_frames:,}"
        )
    if header.rows * header.columns > limits.max_pixels:
        raise refusal(
            Reason.TOO_MANY_PIXELS,
            name,
            f"{header.columns} x {header.rows} pixels are more than {limits.max_pixels:,}",
        )
    if header.frame_bytes > limits.max_unpacked_bytes:
        raise refusal(
            Reason.UNPACKS_TOO_LARGE,
            name,
            f"a frame of {header.frame_bytes:,} bytes is more than {limits.max_unpacked_bytes:,}",
        )
