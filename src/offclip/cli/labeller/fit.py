"""`offclip labeller fit`: train a classifier or a text encoder on what the rules and people say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offclip.reports.classifier.metrics import FitReport


def fit(
    context: typer.Context,
    reports: Annotated[Path, typer.Argument(help="Reports, sentences, or a study table.")],
    out: Annotated[Path, typer.Option(help="Folder of the labeller to write.")],
    labels: Annotated[
        list[Path] | None,
        typer.Option(help="Table with sentence and label, by hand; wins over the rules; may be repeated."),
    ] = None,
    kind: Annotated[str, typer.Option(help="linear, or encoder (extra 'hf').")] = "linear",
    config: Annotated[
        Path | None, typer.Option(help="TOML file with lexicon and \\[conventions] of the rules.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split and of training.")] = 0,
    hand_weight: Annotated[float, typer.Option(help="Worth of a label by hand, in labels by rule.")] = 5.0,
    validation: Annotated[float, typer.Option(help="Share of the sentences held out to measure.")] = 0.1,
    limit: Annotated[int, typer.Option(help="Sentences to learn from, at most.")] = 100_000,
    abnormal_from: Annotated[
        float, typer.Option(help="An undecided sentence is abnormal from this probability on.")
    ] = 0.8,
    normal_from: Annotated[float, typer.Option(help="It is normal from this one on.")] = 0.95,
    model: Annotated[str, typer.Option(help="Encoder: a folder, or an id on the Hugging Face hub.")] = "",
    epochs: Annotated[int, typer.Option(help="Encoder: passes over the sentences, at most.")] = 4,
    batch_size: Annotated[int, typer.Option(help="Encoder: sentences a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Encoder: peak learning rate.")] = 2e-5,
    max_length: Annotated[int, typer.Option(help="Encoder: tokens a sentence.")] = 128,
) -> None:
    """Train a sentence classifier on reports, for what the rules leave undecided.

    The folder is used with 'offclip label --labeller FOLDER'. It holds no report text, but it was made from
    reports: treat it as they are treated.

    Example: [bold]offclip labeller fit reports.csv --labels hand.csv --out classifier[/bold]
    """
    from offclip.cli.console import progress_bar, typed
    from offclip.cli.labelling_options import make_config
    from offclip.data.sentence_corpus import read_hand_labels, read_sentences
    from offclip.errors import ConfigError
    from offclip.reports.classifier.combine import Thresholds
    from offclip.reports.classifier.fit import fit_classifier
    from offclip.reports.classifier.folder import check_target, save_fitted
    from offclip.reports.classifier.settings import EncoderConfig, FitConfig

    if kind not in ("linear", "encoder"):
        raise ConfigError(f"--kind {kind} is unknown.", "Known: linear, encoder.")
    names = ("model", "epochs", "batch_size", "learning_rate", "max_length")
    given = [name for name in names if typed(context, name)]
    if kind == "linear" and given:
        raise ConfigError(
            f"--{given[0].replace('_', '-')} is an option of the encoder.",
            "Add --kind encoder, or leave it out.",
        )
    thresholds = Thresholds(abnormal_from=abnormal_from, normal_from=normal_from)
    settings = FitConfig(seed, hand_weight, validation, limit, thresholds=thresholds)
    encoder = (
        EncoderConfig(
            model, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, max_length=max_length
        )
        if kind == "encoder"
        else None
    )
    check_target(out)
    labelling = make_config(config)
    rules = labelling.rules()
    hand = read_hand_labels(labels or ())
    with progress_bar("reading") as update:
        sentences = set(read_sentences(reports))

        def tell(step: str) -> None:
            update(0, None, step)

        if encoder is None:
            fitted = fit_classifier(sentences, rules, hand, settings, on_step=tell)
        else:
            from offclip.reports.classifier.encoder_fit import fit_encoder

            fitted = fit_encoder(sentences, rules, encoder, hand, settings, on_step=tell)
        update(1, 1, "done")
    save_fitted(out, fitted, rules, labelling.lexicon, hand, settings)
    _print_report(fitted.report)
    print(f"Wrote {out}")


def _print_report(report: FitReport) -> None:
    counts = ", ".join(f"{count:,} {name}" for name, count in report.sentences.items())
    print(f"Learnt from {sum(report.sentences.values()):,} sentences: {counts}; {report.by_hand:,} by hand.")
    print(f"{report.undecided:,} sentences that no rule decides were left out: they are what it is for.")
    if report.validation:
        found = report.validation
        recall = ", ".join(f"{name} {share:.3f}" for name, share in found.recall.items())
        print(
            f"Agreement with their labels on {found.sentences:,} held-out sentences: {found.accuracy:.3f} "
            f"(recall {recall}); calibration error {found.calibration_error:.3f}."
        )
    else:
        print("Too few sentences to hold some out: nothing was measured.")
    if report.hand:
        print(
            f"Agreement with {report.hand.classifier.sentences:,} labels by hand that it was not taught: "
            f"rules {report.hand.rules:.3f}, classifier {report.hand.classifier.accuracy:.3f}, "
            f"both together {report.hand.combined:.3f}."
        )
