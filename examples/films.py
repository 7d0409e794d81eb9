"""What the examples train on, and how they measure it: films and sentences of one folder.

The folder is one that `offclip data phantom` writes, or any other with a table `reports.csv` (docs/data.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from offclip.data.exports import studies_from_export
from offclip.data.loader import ImageRef, PixelStore, load_pixels
from offclip.data.phantom import FINDINGS, write_phantom
from offclip.data.sampling import Pairs, make_pairs
from offclip.images.preprocess import Preprocess
from offclip.losses import OffClipLoss
from offclip.models import TextTokenizer
from offclip.zeroshot.prompts import PAPER_NORMAL_PROMPT, finding_prompt

SIZE, LENGTH = 32, 32  # pixels, tokens
PHANTOM_FILMS = 400
ABNORMAL, NORMAL, UNCERTAIN = 0, 1, 2  # one number a pair, easier to carry about than two flags
PROMPTS = [PAPER_NORMAL_PROMPT, *map(finding_prompt, FINDINGS)]


class FilmDataset(Dataset[tuple[Tensor, Tensor, int]]):
    """Pairs as (pixels (3, S, S), token ids (L,), label); the sentence is drawn anew every time."""

    def __init__(self, pairs: Pairs, store: PixelStore, tokens: Tensor) -> None:
        self.pairs, self.tokens = pairs, tokens
        squares = store.batch([int(images[0]) for images in pairs.images])
        self.pixels = Preprocess(SIZE).normalise(squares).expand(-1, 3, -1, -1)
        normal, uncertain = torch.from_numpy(pairs.normal), torch.from_numpy(pairs.uncertain)
        self.labels = torch.full((len(pairs),), ABNORMAL)
        self.labels[normal], self.labels[uncertain] = NORMAL, UNCERTAIN

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        texts = self.pairs.sentences[index].flatten()  # sentences and their prompts
        text = int(texts[int(torch.randint(len(texts), ()))])
        return self.pixels[index], self.tokens[text], int(self.labels[index])


@dataclass(frozen=True)
class Films:
    """Pairs to train on, pairs to measure on, and what turns sentences into (T, L) ids, 0 being the end."""

    train: FilmDataset
    test: FilmDataset
    tokenizer: TextTokenizer

    def tokens(self, texts: list[str]) -> Tensor:
        """Ids (T, L) of sentences."""
        return tokens_of(self.tokenizer, texts)


@dataclass(frozen=True)
class Measured:
    """The loss on training pairs, and how often the normal prompt is ahead of a finding on test films."""

    loss: float
    ahead_on_normal: float
    ahead_on_abnormal: float


def load_films(folder: Path) -> Films:
    """Labels the reports of a folder, reads its films, and splits them by patient as the table says."""
    studies, _ = studies_from_export(folder / "reports.csv")
    images = [ImageRef(image["image_id"], Path(image["path"])) for row in studies["images"] for image in row]
    store, _ = load_pixels(images, Preprocess(SIZE), workers=1)
    train, test = (
        make_pairs(studies.filter(chosen), store, filter_sentences=True)
        for chosen in (pl.col("split") != "test", pl.col("split") == "test")
    )
    tokenizer = TextTokenizer.fit(train.texts, max_tokens=LENGTH - 1)
    return Films(
        *(FilmDataset(p, store, tokens_of(tokenizer, list(p.texts))) for p in (train, test)), tokenizer
    )


def tokens_of(tokenizer: TextTokenizer, texts: list[str]) -> Tensor:
    """Ids (T, L), of one length everywhere and with at least one 0 behind the last token."""
    ids, _ = tokenizer(texts)
    return F.pad(ids, (0, LENGTH - ids.shape[1]))


@torch.no_grad()
def measure(logits: Callable[[Tensor, Tensor], Tensor], films: Films) -> Measured:
    """Measures a function from pixels (N, 3, S, S) and ids (T, L) to logits (N, T)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the same sentences before and after
        pixels, tokens, labels = zip(
            *(films.train[i] for i in range(min(128, len(films.train)))), strict=True
        )
    label = torch.tensor(labels)
    matrix = logits(torch.stack(pixels), torch.stack(tokens))
    loss = OffClipLoss()(matrix, label == NORMAL, label == UNCERTAIN).item()
    scores = logits(films.test.pixels, films.tokens(PROMPTS))
    ahead = (scores[:, :1] > scores[:, 1:]).float().mean(dim=1)
    shares = (ahead[films.test.labels == label].mean().item() for label in (NORMAL, ABNORMAL))
    return Measured(loss, *shares)


def parser(description: str, steps: int) -> argparse.ArgumentParser:
    """The options that all examples have."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--steps", type=int, default=steps, help="optimiser steps (default %(default)s)")
    options.add_argument(
        "--data", type=Path, help="a folder with reports.csv; otherwise a small phantom is drawn"
    )
    options.add_argument("--out", type=Path, help="where files go; otherwise they are removed in the end")
    options.add_argument("--seed", type=int, default=0)
    return options


@contextmanager
def prepared(arguments: argparse.Namespace) -> Iterator[tuple[Films, Path]]:
    """The films, and the folder for files."""
    torch.manual_seed(arguments.seed)
    with TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        if arguments.data is None:
            write_phantom(out / "phantom", PHANTOM_FILMS, size=64)
        yield load_films(arguments.data or out / "phantom"), out


def show(before: Measured, after: Measured) -> None:
    """Prints what training changed."""
    print(f"{'':48}before   after")
    for name, text in (
        ("loss", "OFF-CLIP loss on training pairs"),
        ("ahead_on_normal", "normal prompt ahead of a finding, normal films"),
        ("ahead_on_abnormal", "the same on abnormal films"),
    ):
        print(f"{text:48}{getattr(before, name):6.3f}  {getattr(after, name):6.3f}")
