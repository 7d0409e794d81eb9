"""How reports are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SourceFormat = Literal["auto", "table", "text", "openi", "mimic"]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How reports are read.

    Attributes:
        format: What form they have; `"auto"` looks.
        images: Folder with the images, where the form says which belong to a study.
        resplit: Split by a hash of the patient id, whatever the input says.
    """

    format: SourceFormat = "auto"
    images: Path | None = None
    resplit: bool = False
