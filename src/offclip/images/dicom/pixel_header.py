"""What the header says about the stored pixels, as the decoders need it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PixelHeader:
    """The Image Pixel module of a file (DICOM PS3.3 C.7.6.3), checked, as plain numbers.

    Attributes:
        transfer_syntax: UID.
        rows, columns: Size of a frame.
        samples: Samples a pixel, 1 or 3.
        bits_allocated: 1, 8, 16 or 32.
        bits_stored: At most `bits_allocated`.
        high_bit: Position of the highest bit, normally `bits_stored - 1`.
        signed: Two's complement.
        photometric: Photometric interpretation, such as `"MONOCHROME2"`.
        planar: Colour by plane (1) or by pixel (0).
        frames: Frames in the file.
    """

    transfer_syntax: str
    rows: int
    columns: int
    samples: int = 1
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    signed: bool = False
    photometric: str = "MONOCHROME2"
    planar: int = 0
    frames: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of a decoded frame."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8
