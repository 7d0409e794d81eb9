"""The command `offclip`: every job is one function that parses, calls and prints.

Heavy imports stand inside the functions, so that `offclip --help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from offclip.cli.data import app as data_app
from offclip.cli.evaluate import evaluate
from offclip.cli.ground import ground
from offclip.cli.labeller import app as labeller_app
from offclip.cli.measuring import MODEL_HELP
from offclip.cli.models import app as models_app
from offclip.cli.prompts import app as prompts_app
from offclip.cli.protocols import app as protocols_app
from offclip.cli.screen import screen
from offclip.version import __version__

app = typer.Typer(
    name="offclip",
    help="Radiology CLIP models that know what a normal chest X-ray is.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data_app, name="data")
app.add_typer(labeller_app, name="labeller")
app.add_typer(models_app, name="models")
app.add_typer(prompts_app, name="prompts")
app.add_typer(protocols_app, name="protocols")


@app.callback(invoke_without_command=True)
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    del debug  # read by run(), which must know it even when parsing fails
    if version:
        print(f"offclip {__version__}")
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for data, runs and the report.", show_default="demo, or demo-quick"),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One seed on fewer phantoms: a check, not a result.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds per variant.")] = 3,
    workers: Annotated[int, typer.Option(min=0, help="Runs at a time; 0 = one per core.")] = 0,
) -> None:
    """See it work without any data: phantom, labels, training, evaluation, report.

    Example: [bold]offclip demo --quick[/bold]
    """
    from offclip.cli.demo import run_demo

    run_demo(out, quick=quick, seeds=seeds, workers=workers)


@app.command()
def label(
    reports: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="Table of reports, folder or archive of text files, Open-I archive, or MIMIC-CXR reports.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Study table to write.")] = Path("studies.parquet"),
    form: Annotated[
        str, typer.Option("--format", help="auto, table, text, openi or mimic; auto looks.")
    ] = "auto",
    labeller: Annotated[
        str | None,
        typer.Option(help="rules, llm, or a folder made by 'offclip labeller fit'.", show_default="rules"),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with conventions and the labeller.")] = None,
    lexicon: Annotated[
        list[Path] | None, typer.Option(help="TOML file with words of your own; may be repeated.")
    ] = None,
    undecided: Annotated[
        str | None,
        typer.Option(
            help="Label of what no rule recognises: uncertain, abnormal or normal.", show_default="uncertain"
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of images, attached by their ids (Open-I, MIMIC-CXR-JPG).")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one a core; 1 for llm")
    ] = None,
    resplit: Annotated[
        bool, typer.Option("--resplit", help="Split by patient anew, whatever the input says.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="For llm: print what would be asked, and ask nothing.")
    ] = False,
    price_in: Annotated[
        float | None, typer.Option(min=0, help="For --dry-run: price of a million prompt tokens.")
    ] = None,
    price_out: Annotated[
        float | None, typer.Option(min=0, help="For --dry-run: price of a million answer tokens.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="For llm: address of the server.", show_default="as configured")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="For llm: name of the model.", show_default="as configured")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="For llm: file that keeps the answers.", show_default="as configured")
    ] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="For llm: let report text leave this machine.")
    ] = False,
) -> None:
    """Turn reports into labelled sentences, prompts and pair labels.

    Options given here win over the file given with --config. When it is stopped, the same command goes on.

    Example: [bold]offclip label reports.csv --out studies.parquet[/bold]
    """
    from offclip.cli.label import make_options, print_estimate, run_label
    from offclip.cli.labelling_options import make_config

    server = {
        "endpoint": endpoint,
        "model": model,
        "cache": str(cache) if cache else None,
        "allow_remote": allow_remote or None,
    }
    chosen = make_config(config, labeller, lexicon or [], undecided, server)
    options = make_options(form, images, resplit=resplit)
    if dry_run:
        print_estimate(reports, chosen, options, price_in, price_out)
    else:
        run_label(reports, out, chosen, options, workers)


@app.command()
def train(
    context: typer.Context,
    studies: Annotated[Path, typer.Argument(help="Study table made by 'offclip label'.")],
    out: Annotated[Path, typer.Option(help="Run folder; the same command resumes it.")],
    objective: Annotated[
        str, typer.Option(help="infonce, siglip, off-diagonal, offclip or multi-positive.")
    ] = "offclip",
    filter_sentences: Annotated[
        bool, typer.Option("--filter/--no-filter", help="Drop normal sentences from abnormal reports.")
    ] = True,
    model: Annotated[
        str, typer.Option(help="Architecture to build, or name or folder of a model to go on from.")
    ] = "compact",
    image_size: Annotated[
        int | None,
        typer.Option(help="Side of the square input in pixels.", show_default="the model's own; 64 if built"),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training studies.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Pairs a step.")] = 64,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Peak learning rate.", show_default="3e-3 for an architecture, 1e-4 for a model"),
    ] = None,
    image_layers: Annotated[
        str, typer.Option(help="What of the image tower is trained: all, none, last-N or lora.")
    ] = "all",
    text_layers: Annotated[str, typer.Option(help="The same of the text tower.")] = "all",
    layer_decay: Annotated[
        float, typer.Option(help="Rate of a block as a share of that of the block behind it.")
    ] = 1.0,
    lora_rank: Annotated[int, typer.Option(help="Rank of the matrices of LoRA.")] = 8,
    cache_chunk: Annotated[
        int, typer.Option(help="Pairs in memory at a time, with the gradients of the whole batch; 0 = all.")
    ] = 0,
    ema: Annotated[float, typer.Option(help="Decay of a running mean of the weights; 0 = none.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of weights, order, draws and augmentation.")] = 0,
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    config: Annotated[Path | None, typer.Option(help="TOML file with any field of the recipe.")] = None,
) -> None:
    """Train a CLIP model, or refine one, with InfoNCE, SigLIP or OFF-CLIP.

    Options given here win over the file given with --config.

    Example: [bold]offclip train studies.parquet --objective offclip --out runs/first[/bold]
    """
    from offclip.cli.console import typed
    from offclip.cli.train import run_train

    options = {
        "objective": objective,
        "filter_sentences": filter_sentences,
        "model": model,
        "image_size": image_size,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "image_layers": image_layers,
        "text_layers": text_layers,
        "layer_decay": layer_decay,
        "lora_rank": lora_rank,
        "cache_chunk": cache_chunk,
        "ema": ema,
        "seed": seed,
        "precision": precision,
    }
    run_train(studies, out, config, {name: value for name, value in options.items() if typed(context, name)})


app.command()(evaluate)


app.command()(ground)


app.command()(screen)


@app.command()
def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="OUT1 OUT2 ...", help="Folders that 'offclip evaluate' wrote.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the comparison.")] = Path("comparison"),
    baseline: Annotated[
        str | None,
        typer.Option(help="Folder name of the run to compare with.", show_default="the first"),
    ] = None,
    allow_different_protocol: Annotated[
        bool,
        typer.Option(
            "--allow-different-protocol",
            help="Compare what two protocols leave equal: cases in both, findings with the same labels.",
        ),
    ] = False,
) -> None:
    """Compare evaluations of the same cases with paired tests.

    Example: [bold]offclip compare results/first results/second --out comparison[/bold]
    """
    from offclip.cli.compare import run_compare

    run_compare(folders, out, baseline, allow_different_protocol=allow_different_protocol)


@app.command()
def convert(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Published file of CARZero or OFF-CLIP: .ckpt, .pt, .pth or .safetensors; or the name of a "
            "model of another library, see 'offclip models list'.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Of a file: folder or file with vocab.txt or tokenizer.json, or an id on the hub.",
            show_default="none; the model takes no text",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of a file: carzero or offclip.", show_default="as its layout says")
    ] = None,
    text_preset: Annotated[
        str | None,
        typer.Option(
            help="Of a file: carzero, as published; or corrected, which keeps decimals and single words.",
            show_default="carzero",
        ),
    ] = None,
    max_gib: Annotated[
        float | None, typer.Option(min=0, help="Of a file: refuse a larger one.", show_default="4.0")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Of a name: side of the input.", show_default="the model's own")
    ] = None,
    local: Annotated[
        str | None,
        typer.Option(
            help="Of a name: what a cell of a heat map is; see docs/models.md.", show_default="values"
        ),
    ] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option("--allow-pickle", help="Of a name: read weights from a pickle; tensors only, see docs."),
    ] = False,
) -> None:
    """Convert published weights into a model folder, which needs no hub. Nothing in a file is executed.

    Example: [bold]offclip convert CARZero.ckpt --tokenizer BioClinicalMPBERT --out models/carzero[/bold]

    Example: [bold]offclip convert hf:org/name --out models/name[/bold]
    """
    from offclip.cli.convert import is_file, run_convert, run_convert_name

    of_file = {"--tokenizer": tokenizer, "--name": name, "--text-preset": text_preset, "--max-gib": max_gib}
    of_name = {"--image-size": image_size, "--local": local, "--allow-pickle": allow_pickle or None}
    if is_file(model, of_file, of_name):
        run_convert(
            Path(model), out, tokenizer, name, text_preset or "carzero", 4.0 if max_gib is None else max_gib
        )
    else:
        run_convert_name(model, out, image_size=image_size, local=local, allow_pickle=allow_pickle)


@app.command()
def verify(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help=MODEL_HELP, show_default="the installation itself"),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Compute CARZero at its published size too: 2 GB, half a minute or more."
        ),
    ] = False,
) -> None:
    """Check a model: files, preprocessing, and that it computes; or this installation, against known numbers.

    The exit code is 0 when all checks passed, 1 when one failed, 2 when there is no whole model.

    Example: [bold]offclip verify runs/first[/bold]
    """
    from offclip.cli.verify import run_verify

    run_verify(model, full=full)


@app.command()
def env() -> None:
    """Print versions, devices and extras, to paste into a bug report.

    Example: [bold]offclip env[/bold]
    """
    from offclip.cli.env import print_environment

    print_environment()


def run() -> None:
    """Entry point: user errors become one line and exit code 2, never a traceback."""
    from offclip.cli.console import run_safely

    sys.exit(run_safely(app, debug="--debug" in sys.argv))
