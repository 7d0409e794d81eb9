"""The raw films of the JSRT database: no header, no magic number, told by name and size alone.

Source: http://db.jsrt.or.jp/eng.php: 2048 x 2048 pixels of 0.175 mm, 12 bits in big-endian 16-bit words. A
grey value is the density of the film: the lungs are high and bone is low, the other way round than elsewhere.
"""

from __future__ import annotations

from pathlib import PurePath

import numpy as np

from offclip.images.film import Film, FilmMetadata, GreyPolicy, PixelGrid, ReadOptions
from offclip.images.reasons import Reason, refusal

SIDE = 2048
SPACING_MM = 0.175
_WHITE = 4095
_ROBUST = (0.5, 99.5)  # percent of the pixels


def is_jsrt(name: str, size: int) -> bool:
    """Whether a file is a raw film of the JSRT database, as far as name and size can tell.

    Args:
        name: Name or path of the file.
        size: Its bytes.

    Example:
        >>> is_jsrt("All247images/JPCLN001.IMG", 8_388_608), is_jsrt("disk.img", 512)
        (True, False)
    """
    return size == SIDE * SIDE * 2 and PurePath(name).suffix.lower() == ".img"


def read_jsrt(data: bytes, options: ReadOptions, name: str) -> Film:
    """Reads a raw film for which `is_jsrt` holds.

    The format has a fixed scale, so the policies `"standard"` and `"full-range"` use all of its 12 bits.

    Args:
        data: The file.
        options: How to read it; of the limits, those of pixels and of the file.
        name: What to call it.

    Returns:
        The film, bone white but for the policy `"carzero"`.

    Raises:
        ImageError: It has another size, more pixels than are allowed, or values that 12 bits cannot hold.
    """
    if len(data) != SIDE * SIDE * 2:
        what = f"it has {len(data):,} bytes, a raw film of JSRT {SIDE * SIDE * 2:,}"
        raise refusal(Reason.TRUNCATED if len(data) < SIDE * SIDE * 2 else Reason.NOT_AN_IMAGE, name, what)
    if len(data) > options.limits.max_file_bytes:
        raise refusal(Reason.FILE_TOO_LARGE, name, f"{len(data):,} bytes")
    if options.limits.max_pixels < SIDE * SIDE:
        raise refusal(Reason.TOO_MANY_PIXELS, name, f"{SIDE} x {SIDE} pixels")
    density = np.frombuffer(data, ">u2").reshape(SIDE, SIDE)
    top = int(density.max())
    if top > _WHITE:
        what = f"it has a grey value of {top}, a raw film of JSRT at most {_WHITE}"
        raise refusal(Reason.UNSUPPORTED_FORMAT, name, what)
    table, grey = _grey_table(density, options.policy)
    return Film(
        np.take(table, density),
        PixelGrid(SIDE, SIDE, spacing_mm=(SPACING_MM, SPACING_MM)),
        FilmMetadata(
            "JSRT", bits=12, grey=grey, inverted=options.policy != "carzero", photometric="film density"
        ),
    )


def _grey_table(density: np.ndarray, policy: GreyPolicy) -> tuple[np.ndarray, str]:
    """From each of the 4,096 densities to 8 bits, and what to call the scale."""
    values = np.arange(_WHITE + 1)
    if policy == "carzero":  # by the maximum, cut off rather than rounded, and not turned over
        top = max(int(density.max()), 1)
        return np.minimum(values / top * 255, 255).astype(np.uint8), "maximum"
    low, high = (0.0, float(_WHITE))
    if policy == "percentile":
        low, high = np.percentile(density, _ROBUST)
    scaled = (values - low) / max(high - low, 1.0)
    table = np.round(255 * (1 - scaled.clip(0, 1))).astype(np.uint8)
    return table, "percentile" if policy == "percentile" else "full range"
