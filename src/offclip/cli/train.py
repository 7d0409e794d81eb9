"""`offclip train`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, get_args, get_type_hints

from offclip.cli.console import progress_bar
from offclip.errors import ConfigError
from offclip.evaluation.early import early_metrics
from offclip.training.config import TrainConfig
from offclip.training.loop import StepReport, train
from offclip.training.state import RunFolder


def run_train(studies: Path, out: Path, config_file: Path | None, options: dict[str, Any]) -> None:
    """Trains with a progress bar and prints the last metrics."""
    config = make_config(config_file, options)
    with progress_bar("reading images") as update:

        def on_step(report: StepReport) -> None:
            note = f"loss {report.loss:.3f}  {report.images_per_s:,.0f} images/s"
            update(report.step, report.steps, f"epoch {report.epoch + 1}/{config.epochs}", note)

        train(studies, config, out, validate=early_metrics, on_step=on_step, on_image=update)
    run = RunFolder(out)
    last = run.read_metrics()[-1]
    shown = ", ".join(
        f"{name.replace('_', ' ')} {value:.3f}" for name, value in last.items() if name != "epoch"
    )
    print(f"After epoch {last['epoch']}: {shown}")
    n_skipped = len(run.skipped.read_text().splitlines()) - 1
    if n_skipped:
        print(f"{n_skipped} image(s) left out, listed with reasons in {run.skipped}")
    print(f"Wrote {run.model}")


def make_config(file: Path | None, options: dict[str, Any]) -> TrainConfig:
    """The recipe of a TOML file, overruled by what was typed.

    Raises:
        ConfigError: The file is missing, no TOML, or holds an unknown or ill-typed field.
    """
    defaults, types = TrainConfig().as_dict(), get_type_hints(TrainConfig)
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{file}: cannot be read ({error}).", "Give a TOML file with fields of the recipe."
            ) from error
    for name, value in values.items():
        if name not in defaults:
            raise ConfigError(f"{file}: unknown field {name!r}.", f"Known: {', '.join(defaults)}.")
        # A type, a choice of words, or one of them or None, which is said by leaving the field out.
        choices = get_args(types[name]) or (types[name],)
        wanted = tuple(choice if isinstance(choice, type) else type(choice) for choice in choices)
        if float in wanted:
            wanted = (*wanted, int)
        if not isinstance(value, wanted) or isinstance(value, bool) != (bool in wanted):
            words = " or ".join(kind.__name__ for kind in wanted if kind is not type(None))
            raise ConfigError(
                f"{file}: {name} = {value!r} is of the wrong type.",
                f"It is a {words}; its default is {defaults[name]!r}.",
            )
    return TrainConfig(**(values | {name: value for name, value in options.items() if value is not None}))
