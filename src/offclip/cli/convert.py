"""`offclip convert`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from offclip.cli.console import console
from offclip.errors import ConfigError
from offclip.models.carzero.convert import Conversion, convert_checkpoint
from offclip.models.carzero.text import TextPreset
from offclip.models.carzero.vocabulary import HOW_TO_GET_IT

_SUFFIXES = {".ckpt", ".pt", ".pth", ".safetensors"}


def is_file(model: str, of_file: Mapping[str, object], of_name: Mapping[str, object]) -> bool:
    """Whether the published file of CARZero is meant, and not the name of a model.

    Args:
        model: What was given.
        of_file: Options for a file, None where they were not given.
        of_name: Options for a name.

    Raises:
        ConfigError: An option for the one was given with the other.
    """
    path = Path(model)
    found = path.is_file() or (path.suffix.lower() in _SUFFIXES and ":" not in model[2:])
    wrong = [name for name, value in (of_name if found else of_file).items() if value is not None]
    if wrong:
        what = "a file, which is read without executing anything" if found else "the name of a model"
        raise ConfigError(f"{model} is {what}: {', '.join(wrong)} does not go with it.", "Leave it out.")
    return found


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


def run_convert_name(
    name: str, out: Path, *, image_size: int | None, local: str | None, allow_pickle: bool
) -> None:
    """Saves a model of another library as a folder of ours, and prints what it is.

    Raises:
        CheckpointError: It cannot be loaded, or the folder not written.
        ConfigError: The name or an option is unknown, or a library is missing.
    """
    from offclip.models.adapters.families import LoadOptions
    from offclip.models.adapters.last_block import LOCAL
    from offclip.models.convert import convert_by_name

    local = local or LoadOptions().local
    if local not in LOCAL:
        raise ConfigError(f"--local {local} is unknown.", f"Known: {', '.join(LOCAL)}.")
    card = convert_by_name(name, out, LoadOptions(allow_pickle, image_size, local)).card
    table = Table(title=escape(str(out)))
    for heading in ("what", "found"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "what")
    table.add_row("weights of", escape(name))
    table.add_row("parameters", f"{card['parameters']:,}")
    table.add_row("SHA-256", card["sha256"]["weights.safetensors"])
    table.add_row("input", f"{card['preprocess']['size']} pixels, {card['max_tokens']} tokens")
    table.add_row("licence", escape(card["licence"]))
    if "untrained" in card:
        table.add_row("not trained", escape(card["untrained"]))
    console().print(table)
    print(f"Next: offclip verify {out}")


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
