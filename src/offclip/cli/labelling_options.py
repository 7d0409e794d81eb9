"""The options that all commands about labelling share: a configuration file, and what is typed over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from offclip.errors import ConfigError
from offclip.reports.config import LabellingConfig, load_config
from offclip.reports.labels import Label


def make_config(
    path: Path | None,
    labeller: str | None = None,
    lexicon: Sequence[Path] = (),
    undecided: str | None = None,
    server: Mapping[str, Any] | None = None,
) -> LabellingConfig:
    """The configuration of a file with what was typed over it.

    Args:
        path: The file, if there is one.
        labeller: The labeller, if it was typed.
        lexicon: Files of words to add.
        undecided: The label of what no rule recognises, if it was typed.
        server: Fields of `[llm]`; None stands for one that was not typed.

    Raises:
        ConfigError: The file or a value is wrong.
    """
    config = load_config(path) if path else LabellingConfig()
    if labeller is not None:
        config = replace(config, labeller=labeller)
    if undecided is not None:
        label = next((known for known in get_args(Label) if known == undecided), None)
        if label is None:
            known = ", ".join(get_args(Label))
            raise ConfigError(f"--undecided {undecided} is unknown.", f"Known: {known}.")
        config = replace(config, conventions=replace(config.conventions, undecided=label))
    typed = {field: value for field, value in (server or {}).items() if value is not None}
    if typed:
        config = replace(config, llm=replace(config.llm, **typed))
    return replace(config, lexicon=(*config.lexicon, *lexicon))
