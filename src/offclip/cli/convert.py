"""`offclip convert`."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from offclip.cli.console import console
from offclip.errors import ConfigError
from offclip.models.carzero.convert import Conversion, convert_checkpoint
from offclip.models.carzero.text import TextPreset
from offclip.models.carzero.vocabulary import HOW_TO_GET_IT


def run_convert(
    checkpoint: Path, out: Path, tokenizer: str | None, name: str | None, text_preset: str, max_gib: float
) -> None:
    """Converts a published checkpoint and prints what was found in it.

    Raises:
        CheckpointError: The file is refused, or the tokenizer does not fit it.
        ConfigError: An option is unknown.
    """
    try:
        preset = TextPreset(text_preset)
    except ValueError as error:
        known = ", ".join(TextPreset)
        raise ConfigError(f"Unknown text preset {text_preset!r}.", f"Choose one of: {known}.") from error
    conversion = convert_checkpoint(
        checkpoint, out, tokenizer, name=name, preset=preset, most_bytes=int(max_gib * 2**30)
    )
    _print(conversion, checkpoint, preset)


def _print(conversion: Conversion, checkpoint: Path, preset: TextPreset) -> None:
    table = Table(title=str(conversion.folder))
    for heading in ("what", "found"):
        table.add_column(heading)
    table.add_row("file", checkpoint.name)
    table.add_row("SHA-256", conversion.sha256)
    table.add_row("weights of", conversion.name)
    table.add_row("layout", conversion.layout)
    table.add_row(
        "tensors", f"{conversion.tensors} ({', '.join(conversion.dtypes)}), {conversion.unused} never read"
    )
    table.add_row("vocabulary", f"{conversion.vocabulary_size:,} word pieces")
    table.add_row("tokenizer", f"yes, text preset {preset}" if conversion.has_tokenizer else "no")
    console().print(table)
    if not conversion.has_tokenizer:
        print(f"The model takes ids, but no text. {HOW_TO_GET_IT}")
    print(f"Next: offclip verify {conversion.folder}")
