"""What published towers bring: EfficientNet-Lite0 (ImageNet) and MiniLM against towers from scratch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from offclip.evaluation.ablation import BASELINE, FULL_METHOD
from offclip.models.adapters.families import LoadOptions
from offclip.models.names import load_by_name
from offclip.training.config import TrainConfig
from real_xray_export import WEAK
from real_xray_runs import MAIN_COLUMNS, VIEW_COLUMNS, Tell, choose, run_protocol, scratch_recipes, table_text

PAIR = "efficientnet-lite0+minilm"
_BASE = TrainConfig(
    model=PAIR,
    # Between the 64 px of half of the films and the 224 px of the weights: what two CPU cores can train.
    image_size=128,
    text_layers="none",
    augment=True,
    epochs=5,
    learning_rate=1e-3,
)
# MiniLM stays as it is in both: tuning it as well would double the time.
PAIR_RECIPES: Mapping[str, TrainConfig] = MappingProxyType(
    {
        "frozen": dataclasses.replace(_BASE, image_layers="none"),
        "last-2": dataclasses.replace(_BASE, image_layers="last-2"),
    }
)
VARIANTS = (BASELINE, FULL_METHOD)


def towers_part(data: Path, out: Path, seeds: Sequence[int], workers: int, tell: Tell) -> None:
    """Trains both pairs of towers with InfoNCE and OFF-CLIP and writes results.md.

    Films, reports, splits and seeds are the same; the recipe of each pair is chosen on the validate split.

    Args:
        data: Labelled export of a protocol.
        out: Its folder; the runs from scratch are those of the main part.
        seeds: Of training.
        workers: Runs at a time.
        tell: Prints a line.

    Raises:
        ConfigError: The packages with the weights are missing.
    """
    load_by_name(PAIR, LoadOptions(image_size=_BASE.image_size))  # before the training, not after
    homes = {"from scratch": (out, scratch_recipes()), PAIR: (out / "pretrained", PAIR_RECIPES)}
    sections = [f"# Towers ({WEAK}), {len(seeds)} seeds"]
    for name, (home, recipes) in homes.items():
        key = choose(data, home, recipes, workers, tell)
        table, _ = run_protocol(data, home, (key, recipes[key]), seeds, workers, tell, VARIANTS, "towers.csv")
        sections += [
            f"## {name}: {key}",
            *(table_text(table, c, VARIANTS) for c in (MAIN_COLUMNS, VIEW_COLUMNS)),
        ]
        tell(f"{name}: recipe {key}")
    text = "\n\n".join(sections) + "\n"
    (out / "pretrained" / "results.md").write_text(text, encoding="utf-8")
    print(text)
