"""Seeded mutations of a sound file: flipped bits, cuts, splices, lies."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hostile_dicom_lies import cut_streams, header_lies, item_lies, twin_lies
from hostile_specimens import Specimen
from hostile_stream_lies import CUTS, LIES


@dataclass(frozen=True)
class Mutant:
    """A changed file.

    Attributes:
        family: Kind of the mutation.
        what: What was changed, in words.
        data: The file.
        checked: Whether something in the file contradicts the change, so that other pixels are a fault.
    """

    family: str
    what: str
    data: bytes = field(repr=False)
    checked: bool


_Maker = Callable[[Specimen, random.Random], Mutant | None]


def mutants(specimen: Specimen, count: int, seed: int = 0) -> Iterator[Mutant]:
    """`count` mutants of a specimen, the families in turn; the same for the same seed."""
    rng = random.Random(f"{specimen.name} {seed}")
    makers = [maker for maker, share in _SHARES.items() for _ in range(share)]
    made = turn = 0
    while made < count:
        mutant = makers[turn % len(makers)](specimen, rng)
        turn += 1
        if mutant is None or mutant.data == specimen.data:
            if turn > 50 * count:
                raise AssertionError("hardly any mutation applies")
            continue
        made += 1
        yield mutant


def _flipped(data: bytes, rng: random.Random, end: int) -> tuple[bytes, str]:
    changed, bits = bytearray(data), rng.choice((1, 1, 1, 2, 3, 4, 6, 8))
    places = sorted(rng.randrange(8 * end) for _ in range(bits))
    for place in places:
        changed[place // 8] ^= 1 << place % 8
    return bytes(changed), f"bits {places}"


def _flip_anywhere(specimen: Specimen, rng: random.Random) -> Mutant:
    data, what = _flipped(specimen.data, rng, len(specimen.data))
    return Mutant("flip", what, data, specimen.strict)


def _flip_header(specimen: Specimen, rng: random.Random) -> Mutant:
    begin, end = specimen.header
    data, what = _flipped(specimen.data[begin:], rng, end - begin)
    return Mutant("flip header", what, specimen.data[:begin] + data, specimen.strict)


def _truncate(specimen: Specimen, rng: random.Random) -> Mutant:
    size = len(specimen.data)
    length = rng.randrange(1, size) if rng.random() < 0.7 else size - rng.randrange(1, min(size, 40))
    return Mutant("truncated", f"{length} of {size} bytes", specimen.data[:length], True)


def _splice(specimen: Specimen, rng: random.Random) -> Mutant:
    data = specimen.data
    begin = rng.randrange(len(data))
    end = min(len(data), begin + rng.choice((1, 2, 4, 16, 64, 256, 1024)))
    how = rng.choice(("removed", "doubled", "zeroed", "swapped with the next"))
    block = data[begin:end]
    if how == "removed":
        changed = data[:begin] + data[end:]
    elif how == "doubled":
        changed = data[:begin] + block + block + data[end:]
    elif how == "zeroed":
        changed = data[:begin] + bytes(len(block)) + data[end:]
    else:
        after = data[end : end + len(block)]
        changed = data[:begin] + after + block + data[end + len(after) :]
    return Mutant("splice", f"bytes {begin} to {end} {how}", changed, specimen.strict)


def _no_end(specimen: Specimen, rng: random.Random) -> Mutant | None:
    """The container is sound, but its end is missing, or the end of the codestream in it."""
    data = specimen.data
    if specimen.format == "dicom":
        if specimen.pixels is None or not specimen.pixels.codestreams:
            return None
        if rng.random() < 0.3:
            return Mutant("no end", "no sequence delimiter", data[:-8], True)
        stream = specimen.stream
        if stream[-2:] == b"\0\0" or specimen.name == "rle":
            return None
        end = max(stream.rfind(b"\xff\xd9"), 0)
        kept = rng.choice(
            (stream[:end], stream[:end] + b"\xff", stream[:end] + b"\0\0", stream[: end + 1] + b"\0")
        )
        return Mutant("no end", "no end marker", cut_streams(specimen, kept), True)
    if specimen.format == "png":
        return Mutant("no end", "no IEND", data[: data.index(b"IEND") - 4], True)
    if specimen.format == "jpeg":
        return Mutant("no end", "no EOI", data[:-2] + rng.choice((b"", b"\xff", bytes(2), bytes(50))), True)
    return None


def _stream_lie(specimen: Specimen, rng: random.Random) -> Mutant | None:
    """The header of the codestream, or of a file that is no DICOM, says something else."""
    stream = specimen.stream
    lie = LIES[_kind(specimen)] if stream else None
    if lie is None:
        return None
    changed, what, checked = lie(stream, rng)
    data = changed
    if specimen.format == "dicom":
        # In place where the lengths agree; the fragments lie one after the other, each with its header.
        data = cut_streams(specimen, changed)
    return Mutant("codestream lies", what, data, checked)


def _cut(specimen: Specimen, rng: random.Random) -> Mutant | None:
    """Entropy-coded data end early, and everything around them is made to fit."""
    stream = specimen.stream
    cut = CUTS.get(_kind(specimen)) if stream else None
    if cut is None:
        return None
    changed, what = cut(stream, rng)
    data = cut_streams(specimen, changed) if specimen.format == "dicom" else changed
    # A JPEG 2000 that ends between two packets is a codestream of fewer packets.
    return Mutant("codestream cut", what, data, _kind(specimen) != "jpeg-2000")


def _header_lie(specimen: Specimen, rng: random.Random) -> Mutant | None:
    if specimen.format != "dicom":
        return None
    data, what, checked = header_lies(specimen, rng)
    return Mutant("header lies", what, data, checked)


def _twin_lie(specimen: Specimen, rng: random.Random) -> Mutant | None:
    made = twin_lies(specimen, rng) if specimen.format == "dicom" else None
    return Mutant("both lie", made[1], made[0], made[2]) if made else None


def _item_lie(specimen: Specimen, rng: random.Random) -> Mutant | None:
    if specimen.format != "dicom" or specimen.name == "deflated":
        return None
    data, what = item_lies(specimen, rng)
    return Mutant("item lies", what, data, True)


def _kind(specimen: Specimen) -> str:
    stream = specimen.stream
    if specimen.format != "dicom":
        return specimen.format
    if stream[:2] == b"\xff\xd8":
        return "jpeg"
    return "jpeg-2000" if stream[:2] == b"\xff\x4f" else "rle"


_SHARES: dict[_Maker, int] = {
    _flip_anywhere: 4,
    _flip_header: 3,
    _truncate: 3,
    _splice: 2,
    _no_end: 1,
    _stream_lie: 3,
    _cut: 2,
    _header_lie: 3,
    _twin_lie: 2,
    _item_lie: 2,
}

__all__ = ["Mutant", "mutants"]
