"""What goes wrong between us and a language model."""

from offclip.errors import OffclipError


class LlmError(OffclipError):
    """The server of the language model refuses, or answers with nonsense.

    The message never holds the text of a report.
    """


class LlmLostError(LlmError):
    """The server of the language model stayed away, or busy, through all retries."""
