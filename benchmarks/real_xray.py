"""The main job on real chest films: export, label, train and evaluate the ablation; weak pairing throughout.

    python benchmarks/real_xray.py --data ../shared/data --out runs/real_xray
    python benchmarks/real_xray.py --data ../shared/data --out runs/real_xray --towers

The NIH images have no reports. Each gets one composed of real Open-I sentences of matching labels (weak
pairing). Besides: the true image-note pairs of covid_chestxray, and the 22 films of openi_pairs one by one. A
stopped run goes on where it was. The results and what they mean: docs/results.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import polars as pl
import torch

from offclip.data.exports import studies_from_export
from offclip.data.files import write_skipped
from offclip.data.study import write_studies
from offclip.errors import OffclipError
from real_xray_covid import covid_part
from real_xray_export import LARGE, PROTOCOLS, SMALL, WEAK, read_nih, write_export
from real_xray_films import films_part
from real_xray_runs import (
    MAIN_COLUMNS,
    VIEW_COLUMNS,
    choose,
    first_run,
    run_protocol,
    scratch_recipes,
    table_text,
)
from real_xray_text import read_bank
from real_xray_towers import towers_part

NEEDED = (LARGE, SMALL, "openi_reports", "openi_pairs", "covid_chestxray")
PARTS = ("labels", "radiologist", "covid", "films")
POINTING_COLUMNS = ("abnormal_auc", "pointing_accuracy", "pointing_chance")


def export(data: Path, out: Path, protocol: str) -> Path:
    """Writes the export of a protocol and labels it as `offclip label` does; a finished one stays."""
    folder = out / f"{protocol}_weak_pairing" / "export"
    if not (folder / "studies.parquet").is_file():
        films = pl.read_csv(data / "openi_pairs" / "metadata.csv", infer_schema=False)["uid"]
        images, bank = read_nih(data), read_bank(data / "openi_reports", leave_out=films)
        write_export(folder, PROTOCOLS[protocol](images), images, bank)
        studies, skipped = studies_from_export(folder / "reports.csv")
        write_skipped(folder / "skipped.csv", skipped)
        write_studies(studies, folder / "studies.parquet")
    return folder


def protocol_part(data: Path, out: Path, protocol: str, seeds: int, workers: int) -> Path:
    """One protocol from export to tables; returns the run folder of OFF-CLIP, seed 0."""
    folder = export(data, out, protocol)
    home = folder.parent
    recipes = scratch_recipes()
    key = choose(folder, home, recipes, workers, tell)
    tell(f"{protocol}: {key}")
    table, jobs = run_protocol(folder, home, (key, recipes[key]), range(seeds), workers, tell)
    sections = [
        f"# Protocol {protocol!r} ({WEAK}), {recipes[key].epochs} epochs, {seeds} seeds",
        table_text(table, MAIN_COLUMNS),
    ]
    counts = table.select("PA_normals", "PA_abnormals", "AP_normals", "AP_abnormals").row(0, named=True)
    sections += [f"Films: {counts}", table_text(table, VIEW_COLUMNS), table_text(table, POINTING_COLUMNS)]
    text = "\n\n".join(sections) + "\n"
    (home / "results.md").write_text(text, encoding="utf-8")
    print(text)
    return first_run(jobs)


def tell(text: str) -> None:
    """Prints a line with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main() -> int:
    """Runs the parts that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the real data")
    parser.add_argument("--out", type=Path, default=Path("runs/real_xray"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--towers",
        action="store_true",
        help="published towers instead of the other parts",
    )
    arguments = parser.parse_args()
    missing = [name for name in NEEDED if not (arguments.data / name).is_dir()]
    if missing:
        print(
            f"{arguments.data}: there is no {', '.join(missing)}. Give the data folder with --data.",
            file=sys.stderr,
        )
        return 2
    torch.set_num_threads(1)
    try:
        run_parts(arguments)
    except OffclipError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run_parts(arguments: argparse.Namespace) -> None:
    """Runs the parts in their order; the films need the model of protocol 'labels'."""
    data, out, seeds, workers = arguments.data, arguments.out, arguments.seeds, arguments.workers
    if arguments.towers:
        folder = export(data, out, "labels")
        towers_part(folder, folder.parent, range(seeds), workers, tell)
        return
    runs = {
        name: protocol_part(data, out, name, seeds, workers) for name in PROTOCOLS if name in arguments.parts
    }
    if not {"covid", "films"} & set(arguments.parts):
        return
    run = runs.get("labels") or protocol_part(data, out, "labels", seeds, workers)
    if "covid" in arguments.parts:
        covid_part(data / "covid_chestxray", out / "covid_true_pairs", run / "model", seeds, tell)
    if "films" in arguments.parts:
        films_part(data / "openi_pairs", out / "films_true_pairs", run / "model", tell)


if __name__ == "__main__":
    sys.exit(main())
