"""How should the cells of a vision transformer be read off? The pointing game on phantoms decides.

    python benchmarks/local_features.py --out runs/local_features

Needs `pip install -e '.[hf]'`. A small CLIP with blocks of CLIP's vision transformer
(`local_features_model.py`) is trained on drawn films with OFF-CLIP, several seeds. Then the same weights are
measured with each of `last_block.LOCAL`, on the validation films, which choose, and on the test films, which
report. Beside them stand Grad-CAM, a constant map (chance) and a hill in the middle of the film. What is
trained is not trained again. Prints a Markdown table, and writes it to `table.md`; docs/grounding.md has the
results and what they mean.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from grounding_references import REFERENCES, Reference
from local_features_model import SIDE, trained
from offclip.data.exports import studies_from_export
from offclip.data.loader import load_pixels
from offclip.data.phantom import write_phantom
from offclip.data.study import write_studies
from offclip.errors import OffclipError
from offclip.evaluation.classification import classify, evaluation_prompts
from offclip.evaluation.grounding.run import ground_model
from offclip.evaluation.grounding.tables import GroundingData, read_grounding_folder
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.evaluation.truth import read_evaluation_folder
from offclip.models.adapters.adapted import AdaptedClip
from offclip.models.adapters.last_block import LOCAL
from offclip.models.interface import ClipModel
from offclip.zeroshot.score import score_images

POOLING = ("token", "mean")
SPLITS = ("validate", "test")
MEASURES = {"hit": "hit", "chance": "chance", "mIoU": "miou", "CNR": "cnr", "energy": "energy"}


def phantom(folder: Path, studies: int) -> Path:
    """Drawn films with reports, labels and boxes."""
    if not (folder / "studies.parquet").is_file():
        write_phantom(folder, studies, size=SIDE)
        table, _ = studies_from_export(folder / "reports.csv")
        write_studies(table, folder / "studies.parquet")
    return folder


def with_local(model: AdaptedClip, local: str) -> AdaptedClip:
    """The same weights, the cells read off in another way."""
    model.image_tower.local = local  # type: ignore[assignment]
    return model


def learnt(model: ClipModel, folder: Path) -> dict[str, float]:
    """AUC on the test films: of normal, and the mean of the findings; a map cannot know more."""
    data = read_evaluation_folder(folder)
    store, _ = load_pixels(data.images["test"], model.preprocess)
    found = classify(score_images(model, store, evaluation_prompts(data.labels.findings)), data.labels)
    return {"normal AUC": found.normal_auc or np.nan, "finding AUC": found.abnormal_auc or np.nan}


def measures(model: ClipModel, data: GroundingData, split: str, method: str) -> dict[str, Any]:
    """Means over the findings of one split."""
    found = ground_model(model, data, methods=[method], split=split, resampling=Resampling(resamples=100))
    block = found.block()[method]
    return {name: _value(block[key]) for name, key in MEASURES.items()}


def table_text(rows: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """Markdown: mean over the seeds, with the spread."""
    lines = ["| cells | split | seeds | " + " | ".join(MEASURES) + " |", "|---" * (3 + len(MEASURES)) + "|"]
    for name, splits in rows.items():
        for split, seeds in splits.items():
            cells = [_mean_sd([one[measure] for one in seeds]) for measure in MEASURES]
            lines.append(f"| {name} | {split} | {len(seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _value(entry: Any) -> float | None:
    return entry["value"] if isinstance(entry, dict) else entry


def _mean_sd(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    if not there:
        return "-"
    spread = f" ± {np.std(there, ddof=1):.3f}" if len(there) > 1 else ""
    return f"{np.mean(there):.3f}{spread}"


def tell(text: str) -> None:
    """Prints a line with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def measure(pooling: str, arguments: argparse.Namespace) -> str:
    """What the models learnt, and the table of their maps, as Markdown."""
    folder = phantom(arguments.out / "phantom", arguments.studies)
    marked, studies = read_grounding_folder(folder), folder / "studies.parquet"
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    known: list[dict[str, float]] = []
    model = None
    for seed in range(arguments.seeds):
        run = arguments.out / f"{pooling}-seed{seed}"
        model = trained(pooling, seed, studies, run, arguments.epochs, arguments.rate)
        known.append(learnt(model, folder))
        tell(f"{run.name}: " + ", ".join(f"{name} {value:.3f}" for name, value in known[-1].items()))
        ways = [(f"similarity, {local}", local, "similarity") for local in LOCAL]
        for name, local, method in [*ways, ("grad-cam", LOCAL[0], "grad-cam")]:
            for split in SPLITS:
                values = measures(with_local(model, local), marked, split, method)
                found.setdefault(name, {}).setdefault(split, []).append(values)
    if model is not None:
        for name in ("constant map", "middle of the film"):
            reference = Reference(REFERENCES[name], model.preprocess).eval()
            found[name] = {split: [measures(reference, marked, split, "similarity")] for split in SPLITS}
    aucs = ", ".join(f"{name} {_mean_sd([one[name] for one in known])}" for name in known[0])
    return f"## Pooled by {pooling}: {aucs}\n\n{table_text(found)}\n"


def main() -> int:
    """Trains, measures, and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/local_features"))
    parser.add_argument("--pooling", nargs="+", choices=POOLING, default=POOLING)
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts = []
    try:
        for pooling in arguments.pooling:
            parts.append(measure(pooling, arguments))
    except OffclipError as error:
        print(error, file=sys.stderr)
        return 1
    text = "\n".join(parts)
    (arguments.out / "table.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
