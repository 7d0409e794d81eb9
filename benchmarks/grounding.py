"""Heat maps of the demo's models against boxes and masks: the phantom, NIH boxes and COVID masks.

    offclip demo --out demo
    python benchmarks/grounding.py demo --nih ../shared/data/nih_chestxray14 \
        --covid ../shared/data/covid_chestxray --out runs/grounding

Any folder with `runs/<objective>-<filter>-seed<n>` will do, such as that of real_xray.py; the phantom is
measured where the folder has one. A set that is not given or not there is left out. What is finished is not
measured again, unless the weights have changed. The tables go to `tables.md` in the output folder: mean over
the seeds that are there. The results and what they mean: docs/grounding.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from grounding_references import REFERENCES, Reference
from grounding_sets import export_covid, export_nih
from offclip.errors import OffclipError
from offclip.evaluation.ablation import ABLATION, FULL_METHOD
from offclip.evaluation.grounding.run import ground_model, write_grounding
from offclip.evaluation.grounding.tables import GroundingData, read_grounding_folder
from offclip.grounding.sanity import randomise
from offclip.models.checkpoint import CARD, load_model, read_card
from offclip.models.interface import ClipModel

SHUFFLINGS = 3
HEADINGS = ("maps", "hit", "chance", "mIoU", "Dice", "IoU >= .3", "CNR", "energy", "area")
SHUFFLED = "shuffled weights"


def sets(arguments: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Name and folder of every set that is there."""
    if (arguments.demo / "phantom").is_dir():
        yield "phantom", arguments.demo / "phantom"
    for name, data, export in (("nih", arguments.nih, export_nih), ("covid", arguments.covid, export_covid)):
        if data is None or not data.is_dir():
            tell(f"{name}: not given or not there, left out")
            continue
        yield name, export(data, arguments.out / name / "export")


def measure(
    name: str, folder: Path, demo: Path, out: Path, *, checks: bool
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Measures every run of the demo on one set, and the references.

    Returns:
        From (variant, kind of map) to the measures, one a seed.
    """
    data, tables = read_grounding_folder(folder), _fingerprint(folder)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def take(who: str, model: Path | ClipModel, place: str, weights: Any, *, checked: bool = False) -> None:
        about = {"weights": weights, "tables": tables, "checks": checked}
        block = _measured(model, data, out / name / place, about)
        for method in _methods(block):
            found.setdefault((who, "-" if isinstance(model, Reference) else method), []).append(block[method])

    last: tuple[ClipModel, Any] | None = None
    for variant in ABLATION:
        for run in sorted((demo / "runs").glob(f"{variant.key}-seed*")):
            if not (run / "model" / CARD).is_file():
                tell(f"{run.name}: not finished, left out")
                continue
            weights, first = read_card(run)["sha256"], run.name.endswith("seed0")
            # The checks take most of the time, and are no result on films the model was not trained on.
            take(variant.name, run, run.name, weights, checked=checks and name == "phantom" and first)
            if last is None or (variant == FULL_METHOD and first):
                last = (load_model(run), weights)
            tell(f"{name}: {run.name}")
    if last is not None:
        model, weights = last
        for seed in range(SHUFFLINGS):
            take(SHUFFLED, randomise(model, seed), f"{SHUFFLED} {seed}", [weights, seed])
        for who, compute in REFERENCES.items():
            take(who, Reference(compute, model.preprocess).eval(), who, repr(model.preprocess))
        tell(f"{name}: references")
    return found


def table_text(found: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    """Markdown: a line a variant and map, mean over seeds, with the spread where there are several."""
    lines = ["| model | map | seeds | " + " | ".join(HEADINGS) + " |", "|---" * (len(HEADINGS) + 3) + "|"]
    for (who, method), seeds in found.items():
        cells = [f"{seeds[0]['maps']}", *(_mean_sd([_value(s, h) for s in seeds]) for h in HEADINGS[1:])]
        lines.append(f"| {who} | {method} | {len(seeds)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def per_class_text(found: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    """Markdown: hits of each finding, a line a variant and map."""
    first = next(iter(found.values()))[0]["per_class"]
    names = [f"{name} ({block['maps']})" for name, block in first.items()]
    lines = ["| hit | map | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    chances = [_short(block["chance"]) for block in first.values()]
    lines.append("| chance | - | " + " | ".join(chances) + " |")
    for (who, method), seeds in found.items():
        cells = [_mean_sd([s["per_class"][name]["hit"]["value"] for s in seeds]) for name in first]
        lines.append(f"| {who} | {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def checks_text(out: Path) -> str:
    """Markdown: shuffled weights, insertion and deletion of the runs that were checked."""
    lines = [
        "| run | map | |rank correlation| with shuffled weights | verdict | insertion gain | beaten | "
        "deletion gain | beaten |",
        "|---" * 8 + "|",
    ]
    lines[0] = lines[0].replace("|rank correlation|", "absolute rank correlation")
    for file in sorted((out / "phantom").glob("*/grounding.json")):
        block = json.loads(file.read_text(encoding="utf-8"))
        for method, sanity in block.get("sanity", {}).items():
            faithful = block["faithfulness"][method]
            cells = [
                f"{_short(faithful[key]['value'])} ({_short(faithful[key]['low'])} to "
                f"{_short(faithful[key]['high'])})"
                for key in ("insertion_gain", "insertion_rank", "deletion_gain", "deletion_rank")
            ]
            lines.append(
                f"| {file.parent.name} | {method} | {_short(sanity['spearman_absolute'])} | "
                f"{sanity['verdict']} | {' | '.join(cells)} |"
            )
    return "\n".join(lines)


def _measured(
    model: Path | ClipModel, data: GroundingData, out: Path, about: dict[str, Any]
) -> dict[str, Any]:
    """The block of a model on a set; a finished one is read."""
    file = out / "grounding.json"
    if file.is_file():
        block = json.loads(file.read_text(encoding="utf-8"))
        if all(block.get(key) == value for key, value in about.items()):
            return block
    loaded = load_model(model) if isinstance(model, Path) else model
    checks = about["checks"]
    result = ground_model(loaded, data, faithfulness=checks, sanity=checks)
    write_grounding(result, out, about)
    return json.loads(file.read_text(encoding="utf-8"))


def _fingerprint(folder: Path) -> str:
    """Of the tables that say what is where."""
    files = [folder / name for name in ("reports.csv", "boxes.csv", "masks.csv")]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files if f.is_file())).hexdigest()


def _methods(block: dict[str, Any]) -> list[str]:
    return [name for name, value in block.items() if isinstance(value, dict) and "hit" in value]


def _value(block: dict[str, Any], heading: str) -> float | None:
    keys = {"mIoU": "miou", "Dice": "dice", "CNR": "cnr", "area": "energy_chance"}
    value = block["iou_at"]["0.3"] if heading == "IoU >= .3" else block[keys.get(heading, heading)]
    return value["value"] if isinstance(value, dict) else value


def _mean_sd(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    if not there:
        return "-"
    mean = _short(float(np.mean(there)))
    return mean if len(there) == 1 else f"{mean} ± {_short(float(np.std(there, ddof=1)))}"


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def tell(text: str) -> None:
    """Prints a line with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main() -> int:
    """Measures every set that is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("demo", type=Path, help="folder of offclip demo, or another with runs/")
    parser.add_argument("--nih", type=Path, help="folder nih_chestxray14")
    parser.add_argument("--covid", type=Path, help="folder covid_chestxray")
    parser.add_argument("--out", type=Path, default=Path("runs/grounding"))
    parser.add_argument("--no-checks", action="store_true", help="no shuffled weights, insertion, deletion")
    arguments = parser.parse_args()
    if not any((arguments.demo / "runs").glob("*-seed*")):
        print(f"{arguments.demo}: no runs/*-seed*. Give the folder of offclip demo.", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    parts = []
    try:
        for name, folder in sets(arguments):
            found = measure(name, folder, arguments.demo, arguments.out, checks=not arguments.no_checks)
            parts.append(f"## {name}\n\n{table_text(found)}\n\n{per_class_text(found)}")
            if name == "phantom" and not arguments.no_checks:
                parts.append(checks_text(arguments.out))
    except OffclipError as error:
        print(error, file=sys.stderr)
        return 1
    text = "\n\n".join(parts) + "\n"
    (arguments.out / "tables.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
