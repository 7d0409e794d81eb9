"""The header of a JPEG or JPEG-LS codestream, read before a decoder sees it.

What no header can tell: a changed bit within the entropy-coded data. These codecs carry no checksum, so a
flipped bit that gives another valid code changes pixels and nothing notices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from offclip.images.dicom.codestream import Codestream
from offclip.images.dicom.jpeg_markers import (
    APP0,
    APP8,
    APP14,
    DNL,
    DRI,
    FRAMES,
    LSE,
    SOF55,
    SOS,
    Segment,
    walk,
)
from offclip.images.dicom.syntaxes import Syntax
from offclip.images.reasons import Reason, refusal

_SOF0, _SOF1, _SOF3 = 0xC0, 0xC1, 0xC3
_PROCESSES = {"jpeg": (_SOF0, _SOF1), "jpeg-lossless": (_SOF3,), "jpeg-ls": (SOF55,)}
_BASELINE, _EXTENDED, _FIRST_ORDER = (f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 70))


@dataclass(frozen=True, slots=True)
class _Frame:
    marker: int
    precision: int
    rows: int
    columns: int
    ids: bytes
    sampling: tuple[tuple[int, int], ...]


def read_jpeg(data: bytes, syntax: Syntax, name: str) -> Codestream:
    """Reads and checks a codestream of JPEG baseline, extended or lossless, or of JPEG-LS.

    Args:
        data: The codestream of a frame.
        syntax: Its transfer syntax; the process of the codestream must be the one that it names.
        name: The file, for messages.

    Raises:
        ImageError: `truncated`, `damaged`; `contradictory`: another process than the transfer syntax says;
            `unsupported-transfer-syntax`: 12-bit extended JPEG; `unsupported-pixels`: several scans, DNL,
            mapping tables or another rarity that the decoder gets wrong.
    """
    segments = walk(data, name)
    frame = _frame(segments, syntax, name)
    scans = [segment for segment in segments if segment.marker == SOS]
    if not scans or any(scan.scan_bytes == 0 for scan in scans):
        raise refusal(Reason.TRUNCATED, name, "the codestream has no scan")
    if any(segment.marker == DNL for segment in segments) or frame.rows == 0:
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, "the codestream tells its height only after the scan")
    _check_applications(segments, name)
    if syntax.codec == "jpeg-ls":
        planar = _check_ls(segments, frame, scans, syntax, name)
    else:
        planar = False
        _check_scan(frame, scans, segments, syntax, name)
    return Codestream(
        rows=frame.rows,
        columns=frame.columns,
        components=len(frame.ids),
        precision=frame.precision,
        colour=_colour(segments, frame) if len(frame.ids) == 3 and syntax.codec != "jpeg-ls" else None,
        planar=planar,
    )


def _frame(segments: list[Segment], syntax: Syntax, name: str) -> _Frame:
    markers = [segment.marker for segment in segments]
    heads = [segment for segment in segments if segment.marker in FRAMES]
    if len(heads) != 1 or (SOS in markers and markers.index(SOS) < markers.index(heads[0].marker)):
        raise refusal(Reason.DAMAGED, name, "the codestream has no frame header, or several")
    body = heads[0].body
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise refusal(Reason.DAMAGED, name, "the frame header of the codestream has a wrong length")
    if heads[0].marker not in _PROCESSES[syntax.codec]:
        raise refusal(Reason.CONTRADICTORY, name, f"the codestream is not of {syntax.name}")
    frame = _Frame(
        marker=heads[0].marker,
        precision=body[0],
        rows=int.from_bytes(body[1:3], "big"),
        columns=int.from_bytes(body[3:5], "big"),
        ids=body[6::3],
        sampling=tuple((pair >> 4, pair & 15) for pair in body[7::3]),
    )
    if any(not (1 <= h <= 4 and 1 <= v <= 4) for h, v in frame.sampling) or len(set(frame.ids)) != len(
        frame.ids
    ):
        raise refusal(Reason.DAMAGED, name, "the frame header of the codestream makes no sense")
    _check_process(frame, syntax, name)
    return frame


def _check_process(frame: _Frame, syntax: Syntax, name: str) -> None:
    if syntax.codec == "jpeg" and frame.precision == 12 and syntax.uid == _EXTENDED:
        raise refusal(
            Reason.UNSUPPORTED_TRANSFER_SYNTAX,
            name,
            "12-bit extended JPEG; pylibjpeg-libjpeg would read it, but stands under the GPL and is not used",
            "Convert the file to a lossless transfer syntax, for instance with dcmdjpeg of DCMTK.",
        )
    if syntax.codec == "jpeg" and frame.precision != 8:
        raise refusal(Reason.CONTRADICTORY, name, f"{frame.precision} bits are not of {syntax.name}")
    if syntax.uid == _BASELINE and frame.marker != _SOF0:
        raise refusal(Reason.CONTRADICTORY, name, f"the codestream is not of {syntax.name}")
    if not 2 <= frame.precision <= 16:
        raise refusal(Reason.DAMAGED, name, f"{frame.precision} bits a sample are none that JPEG has")
    if syntax.codec != "jpeg" and any(pair != (1, 1) for pair in frame.sampling):
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, "lossless JPEG with fewer colour samples")


def _check_scan(
    frame: _Frame, scans: list[Segment], segments: list[Segment], syntax: Syntax, name: str
) -> None:
    if len(scans) > 1:
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, "a JPEG codestream in several scans")
    body = scans[0].body
    if len(body) != 4 + 2 * len(frame.ids) or body[0] != len(frame.ids) or body[1:-3:2] != frame.ids:
        raise refusal(Reason.DAMAGED, name, "the scan header of the codestream does not fit its frame header")
    selection, end, point = body[-3], body[-2], body[-1] & 15
    if frame.marker == _SOF3:
        if not 1 <= selection <= 7 or point:
            raise refusal(Reason.DAMAGED, name, f"predictor {selection} and point transform {point}")
        if syntax.uid == _FIRST_ORDER and selection != 1:
            raise refusal(Reason.CONTRADICTORY, name, f"predictor {selection} is not of {syntax.name}")
    elif (selection, end, body[-1]) != (0, 63, 0):
        raise refusal(
            Reason.DAMAGED, name, "the scan header of the codestream is not of a sequential process"
        )
    _check_restarts(frame, scans[0], segments, name)


def _check_restarts(frame: _Frame, scan: Segment, segments: list[Segment], name: str) -> None:
    intervals = [int.from_bytes(segment.body[:2], "big") for segment in segments if segment.marker == DRI]
    interval = intervals[-1] if intervals else 0
    side = 1 if frame.marker == _SOF3 else 8
    wide, high = (max(pair[i] for pair in frame.sampling) for i in (0, 1))
    if len(frame.ids) == 1:
        wide = high = 1  # a scan of one component is not interleaved
    units = math.ceil(frame.columns / (side * wide)) * math.ceil(frame.rows / (side * high))
    expected = (units - 1) // interval if interval else 0
    if len(scan.restarts) < expected:
        raise refusal(Reason.TRUNCATED, name, f"{len(scan.restarts)} of {expected} restart markers")
    if len(scan.restarts) > expected or any(n != i % 8 for i, n in enumerate(scan.restarts)):
        raise refusal(Reason.DAMAGED, name, "the restart markers are not those of the image")


def _check_ls(
    segments: list[Segment], frame: _Frame, scans: list[Segment], syntax: Syntax, name: str
) -> bool:
    """Checks what T.87 adds; returns whether the components stand one after the other."""
    highest = (1 << frame.precision) - 1
    for segment in segments:
        if segment.marker == LSE:
            if segment.body[:1] != b"\x01":
                raise refusal(
                    Reason.UNSUPPORTED_PIXELS, name, "JPEG-LS with mapping tables or an extended size"
                )
            highest = min(highest, _preset(segment.body, frame.precision, name))
        if segment.marker == APP8 and segment.body[:4] == b"mrfx" and segment.body[4:5] != b"\0":
            raise refusal(
                Reason.UNSUPPORTED_PIXELS, name, "JPEG-LS with a colour transform outside the standard"
            )
    nears, modes, found = set(), set(), b""
    for scan in scans:
        body = scan.body
        if len(body) < 4 or len(body) != 4 + 2 * body[0]:
            raise refusal(Reason.DAMAGED, name, "the scan header of the codestream has a wrong length")
        found += body[1:-3:2]
        nears.add(body[-3])
        modes.add(body[-2])
        if any(body[2:-3:2]) or body[-1] & 15:
            raise refusal(Reason.UNSUPPORTED_PIXELS, name, "JPEG-LS with mapping tables or a point transform")
    if (
        found != frame.ids
        or len(modes) != 1
        or not modes <= {0, 1, 2}
        or (modes == {0}) != (len(scans) == len(frame.ids))
    ):
        raise refusal(Reason.DAMAGED, name, "the scans of the codestream do not fit its frame header")
    if max(nears) > min(255, highest // 2) or len(nears) > 1:
        raise refusal(Reason.DAMAGED, name, "the near-lossless parameter of the codestream is impossible")
    if syntax.lossless_only and max(nears):
        raise refusal(
            Reason.CONTRADICTORY, name, f"the codestream is near-lossless, which {syntax.name} is not"
        )
    return modes == {0} and len(frame.ids) > 1


def _preset(body: bytes, precision: int, name: str) -> int:
    """Checks preset parameters (T.87 C.2.4.1.1), where 0 stands for a default; returns the highest sample."""
    highest, t1, t2, t3, reset = (int.from_bytes(body[i : i + 2], "big") for i in range(1, 11, 2))
    limit = (1 << precision) - 1
    if len(body) != 11 or highest > limit or not (reset == 0 or 3 <= reset <= max(255, highest or limit)):
        raise refusal(Reason.DAMAGED, name, "the preset coding parameters of the codestream are impossible")
    used = [t for t in (t1, t2, t3) if t]
    if used != sorted(used) or any(t > (highest or limit) for t in used):
        raise refusal(Reason.DAMAGED, name, "the thresholds of the codestream are impossible")
    return highest or limit


def _check_applications(segments: list[Segment], name: str) -> None:
    """GDCM aborts the process over a version of JFIF, or a transform of Adobe, that it does not know."""
    for segment in segments:
        jfif = segment.marker == APP0 and segment.body[:4] == b"JFIF" and segment.body[5:6] != b"\1"
        adobe = segment.marker == APP14 and segment.body[:5] == b"Adobe" and segment.body[11:12] > b"\2"
        if jfif or adobe:
            raise refusal(Reason.DAMAGED, name, "an application segment of the codestream makes no sense")


def _colour(segments: list[Segment], frame: _Frame) -> str | None:
    """What the codestream says of its three components; JFIF is always YCbCr, Adobe says it by a number."""
    if frame.ids in (b"RGB", b"rgb"):
        return "RGB"
    for segment in segments:
        if segment.marker == APP14 and segment.body[:5] == b"Adobe" and len(segment.body) >= 12:
            return {0: "RGB", 1: "YBR"}.get(segment.body[11])
        if segment.marker == APP0 and segment.body[:4] == b"JFIF":
            return "YBR"
    return None
