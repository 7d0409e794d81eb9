"""`offclip screen`: new images at an operating point that an evaluation chose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offclip.cli.console import progress_bar, report_skipped
from offclip.cli.measuring import MODEL_HELP
from offclip.errors import ConfigError

if TYPE_CHECKING:
    from offclip.screening import Screening, TriagePoint


def screen(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help=MODEL_HELP, show_default="none, with --scores")
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="[IMAGES]...", help="Image files, or folders of them.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Table of scores: image_id, then one column a class.")
    ] = None,
    operating_point: Annotated[
        Path | None,
        typer.Option(
            help="Folder of 'offclip evaluate' that chose the threshold.", show_default="none: scores alone"
        ),
    ] = None,
    sensitivity: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Of the operating points that were evaluated.",
            show_default="the largest with enough abnormal cases to tell",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("screening"),
    prompts: Annotated[
        Path | None,
        typer.Option(help="Prompts of your own, as given to 'offclip evaluate'.", show_default="the paper's"),
    ] = None,
) -> None:  # fmt: skip
    """Score new images, and say which are cleared as normal. Research only: not a medical device.

    The threshold comes from an evaluation of the same model with the same prompts; without one there are
    scores and no triage. When it is stopped, the same command goes on.

    Example: [bold]offclip screen runs/first films --operating-point results --out screened[/bold]

    Example: [bold]offclip screen --scores scores.csv --operating-point results --out screened[/bold]
    """
    _check(model, images, scores, prompts)
    if sensitivity is not None and operating_point is None:
        raise ConfigError("--sensitivity without --operating-point.", "Give the folder of an evaluation.")
    from offclip.screening import read_triage_point, screen_images, screen_table
    from offclip.zeroshot.ensemble import PromptSet

    point = read_triage_point(operating_point, sensitivity) if operating_point else None
    if scores is not None:
        found = screen_table(scores, out, point=point)
    else:
        asked = PromptSet.read(prompts) if prompts else None
        with progress_bar("scoring") as update:
            found = screen_images(
                model or "", images or [], out, point=point, prompts=asked, on_progress=update
            )
    _print(found, point, out)


def _check(model: str | None, images: list[Path] | None, scores: Path | None, prompts: Path | None) -> None:
    if scores is not None and (model is not None or prompts is not None):
        raise ConfigError("--scores were given and a model or prompts as well.", "Scores need neither.")
    if scores is None and (model is None or not images):
        raise ConfigError("Nothing to screen.", "Give a model and images, or --scores.")


def _print(found: Screening, point: TriagePoint | None, out: Path) -> None:
    print(f"{found.document['images']} image(s), {len(found.skipped)} of them unreadable.")
    if point is not None and found.triage is not None:
        counts = found.document["triage"]
        listed = ", ".join(f"{counts[name]} {name}" for name in sorted(counts))
        reached = point.reached
        print(f"{len(found.triage)} {'studies' if point.unit == 'study' else 'images'}: {listed}.")
        print(
            f"Cleared is what scores above {point.threshold:.4g} for {point.score!r}: fitted on validation "
            f"patients of {point.folder}{', drawn films' if point.synthetic else ''}, to keep "
            f"{100 * point.sensitivity:g} % of the abnormal. Its reported cases: "
            f"{100 * reached['value']:.1f} % ({100 * reached['low']:.1f} to {100 * reached['high']:.1f}); "
            f"they support {100 * point.supports:.1f} %. Claim {point.claim}"
        )
    else:
        print("Scores alone: without --operating-point nothing is cleared.")
    report_skipped(found.skipped, out / "skipped.csv")
    print(f"Results in {out}. {found.document['intended_use']}")
