"""Operating points and calibration of cases, fitted on other patients; only the peers' rule is not."""

from offclip.evaluation.operating.calibrate import (
    Calibration,
    CalibrationResult,
    calibrate,
    calibrate_score,
    scale_of,
)
from offclip.evaluation.operating.column import Column, finding_column, normal_column
from offclip.evaluation.operating.point import (
    OperatingPoint,
    OperatingResult,
    operate,
    operating_point,
)

__all__ = [
    "Calibration",
    "CalibrationResult",
    "Column",
    "OperatingPoint",
    "OperatingResult",
    "calibrate",
    "calibrate_score",
    "finding_column",
    "normal_column",
    "operate",
    "operating_point",
    "scale_of",
]
