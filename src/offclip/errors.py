"""Errors that a user can act on.

Every mistake in a user's input or surroundings is reported by one of these few kinds. Each carries
what was wrong and, separately, what to do about it, so that the command line can print both and a
service can return both.
"""


class OffclipError(Exception):
    """Base of all errors that offclip raises on purpose.

    Args:
        message: What was wrong, with the file, row, or value.
        remedy: One sentence that says what to do.

    Example:
        >>> str(OffclipError("reports.csv has no column 'report'.", "Rename the text column to 'report'."))
        "reports.csv has no column 'report'. Rename the text column to 'report'."
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())

    def __reduce__(self) -> tuple[type["OffclipError"], tuple[str, str]]:
        # Errors cross process borders; message and remedy must arrive apart.
        return type(self), (self.message, self.remedy)


class InputError(OffclipError, ValueError):
    """An argument of a Python call has a wrong shape, type or value."""


class DataError(OffclipError):
    """A table, report, label or box is missing, contradictory or unusable."""


class ImageError(OffclipError):
    """An image file cannot be turned into pixels.

    Args:
        message: What was wrong, with the file.
        remedy: What to do.
        reason: One of `offclip.images.Reason`.
    """

    def __init__(self, message: str, remedy: str = "", reason: str = "damaged") -> None:
        super().__init__(message, remedy)
        self.reason = reason

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str, str]]:  # type: ignore[override]
        return type(self), (self.message, self.remedy, self.reason)


class ConfigError(OffclipError):
    """A configuration or a command-line option is unknown or out of range."""


class CheckpointError(OffclipError):
    """A model or a run folder cannot be written, read or trusted."""
