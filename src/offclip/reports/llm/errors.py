"""What goes wrong between us and a language model."""

from offclip.errors import OffclipError


class LlmError(OffclipError):
    """The server of the language model cannot be reached, refuses, or answers with nonsense.

    The message never holds the text of a report.
    """
