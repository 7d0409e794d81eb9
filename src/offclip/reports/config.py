"""The configuration of a labeller: one TOML file, or the same fields from Python.

A file looks so; paths in it are relative to it:

    labeller = "rules"              # "rules", "llm", or a folder made by `offclip labeller fit`
    lexicon = ["own.toml"]
    [conventions]
    devices = false
    [llm]
    model = "qwen3"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

from offclip.errors import ConfigError
from offclip.reports.conventions import DEFAULT_CONVENTIONS, Conventions
from offclip.reports.labels import Label, SentenceLabeller
from offclip.reports.lexicon import load_lexicon
from offclip.reports.llm.config import LlmConfig
from offclip.reports.rules import RuleLabeller

_REMEDY = "docs/labelling.md lists every key."


@dataclass(frozen=True, slots=True)
class LabellingConfig:
    """What labels the sentences, and by which conventions.

    Attributes:
        labeller: `"rules"`, `"llm"`, or the folder of a classifier or an encoder.
        lexicon: Files of the user's own words, read before the built-in lexicon.
        conventions: What counts as abnormal where readers differ.
        llm: Endpoint, model and limits of `labeller = "llm"`.

    Example:
        >>> LabellingConfig().labeller
        'rules'
    """

    labeller: str = "rules"
    lexicon: tuple[Path, ...] = ()
    conventions: Conventions = DEFAULT_CONVENTIONS
    llm: LlmConfig = field(default_factory=LlmConfig)

    def rules(self) -> RuleLabeller:
        """Make the rules, which every other labeller rests on.

        Raises:
            ConfigError: A lexicon is missing or malformed.
        """
        return RuleLabeller(load_lexicon(*self.lexicon), self.conventions)

    def build(self) -> SentenceLabeller:
        """Make the labeller.

        Raises:
            ConfigError: A file of the labeller is missing or malformed, or an extra is not installed.
        """
        rules = self.rules()
        if self.labeller == "rules":
            return rules
        if self.labeller == "llm":
            from offclip.reports.llm import LlmLabeller

            return LlmLabeller(self.llm, rules)
        from offclip.reports.classifier import load_labeller

        return load_labeller(Path(self.labeller), rules)


def load_config(path: str | Path) -> LabellingConfig:
    """Read a configuration file; keys that are left out keep their defaults.

    Raises:
        ConfigError: The file cannot be read, a key is unknown, or a value is of the wrong type.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", "Check the path and the form.") from error
    known = [f.name for f in fields(LabellingConfig)]
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(known)}.", _REMEDY)
    labeller, lexicon = table.get("labeller", "rules"), table.get("lexicon", [])
    if not isinstance(labeller, str):
        raise ConfigError(f"{path}: 'labeller' must be a string.", _REMEDY)
    if not isinstance(lexicon, list) or not all(isinstance(item, str) for item in lexicon):
        raise ConfigError(f"{path}: 'lexicon' must be a list of paths.", _REMEDY)
    if labeller not in ("rules", "llm"):
        labeller = str(path.parent / labeller)
    return LabellingConfig(
        labeller,
        tuple(path.parent / item for item in lexicon),
        _filled(DEFAULT_CONVENTIONS, table.get("conventions", {}), f"{path}: [conventions]"),
        _filled(LlmConfig(), table.get("llm", {}), f"{path}: [llm]"),
    )


def _filled(default: Any, table: Any, where: str) -> Any:
    """Return `default` with the values of a TOML table, each of the type of the default."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table.", _REMEDY)
    for key, value in table.items():
        if key not in {f.name for f in fields(default)}:
            names = ", ".join(f.name for f in fields(default))
            raise ConfigError(f"{where}: unknown key {key!r}; known are {names}.", _REMEDY)
        kind = type(getattr(default, key))
        number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if not number and type(value) is not kind:
            raise ConfigError(f"{where}: {key!r} must be {kind.__name__}, not {value!r}.", _REMEDY)
        if key == "undecided" and value not in get_args(Label):
            raise ConfigError(
                f"{where}: 'undecided' must be one of {', '.join(get_args(Label))}, not {value!r}.", _REMEDY
            )
    return replace(default, **table)
