"""Lies of DICOM headers and of the items around a codestream."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

from hostile_specimens import Specimen

from dicom_files import UIDS, encapsulate, file_of

# One decoder reads these, and what tells them apart is not in every codestream.
_SIBLINGS = (
    {"jpeg-lossless", "jpeg-lossless-57"},
    {"jpeg", "jpeg-extended", "jpeg-colour"},
    {"jpeg-ls", "jpeg-ls-near"},
    {"jpeg-2000", "jpeg-2000-lossy"},
    {"htj2k", "htj2k-rpcl", "htj2k-lossy"},
    {"implicit", "explicit", "deflated", "big-endian"},
)


def cut_streams(specimen: Specimen, stream: bytes) -> bytes:
    """The file with another codestream, in sound items."""
    assert specimen.pixels
    fragments = 1 if specimen.name == "rle" or len(stream) < 4 else 2
    pixels = replace(
        specimen.pixels,
        codestreams=(stream,),
        pixel_data=encapsulate([stream], fragments, table=fragments == 1),
    )
    return file_of(pixels, dict(specimen.attributes))


def _number(rng: random.Random, value: int, top: int = 65535) -> int:
    """Another number: near, far, or at the end of what can be said."""
    near = (value - 1, value + 1, value * 2, value // 2, value + rng.choice((8, 16)), max(value - 8, 1))
    return rng.choice((*near, 0, 1, top, rng.randrange(top))) % (top + 1)


def header_lies(specimen: Specimen, rng: random.Random) -> tuple[bytes, str, bool]:
    """The file with a changed attribute, what it says, and whether anything contradicts it."""
    assert specimen.pixels
    header, pixels = specimen.pixels.header, specimen.pixels
    native = not pixels.codestreams
    # Which bits of a word are a value, nothing else says; nor where a codestream has as many as the word.
    bare = native or specimen.name == "rle" or header.bits_stored == header.bits_allocated
    keyword = rng.choice(
        (
            "Rows",
            "Columns",
            "Rows and Columns",
            "BitsStored",
            "HighBit",
            "BitsAllocated",
            "SamplesPerPixel",
            "NumberOfFrames",
            "PhotometricInterpretation",
            "PixelRepresentation",
            "TransferSyntaxUID",
        )
    )
    checked = True
    if keyword == "TransferSyntaxUID":
        other = rng.choice([name for name in UIDS if UIDS[name] != header.transfer_syntax])
        # Two of them say of the same bytes that they stand in another order.
        checked = not ((native and other == "big-endian") or specimen.name == "big-endian")
        if any({specimen.name, other} <= siblings for siblings in _SIBLINGS[:-1]):
            checked = True  # read alike, or refused
        data = file_of(
            replace(pixels, header=replace(header, transfer_syntax=UIDS[other])), dict(specimen.attributes)
        )
        return data, f"TransferSyntaxUID of {other}", checked
    values: dict[str, object]
    if keyword == "Rows and Columns":
        values = {"Rows": header.columns, "Columns": header.rows}
        checked = not (native or specimen.name == "rle")  # as many pixels as before
    elif keyword in ("Rows", "Columns"):
        values = {keyword: _number(rng, header.rows if keyword == "Rows" else header.columns)}
    elif keyword == "BitsStored":
        stored = rng.choice((1, 7, 8, 10, 11, 12, 13, 16, 32, 0, rng.randrange(40)))
        values = {keyword: stored, "HighBit": rng.choice((max(stored - 1, 0), header.high_bit))}
        checked = not bare
    elif keyword == "HighBit":
        values = {keyword: rng.choice((0, 7, 8, 10, 11, 12, 15, 16, 31))}
        checked = not bare
    elif keyword == "BitsAllocated":
        values = {keyword: rng.choice((0, 1, 8, 12, 16, 24, 32, 64, 65535))}
    elif keyword == "SamplesPerPixel":
        values = {keyword: rng.choice((0, 1, 2, 3, 4, 65535))}
    elif keyword == "NumberOfFrames":
        values = {keyword: rng.choice((0, 2, 3, 1000, 10**6, 2**31 - 1))}
    elif keyword == "PhotometricInterpretation":
        other = rng.choice(
            ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_RCT", "HSV", "")
        )
        values = {keyword: other}
        # Which way round grey is, and in which space colour is, only the header says.
        checked = not (other.startswith("MONO") or header.samples == 3)
    else:
        values = {keyword: rng.choice((1, 2, 65535))}
        checked = specimen.name.startswith(("jpeg-2000", "htj2k"))
    return file_of(pixels, {**specimen.attributes, **values}), f"{values}", checked


def twin_lies(specimen: Specimen, rng: random.Random) -> tuple[bytes, str, bool] | None:
    """Header and codestream tell the same lie about the size."""
    assert specimen.pixels
    header, stream = specimen.pixels.header, specimen.stream
    if not stream:
        return None
    down = rng.random() < 0.5
    true = header.rows if down else header.columns
    value = _number(rng, true)
    if value == 0:
        return None
    if stream[:2] == b"\xff\xd8":
        sof = next(
            i for i in range(len(stream)) if stream[i] == 0xFF and stream[i + 1] in (0xC0, 0xC1, 0xC3, 0xF7)
        )
        at, width = sof + (5 if down else 7), 2
    elif stream[:2] == b"\xff\x4f":
        at, width = 2 + (10 if down else 6), 4
    else:
        at = width = 0
    if width:
        stream = stream[:at] + value.to_bytes(width, "big") + stream[at + width :]
        if stream[:2] == b"\xff\x4f" and rng.random() < 0.5:  # the tile as large as the image
            at += 16
            stream = stream[:at] + value.to_bytes(width, "big") + stream[at + width :]
    lie = replace(header, rows=value) if down else replace(header, columns=value)
    said = replace(
        specimen,
        pixels=replace(specimen.pixels, header=lie),
    )
    # A block of 8 or 16 pixels that is cut by the edge says not where.
    block = {"jpeg": 8, "jpeg-colour": 16}.get(specimen.name, 1)
    checked = -(-value // block) != -(-true // block)
    # OpenJPEG takes the packets that it needs and does not look at what is left.
    checked = checked and stream[:2] != b"\xff\x4f"
    return cut_streams(said, stream), f"{'rows' if down else 'columns'} {true} -> {value} in both", checked


def item_lies(specimen: Specimen, rng: random.Random) -> tuple[bytes, str]:
    """Lengths and tags of the pixel element and its items changed."""
    assert specimen.pixels
    data, pixel_data = specimen.data, specimen.pixels.pixel_data
    start = data.index(pixel_data)
    order = ">" if specimen.name == "big-endian" else "<"
    if not specimen.pixels.codestreams:
        at, value = start - 4, len(pixel_data)
        what = "length of the pixel element"
    elif rng.random() < 0.1:
        at, value, what = start - 4, 0xFFFFFFFF, "length of the pixel element"
    else:
        places, position = [], 0
        while position < len(pixel_data):
            length = struct.unpack_from("<I", pixel_data, position + 4)[0]
            places.append((start + position + 4, length))
            position += 8 + length
        at, value = rng.choice(places)
        what = f"length of item {places.index((at, value))}"
    rest = max(len(data) - at - 4, 8)
    lie = rng.choice(
        (
            0,
            2,
            0xFFFFFFFF,
            0xFFFFFFFE,
            value + 2,
            value - 2,
            value + 8,
            value // 4 * 2,
            rest,
            rest - 8,
            rng.randrange(rest),
        )
    )
    if rng.random() < 0.1:
        tag = rng.choice(((0xFFFE, 0xE00D), (0xFFFE, 0xE0DD), (0xFFFE, 0xE000), (0x7FE0, 0x0010), (0, 0)))
        return data[: at - 4] + struct.pack(f"{order}HH", *tag) + data[at:], f"tag {tag} at the {what}"
    lie %= 2**32
    return data[:at] + struct.pack(f"{order}I", lie) + data[at + 4 :], f"{what} {value} -> {lie}"
