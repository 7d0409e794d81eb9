"""The examples as modules, and a folder on which a few steps suffice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import polars as pl
import pytest

from offclip.data.phantom import write_phantom

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.append(str(EXAMPLES))


@pytest.fixture(scope="session")
def marked(tmp_path_factory) -> Path:
    """A phantom whose abnormal films have a white square, so that a minute's training can tell them."""
    folder = tmp_path_factory.mktemp("shared") / "marked"
    write_phantom(folder, 300, size=64)
    abnormal = pl.read_csv(folder / "labels.csv").filter(pl.col("normal") == 0)["image_id"]
    for image_id in abnormal:
        path = str(folder / "images" / f"{image_id}.png")
        image = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
        image[4:28, 4:28] = 255
        cv2.imwrite(path, image)
    return folder


@pytest.fixture
def run_example(tmp_path) -> Callable[..., dict[str, tuple[float, float]]]:
    """Runs an example as a user would; returns the lines that it prints, with the two numbers of each."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"

    def run(name: str, *options: object) -> dict[str, tuple[float, float]]:
        for folder in (home, temporary):
            folder.mkdir()
        done = subprocess.run(
            [sys.executable, EXAMPLES / name, *map(str, options)],
            cwd=home,
            env=os.environ | {"TMPDIR": str(temporary), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert not list(home.iterdir())
        assert not list(temporary.iterdir())
        lines = re.findall(r"^(\w.*?) +(-?\d+\.\d+) +(-?\d+\.\d+)$", done.stdout, re.MULTILINE)
        return {text: (float(before), float(after)) for text, before, after in lines}

    return run


@pytest.fixture
def learns() -> Callable[[dict[str, tuple[float, float]]], None]:
    """Whether the loss fell, and the normal prompt came ahead on normal films and on those only."""

    def check(lines: dict[str, tuple[float, float]]) -> None:
        (loss, normal, abnormal) = lines.values()
        assert loss[1] < loss[0] - 1
        assert normal[1] > normal[0] + 0.2
        assert normal[1] > abnormal[1] + 0.4

    return check
