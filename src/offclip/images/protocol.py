"""What the process that decodes and the one that asks say to each other: frames of JSON and raw bytes.

A frame is a mark, two lengths, a JSON object and bytes. Nothing in it is code: a decoder that was taken over
by a hostile file can lie about pixels and no more, so whoever reads a frame checks it against what it asked.
"""

from __future__ import annotations

import json
import math
import struct
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

_MARK = b"OCF1"
_LENGTHS = struct.Struct("<4sIQ")
MAX_HEAD_BYTES = 2**20

T = TypeVar("T")


class ProtocolError(ValueError):
    """The other side said something that is no frame, or not what was asked for."""


class Readable(Protocol):
    """The end of a pipe that is read."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Fills the beginning of a buffer and says how much; 0 at the end."""


class Writable(Protocol):
    """The end of a pipe that is written."""

    def write(self, data: Any, /) -> int | None:
        """Writes the beginning of the data and says how much."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes:
        head: What it says.
        body: (N,) uint8, pixels or the bytes of a file.
    """

    head: dict[str, Any]
    body: np.ndarray


def write_frame(pipe: Writable, head: dict[str, Any], body: bytes | memoryview = b"") -> None:
    """Writes a message to an unbuffered pipe.

    Raises:
        OSError: Nobody reads the pipe any more.
    """
    text = json.dumps(head, allow_nan=False).encode()
    _write(pipe, _LENGTHS.pack(_MARK, len(text), len(body)) + text)
    _write(pipe, body)


def read_frame(pipe: Readable, max_body: int) -> Frame | None:
    """Reads a message; None when the pipe ends before one.

    Args:
        pipe: An unbuffered pipe.
        max_body: Most bytes that the body may have; memory is taken only after the check.

    Raises:
        ProtocolError: This is no frame, it is cut off, or it is too long.
    """
    lengths = _read(pipe, _LENGTHS.size)
    if not len(lengths):
        return None
    if len(lengths) < _LENGTHS.size:
        raise ProtocolError("the message is cut off")
    mark, head_bytes, body_bytes = _LENGTHS.unpack(lengths.data)
    if mark != _MARK:
        raise ProtocolError("the message does not begin with the mark of a frame")
    if head_bytes > MAX_HEAD_BYTES or body_bytes > max_body:
        raise ProtocolError(f"the message has {body_bytes:,} bytes, at most {max_body:,} were expected")
    text, body = _read(pipe, head_bytes), _read(pipe, body_bytes)
    if len(text) < head_bytes or len(body) < body_bytes:
        raise ProtocolError("the message is cut off")
    try:
        head = json.loads(text.tobytes(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the head of the message is no JSON") from error
    if not isinstance(head, dict):
        raise ProtocolError("the head of the message is no JSON object")
    return Frame(head, body)


def plain(value: Any) -> Any:
    """A dataclass as JSON takes it."""
    return None if value is None else asdict(value)


def rebuild(kind: type[T], value: Any) -> T:
    """A dataclass from what JSON made of it, every field checked against its type.

    Args:
        kind: A dataclass of numbers, strings, tuples, literals, and such dataclasses.
        value: What came over the pipe.

    Raises:
        ProtocolError: A field is missing, unknown, or of another type.

    Example:
        >>> from offclip.images.film import PixelGrid
        >>> rebuild(PixelGrid, {"height": 2, "width": 3, "spacing_mm": [0.1, 0.1]})
        PixelGrid(height=2, width=3, aspect=1.0, spacing_mm=(0.1, 0.1))
        >>> rebuild(PixelGrid, {"height": "2", "width": 3})
        Traceback (most recent call last):
        ...
        offclip.images.protocol.ProtocolError: PixelGrid.height: a string is no int
    """
    return _value(kind, value, kind.__name__)


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        return _object(kind, value, where)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _one_of(get_args(kind), value, where)
    if origin is Literal and any(type(value) is type(known) and value == known for known in get_args(kind)):
        return value
    if origin is tuple and isinstance(value, list):
        kinds = get_args(kind)
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        if len(kinds) == len(value):
            pairs = zip(kinds, value, strict=True)
            return tuple(_value(part, item, where) for part, item in pairs)
    if kind is float and isinstance(value, int | float) and type(value) is not bool and math.isfinite(value):
        return float(value)
    if kind in (int, str, bool, NoneType) and type(value) is kind:
        return value
    names = {str: "a string", dict: "an object", list: "a list", NoneType: "null"}
    found = names.get(type(value), f"the value {value!r}")
    raise ProtocolError(f"{where}: {found} is no {getattr(kind, '__name__', kind)}")


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    for kind in kinds[:-1]:
        with suppress(ProtocolError):
            return _value(kind, value, where)
    return _value(kinds[-1], value, where)


def _object(kind: Any, value: Any, where: str) -> Any:
    hints = _hints(kind)
    if not isinstance(value, dict) or not value.keys() <= hints.keys():
        raise ProtocolError(f"{where}: not the fields of {kind.__name__}")
    values = {name: _value(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"{where}: {error}") from error


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _write(pipe: Writable, data: bytes | memoryview) -> None:
    left = memoryview(data).cast("B") if len(data) else memoryview(b"")
    while left:
        left = left[pipe.write(left) or 0 :]


def _read(pipe: Readable, size: int) -> np.ndarray:
    """`size` bytes, or fewer where the pipe ends."""
    buffer = np.empty(size, np.uint8)  # not filled with zeros first
    filled = 0
    while filled < size:
        count = pipe.readinto(buffer.data[filled:])
        if not count:
            break
        filled += count
    return buffer[:filled]
