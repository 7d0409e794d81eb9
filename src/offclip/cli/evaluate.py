"""`offclip evaluate`: a model on a folder or a public set, or scores that were made anywhere."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from offclip.cli.console import report_skipped, stage_bar
from offclip.cli.measuring import MODEL_HELP, ProtocolName, Root
from offclip.errors import ConfigError


def evaluate(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help=MODEL_HELP, show_default="none, with --scores")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder with labels.csv, boxes.csv and the image table.")
    ] = None,
    protocol: ProtocolName = None,
    root: Root = None,
    scores: Annotated[
        Path | None, typer.Option(help="Table of scores: image_id, then one column a class.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="With --scores: table of labels (1, 0 or blank), same columns.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("evaluation"),
    save_scores: Annotated[
        Path | None,
        typer.Option(help="Of a model: CSV file for its scores, one column a class, and one for the labels."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split that is reported; of --scores also 'all'.", show_default="test")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="image, or study: its views are fused.", show_default="image")
    ] = None,
    fuse: Annotated[
        str | None,
        typer.Option(help="How views become one score: mean, max or learned.", show_default="mean"),
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of abnormal cases where you work, for NPV and PPV.",
            show_default="that of the data",
        ),
    ] = None,
    calibration: Annotated[str, typer.Option(help="platt, temperature or isotonic.")] = "platt",
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples of the patients.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of resamples and folds.")] = 0,
    prompts: Annotated[
        Path | None, typer.Option(help="Prompts of your own: TOML, JSON or CSV.", show_default="the paper's")
    ] = None,
    negation: Annotated[
        bool, typer.Option("--negation", help="Ask 'There is X' and 'There is no X' as well.")
    ] = False,
    grounding: Annotated[
        bool, typer.Option("--grounding", help="With --data: measure heat maps on boxes and masks as well.")
    ] = False,
    lateral: Annotated[
        bool, typer.Option("--lateral", help="With --data: score lateral films as well.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave out images and classes that only one table has.")
    ] = False,
    precision: Annotated[
        str | None,
        typer.Option(help="Of CARZero: fp32, int8-towers, bf16-towers or bf16.", show_default="fp32"),
    ] = None,
    prompt_cache: Annotated[
        Path | None, typer.Option(help="Of CARZero: folder that keeps encoded prompts.")
    ] = None,
) -> None:  # fmt: skip
    """Measure how well normal is told from abnormal, and findings from each other, with intervals.

    Give a model with --data, or with --protocol and --root; or --scores with --labels, made anywhere.

    Example: [bold]offclip evaluate runs/first --data phantom --out results[/bold]

    Example: [bold]offclip evaluate --scores scores.csv --labels labels.csv --out results[/bold]
    """
    chosen = Source(model, data, protocol, root, scores, labels)
    chosen.check()
    if save_scores is not None and (model is None or save_scores.suffix.lower() != ".csv"):
        raise ConfigError(
            f"--save-scores {save_scores} {'without a model' if model is None else 'is no .csv file'}.",
            "Give a model, and the name of a CSV file.",
        )
    from offclip.cli.evaluation_summary import print_summary
    from offclip.evaluation.protocols.load import load_protocol
    from offclip.evaluation.settings import make_settings

    settings = make_settings(
        load_protocol(protocol) if protocol else None,
        unit=unit,
        fuse=fuse,
        prevalence=prevalence,
        calibration=calibration,
        resamples=resamples,
        seed=seed,
        command=command_line(),
    )
    if scores is not None and labels is not None:
        from offclip.evaluation.scores_run import evaluate_scores

        with stage_bar("reading") as tell:
            evaluated = evaluate_scores(
                scores, labels, out, settings, split=split, allow_missing=allow_missing, on_progress=tell
            )
        print_summary(evaluated, out)
        return
    if settings.protocol.task == "grounding":
        from offclip.cli.ground import print_grounding
        from offclip.evaluation.grounding import ground_protocol

        with stage_bar("reading") as tell:
            grounded = ground_protocol(
                model or "",
                root or Path(),
                out,
                protocol=settings.protocol,
                resampling=settings.resampling,
                on_progress=tell,
            )
        print_grounding(grounded, f"{model} on {root}, {settings.protocol.name}", out)
        return
    from offclip.cli.scoring import make_scoring
    from offclip.evaluation.protocol_run import evaluate_protocol
    from offclip.evaluation.run import evaluate as evaluate_folder
    from offclip.zeroshot.ensemble import PromptSet

    scoring = make_scoring(precision, prompt_cache)
    asked = PromptSet.read(prompts) if prompts else None
    run = model or ""  # chosen.check() saw to it that there is one, and a folder
    with stage_bar("reading") as tell:
        common = {"settings": settings, "prompts": asked, "scoring": scoring, "on_progress": tell}
        if data is not None:
            result = evaluate_folder(
                run,
                data,
                out,
                split=split or "test",
                lateral=lateral,
                negation=negation,
                grounding=grounding,
                **common,
            )
        else:
            result = evaluate_protocol(run, root or Path(), out, **common)
    print_summary(result.evaluated, out)
    report_skipped(result.skipped, out / "skipped.csv")
    if save_scores is not None:
        from offclip.evaluation.scored import write_scored

        truth = write_scored(result.evaluated, save_scores)
        print(f"Wrote {save_scores} and {truth}; they come back with --scores and --labels.")


@dataclass(frozen=True, slots=True)
class Source:
    """What was given to evaluate; exactly one of three ways."""

    model: str | None
    data: Path | None
    protocol: str | None
    root: Path | None
    scores: Path | None
    labels: Path | None

    def check(self) -> None:
        """Refuses combinations that say nothing.

        Raises:
            ConfigError: It is none of the three ways, or more than one.
        """
        if self.scores is not None or self.labels is not None:
            if self.scores is None or self.labels is None:
                raise ConfigError("--scores and --labels belong together.", "Give both.")
            given = [
                name
                for name, value in (("a model", self.model), ("--data", self.data), ("--root", self.root))
                if value is not None
            ]
            if given:
                raise ConfigError(
                    f"--scores were given and {' and '.join(given)} as well.",
                    "Scores need no model and no films.",
                )
            return
        if self.model is None:
            raise ConfigError(
                "Nothing to evaluate.", "Give a model with --data or --protocol, or --scores with --labels."
            )
        if (self.data is None) == (self.root is None):
            raise ConfigError(
                f"The model {self.model} needs either --data or --protocol with --root.", "Give one of them."
            )
        if self.root is not None and self.protocol is None:
            raise ConfigError(
                "--root needs --protocol.", "'offclip protocols list' shows those that there are."
            )


def command_line() -> str:
    """What the user typed, for the page; empty where offclip was not called from a shell."""
    return shlex.join(("offclip", *sys.argv[1:])) if Path(sys.argv[0]).name == "offclip" else ""
