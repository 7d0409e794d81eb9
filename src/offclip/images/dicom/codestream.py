"""What a codestream says about itself, and that it must be what the DICOM header says."""

from __future__ import annotations

from dataclasses import dataclass

from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.reasons import Reason, refusal


@dataclass(frozen=True, slots=True)
class Codestream:
    """The header of a codestream.

    Attributes:
        rows, columns: Size in pixels.
        components: Samples a pixel.
        precision: Bits of a sample.
        signed: Two's complement; None where the codec does not say.
        colour: `"RGB"` or `"YBR"` where the codestream says it of its three components, else None.
        planar: Whether the decoder gives colour by plane.
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool | None = None
    colour: str | None = None
    planar: bool = False


def is_padding(rest: bytes) -> bool:
    r"""Whether what follows an end marker is there only for an even length: zeros, or a single FF.

    Example:
        >>> is_padding(b"\0\0"), is_padding(b"\xff"), is_padding(b"\xff\xd8")
        (True, True, False)
    """
    return not rest.strip(b"\0") or rest == b"\xff"


def check_against(header: PixelHeader, stream: Codestream, name: str, whole_words: bool = True) -> None:
    """Refuses a codestream that does not belong to its header, before any memory is taken for its pixels.

    The precision must be the bits stored, or with `whole_words` the bits allocated: DCMTK and GDCM write 12
    stored bits as 16. Then the decoded values are checked for the bits stored.

    Args:
        header: What the DICOM header says.
        stream: What the codestream says.
        name: The file, for messages.
        whole_words: Whether the codec is one that whole words are put into.

    Raises:
        ImageError: `contradictory`.
    """
    if (stream.rows, stream.columns) != (header.rows, header.columns):
        said, is_ = f"{header.columns} x {header.rows}", f"{stream.columns} x {stream.rows}"
        raise refusal(Reason.CONTRADICTORY, name, f"the header says {said} pixels, the codestream {is_}")
    if stream.components != header.samples:
        what = f"the header says {header.samples} samples a pixel, the codestream {stream.components}"
        raise refusal(Reason.CONTRADICTORY, name, what)
    exact = stream.precision == header.bits_stored and header.high_bit == header.bits_stored - 1
    if not exact and not (whole_words and stream.precision == header.bits_allocated):
        what = f"the header says {header.bits_stored} bits stored, the codestream {stream.precision}"
        raise refusal(Reason.CONTRADICTORY, name, what)
    if stream.signed is not None and stream.signed != header.signed:
        words = {True: "signed", False: "unsigned"}
        what = f"the header says {words[header.signed]} values, the codestream {words[stream.signed]}"
        raise refusal(Reason.CONTRADICTORY, name, what)
