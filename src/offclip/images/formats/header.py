"""What the check of a file's structure gives, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass, field

from offclip.images.limits import Limits
from offclip.images.reasons import Reason, refusal


@dataclass(frozen=True, slots=True)
class RasterHeader:
    """A PNG, JPEG, TIFF or BMP file whose structure is sound.

    Attributes:
        format: `"PNG"`, `"JPEG"`, `"TIFF"` or `"BMP"`.
        width, height: Pixels as stored, before the orientation is applied.
        bits: Bits of a sample.
        photometric: `"grey"`, `"white is zero"`, `"palette"`, `"RGB"`, `"YCbCr"`, `"CMYK"` or another name.
        decodable: The bytes for the decoder: the chosen frame, without the metadata that it has no need of.
        orientation: EXIF orientation, 1 to 8.
        frames: Images in the file.
        alpha: Whether some pixels may be transparent.
        transparent: Grey value that stands for transparent pixels, None if there is none.
    """

    format: str
    width: int
    height: int
    bits: int
    photometric: str
    decodable: bytes = field(repr=False)
    orientation: int = 1
    frames: int = 1
    alpha: bool = False
    transparent: int | None = None


def check_size(width: int, height: int, pixel_bytes: int, limits: Limits, name: str) -> None:
    """Refuses an image by the size in its header.

    Args:
        width: In pixels.
        height: In pixels.
        pixel_bytes: Bytes of a decoded pixel.
        limits: What the image may cost.
        name: The file.

    Raises:
        ImageError: A side is zero, or the image is too large.
    """
    if width < 1 or height < 1:
        raise refusal(Reason.DAMAGED, name, f"its header says {width} x {height} pixels")
    if width * height > limits.max_pixels:
        what = f"{width} x {height} pixels are more than {limits.max_pixels:,}"
        raise refusal(Reason.TOO_MANY_PIXELS, name, what)
    if width * height * pixel_bytes > limits.max_unpacked_bytes:
        what = f"{width * height * pixel_bytes:,} decoded bytes are more than {limits.max_unpacked_bytes:,}"
        raise refusal(Reason.UNPACKS_TOO_LARGE, name, what)


def check_frame(frames: int, frame: int | None, limits: Limits, name: str) -> int:
    """The frame that is to be read, from 0.

    Raises:
        ImageError: There are several and none was chosen, too many, or none of that number.
    """
    if frames > limits.max_frames:
        raise refusal(Reason.TOO_MANY_FRAMES, name, f"{frames:,} frames are more than {limits.max_frames:,}")
    if frame is None and frames > 1:
        raise refusal(Reason.MULTI_FRAME, name, f"the file holds {frames} images")
    if frame is not None and not 0 <= frame < frames:
        raise refusal(Reason.NO_SUCH_FRAME, name, f"there is no frame {frame} among {frames}")
    return frame or 0
