"""What to refine with: learning rates, a bias that is centred or not, and features that are kept.

    python benchmarks/refining.py [--out FOLDER]

A compact model learns 1,500 phantoms with InfoNCE. From there OFF-CLIP goes on with 600 others, for 5 epochs.
Once the bias is 0, and `train` centres it; once all logits are 20 higher, as those of a CLIP are, and stay.
The phantoms are synthetic. Then the speed of training with frozen towers, features kept or computed in every
step: the best epoch of three interleaved rounds. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from offclip.data.exports import studies_from_export
from offclip.data.phantom import write_phantom
from offclip.data.study import write_studies
from offclip.evaluation.early import early_metrics
from offclip.models import load_model, save_model
from offclip.models.dual_encoder import DualEncoder
from offclip.training import TrainConfig, features, train

RATES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3)
FROZEN: dict[str, dict[str, Any]] = {
    "text tower": {"text_layers": "none"},
    "both towers": {"text_layers": "none", "image_layers": "none"},
}


def make_table(folder: Path, n: int, seed: int) -> Path:
    """Labelled phantoms at 64 px."""
    write_phantom(folder, n, size=64, seed=seed)
    studies, _ = studies_from_export(folder / "reports.csv")
    write_studies(studies, folder / "studies.parquet")
    return folder / "studies.parquet"


def metrics(run: Path) -> list[dict[str, Any]]:
    """All lines of a run."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def compare_rates(out: Path, start: Path, table: Path) -> None:
    """Normal AUC on the validation studies by rate, bias centred and not."""
    columns = ("learning rate", "AUC", "worst prompt", "AUC, not centred", "worst prompt, not centred")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for rate in RATES:
        row = []
        for shift in (0.0, 20.0):
            source, run = out / f"start-{shift:.0f}", out / f"rate-{rate}-{shift:.0f}"
            model = load_model(start)
            if not isinstance(model, DualEncoder):
                raise TypeError("not the model that was trained")
            torch.nn.init.constant_(model.head.bias, shift)
            save_model(model, source)
            config = TrainConfig(model=str(source), epochs=5, augment=False, learning_rate=rate)
            train(table, config, run, validate=early_metrics)
            last = metrics(run)[-1]
            row += [last["validation_normal_auc"], last["validation_worst_prompt_normal_auc"]]
        print(f"| {rate:.0e} | {' | '.join(f'{value:.3f}' for value in row)} |", flush=True)


def compare_speed(out: Path, start: Path, table: Path) -> None:
    """Images a second with features that are kept, and computed in every step."""
    best: dict[tuple[str, bool], float] = {}
    limit = features.LIMIT_BYTES
    for number in range(3):
        for name, layers in FROZEN.items():
            for kept in (True, False):
                features.LIMIT_BYTES = limit if kept else 0
                run = out / f"speed-{number}-{name}-{kept}"
                train(table, TrainConfig(model=str(start), epochs=4, augment=False, **layers), run)
                speed = max(line["images_per_s"] for line in metrics(run))
                best[name, kept] = max(best.get((name, kept), 0.0), speed)
    features.LIMIT_BYTES = limit
    print("\n| frozen | computed, images/s | kept, images/s | ratio |\n|---|---|---|---|")
    for name in FROZEN:
        computed, kept_speed = best[name, False], best[name, True]
        print(f"| {name} | {computed:,.0f} | {kept_speed:,.0f} | {kept_speed / computed:.2f} |")


def main() -> None:
    """Makes the phantoms and both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    torch.set_num_threads(1)
    out = parser.parse_args().out or Path(tempfile.mkdtemp())
    large, small = make_table(out / "large", 1500, 1), make_table(out / "small", 600, 2)
    config = TrainConfig(
        model="compact-small", objective="infonce", filter_sentences=False, epochs=6, augment=False
    )
    train(large, config, out / "pretrained", validate=early_metrics)
    last = metrics(out / "pretrained")[-1]
    before = [last[f"validation_{name}normal_auc"] for name in ("", "worst_prompt_")]
    print(f"Before, on its own phantoms: AUC {before[0]:.3f}, worst prompt {before[1]:.3f}.\n")
    compare_rates(out, out / "pretrained", small)
    compare_speed(out, out / "pretrained", large)


if __name__ == "__main__":
    main()
