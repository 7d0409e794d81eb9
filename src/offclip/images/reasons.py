"""The fixed list of reasons for which a file is refused, each with what to do about it."""

from __future__ import annotations

from enum import StrEnum

from offclip.errors import ImageError


class Reason(StrEnum):
    """Why a file gave no pixels. The values stand in `skipped.csv` and in counts; they do not change.

    Example:
        >>> Reason.TRUNCATED.value
        'truncated'
    """

    MISSING = "missing"
    NOT_A_FILE = "not-a-file"
    EMPTY = "empty"
    FILE_TOO_LARGE = "file-too-large"
    NOT_AN_IMAGE = "not-an-image"
    UNSUPPORTED_FORMAT = "unsupported-format"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported-transfer-syntax"
    DECODER_NOT_INSTALLED = "decoder-not-installed"
    UNSUPPORTED_PIXELS = "unsupported-pixels"
    WRONG_MODALITY = "wrong-modality"
    NO_PIXELS = "no-pixels"
    MULTI_FRAME = "multi-frame"
    NO_SUCH_FRAME = "no-such-frame"
    BURNED_IN = "burned-in-annotation"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_MANY_FRAMES = "too-many-frames"
    UNPACKS_TOO_LARGE = "unpacks-too-large"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    CONTRADICTORY = "contradictory"
    TOO_SLOW = "too-slow"
    TOO_MUCH_MEMORY = "too-much-memory"
    DECODER_CRASHED = "decoder-crashed"


REMEDIES = {
    Reason.MISSING: "Check the path in the table.",
    Reason.NOT_A_FILE: "Check the path and its permissions.",
    Reason.EMPTY: "Fetch the file again.",
    Reason.FILE_TOO_LARGE: "Raise Limits.max_file_bytes if the file is genuine.",
    Reason.NOT_AN_IMAGE: "Remove the file, or give an image instead.",
    Reason.UNSUPPORTED_FORMAT: "Convert the file to DICOM, PNG, JPEG or TIFF.",
    Reason.UNSUPPORTED_TRANSFER_SYNTAX: "Convert the file to a lossless transfer syntax.",
    Reason.DECODER_NOT_INSTALLED: 'Install it: pip install "offclip[dicom]".',
    Reason.UNSUPPORTED_PIXELS: "Export the image with 8 or 16 bits of grey.",
    Reason.WRONG_MODALITY: "Leave the file out, or name its modality in ReadOptions.modalities.",
    Reason.NO_PIXELS: "Leave the file out; it holds no image.",
    Reason.MULTI_FRAME: "Choose a frame with ReadOptions.frame, or leave the file out.",
    Reason.NO_SUCH_FRAME: "Choose another frame.",
    Reason.BURNED_IN: "Leave the file out, or keep it with ReadOptions.burned_in='keep'.",
    Reason.TOO_MANY_PIXELS: "Raise Limits.max_pixels if the image is genuine.",
    Reason.TOO_MANY_FRAMES: "Raise Limits.max_frames if the file is genuine.",
    Reason.UNPACKS_TOO_LARGE: "Raise Limits.max_unpacked_bytes if the file is genuine.",
    Reason.TRUNCATED: "Fetch the file again; it is cut off.",
    Reason.DAMAGED: "Fetch the file again; it is damaged.",
    Reason.CONTRADICTORY: "Export the file again; its header and its pixels do not belong together.",
    Reason.TOO_SLOW: "Raise Limits.seconds if the file is genuine.",
    Reason.TOO_MUCH_MEMORY: "Raise Limits.memory_bytes if the file is genuine.",
    Reason.DECODER_CRASHED: "Leave the file out; it makes the decoder crash.",
}


def refusal(reason: Reason, name: str, what: str, remedy: str = "") -> ImageError:
    """The error that refuses a file.

    Args:
        reason: Which of the list.
        name: The file.
        what: What was wrong with it, in words.
        remedy: What to do, where the remedy of the list does not fit.

    Example:
        >>> error = refusal(Reason.EMPTY, "film.dcm", "the file is empty (0 bytes)")
        >>> error.reason, str(error)
        ('empty', 'film.dcm: the file is empty (0 bytes). Fetch the file again.')
    """
    return ImageError(f"{name}: {what}.", remedy or REMEDIES[reason], reason.value)
