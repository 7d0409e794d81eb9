"""From a file to a film, or a clear refusal: the one door through which images come in."""

from __future__ import annotations

import stat
from pathlib import Path

from offclip.errors import ImageError
from offclip.images.film import Film, ReadOptions
from offclip.images.formats.sniff import SNIFFED_BYTES, sniff, what_else
from offclip.images.limits import Limits
from offclip.images.raw_img import is_jsrt, read_jsrt
from offclip.images.reasons import Reason, refusal

__all__ = ["read", "read_bytes", "sniff"]


def read(source: str | Path | bytes, options: ReadOptions = ReadOptions(), *, name: str = "") -> Film:
    """Reads a DICOM, PNG, JPEG, TIFF or BMP file as 8-bit grey, bone white.

    The format is told by the content, and never by the name of the file but for the raw films of JSRT. This
    runs in the calling process; for files from outside use `offclip.images.pool`, where a decoder that
    crashes costs one file.

    Args:
        source: A path, or the content of a file.
        options: How grey values are scaled, which films are taken, and what they may cost.
        name: What messages call the file; the path where it is not given.

    Raises:
        ImageError: The file is refused; `error.reason` is one of `offclip.images.Reason`.

    Example:
        >>> import io, numpy as np
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.fromarray(np.array([[0, 128, 255]], np.uint8)).save(file, "PNG")
        >>> film = read(file.getvalue(), name="film.png")
        >>> film.pixels.tolist(), film.metadata.format
        ([[0, 128, 255]], 'PNG')
        >>> read(b"", name="film.png")
        Traceback (most recent call last):
        ...
        offclip.errors.ImageError: film.png: the file is empty (0 bytes). Fetch the file again.
    """
    if isinstance(source, bytes):
        name = name or "image"
        _check_length(len(source), options.limits, name)
        data = source
    else:
        name = name or str(source)
        data = read_bytes(source, options.limits, name)
    if is_jsrt(name, len(data)) and data[128:132] != b"DICM":  # its first grey values may look like DICOM
        return read_jsrt(data, options, name)
    kind = sniff(data[:SNIFFED_BYTES])
    if kind is None:
        reason, what = what_else(data[:SNIFFED_BYTES])
        raise refusal(reason, name, what)
    if kind == "DICOM":
        from offclip.images.dicom.reading import read_dicom  # needs an extra

        return read_dicom(data, options, name)
    from offclip.images.raster import read_raster

    return read_raster(data, options, name)


def read_bytes(path: str | Path, limits: Limits, name: str) -> bytes:
    """The content of a file, once it is known to be one and not too large.

    A pipe or a device is refused without being opened, which could wait for ever.

    Raises:
        ImageError: The path is missing, no file, not readable, empty or too large.
    """
    try:
        about = Path(path).stat()
    except FileNotFoundError as error:
        raise refusal(Reason.MISSING, name, "the file does not exist") from error
    except (OSError, ValueError) as error:
        raise _cannot_be_opened(error, name) from error
    if not stat.S_ISREG(about.st_mode):
        kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a pipe or a device"
        raise refusal(Reason.NOT_A_FILE, name, f"is {kind}, not a file")
    _check_length(about.st_size, limits, name)
    try:
        with Path(path).open("rb") as file:
            data = file.read(about.st_size + 1)
    except OSError as error:
        raise _cannot_be_opened(error, name) from error
    if len(data) != about.st_size:
        raise refusal(Reason.TRUNCATED, name, "the file changed while it was read")
    return data


def _check_length(length: int, limits: Limits, name: str) -> None:
    if length == 0:
        raise refusal(Reason.EMPTY, name, "the file is empty (0 bytes)")
    if length > limits.max_file_bytes:
        raise refusal(
            Reason.FILE_TOO_LARGE, name, f"{length:,} bytes are more than {limits.max_file_bytes:,}"
        )


def _cannot_be_opened(error: Exception, name: str) -> ImageError:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return refusal(Reason.NOT_A_FILE, name, f"cannot be opened ({words})")
