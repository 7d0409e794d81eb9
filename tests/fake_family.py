"""A family of tiny models that no library is needed for, and a package of somebody else's with one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from offclip.errors import CheckpointError, ConfigError
from offclip.images.preprocess import Preprocess
from offclip.models import names
from offclip.models.adapters import families
from offclip.models.adapters.adapted import AdaptedClip, AdaptedConfig, ImageTower, TextTower
from offclip.models.adapters.families import Family, LoadOptions
from offclip.models.adapters.hub import HOW_TO_CONSENT
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures
from offclip.models.tokenizer import TextTokenizer
from offclip.zeroshot.prompts import NORMAL_PROMPTS, finding_prompt

TEXTS = (*NORMAL_PROMPTS, *(finding_prompt(name) for name in ("pleural effusion", "pneumothorax", "nodule")))


class Cells(ImageTower):
    """Patches of 8 pixels through a layer, and their mean."""

    def __init__(self, dim: int):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 8, 8)
        self.mix = nn.Conv2d(dim, dim, 1)

    @property
    def blocks(self):
        return [self.patch, self.mix]

    @property
    def cam_layer(self):
        return self.mix

    def forward(self, pixels):
        cells = self.mix(self.patch(pixels).tanh())
        local = cells.flatten(2).transpose(1, 2)
        return ImageFeatures(local.mean(dim=1), local, tuple(cells.shape[-2:]))


class Words(TextTower):
    """Sum of word vectors; with `tied`, the layer behind them is the table itself under a second name."""

    def __init__(self, words: int, dim: int, tied: bool):
        super().__init__()
        self.words = nn.Embedding(words, dim)
        self.out = nn.Linear(dim, words if tied else dim, bias=False)
        if tied:
            self.out.weight = self.words.weight

    @property
    def blocks(self):
        return [self.words]

    def forward(self, input_ids, attention_mask):
        tokens = self.words(input_ids) * attention_mask.unsqueeze(-1)
        return TextFeatures(tokens.sum(dim=1), tokens, attention_mask.bool())


def build(config: AdaptedConfig):
    """The towers; whatever is wrong in the configuration fails as it happens to."""
    return Cells(config.embed_dim), Words(config.text["words"], config.embed_dim, config.text["tied"])


def load(rest: str, options: LoadOptions) -> AdaptedClip:
    """`tiny`, `tied`, `untrained`, `pickle`, or `other` weights."""
    if rest not in ("tiny", "tied", "untrained", "pickle", "other"):
        raise CheckpointError(f"fake:{rest}: no such model.", "Take fake:tiny.")
    if rest == "pickle" and not options.allow_pickle:
        raise CheckpointError("fake:pickle: its weights are a pickle only (x.bin).", HOW_TO_CONSENT)
    tokenizer = TextTokenizer.fit([*TEXTS, *TEXTS], max_tokens=24)
    config = AdaptedConfig(
        family="fake",
        source=f"fake:{rest}",
        embed_dim=16,
        text={"words": tokenizer.vocabulary_size, "tied": rest == "tied"},
        local=options.local,
    )
    torch.manual_seed(1 if rest == "other" else 0)
    preprocess = Preprocess(size=options.image_size or 32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.3))
    model = AdaptedClip(config, *build(config), preprocess, tokenizer, log_scale=1.0, bias=-0.5)
    model.licence = "CC0-1.0" if rest == "tiny" else ""
    model.untrained = "all of it is random until it is trained" if rest == "untrained" else ""
    return model.eval()


FAMILY = Family(load, build, TextTokenizer.from_json)


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `fake:...` a name."""
    known = {**families.FAMILIES, "fake": "fake_family"}
    monkeypatch.setattr(families, "FAMILIES", known)
    monkeypatch.setattr(names, "FAMILIES", known)
    monkeypatch.setattr(names, "OWN_SCHEMES", (*names.OWN_SCHEMES, "fake"))


class Theirs(ClipModel):
    """A model of somebody else's package."""

    def __init__(self, rest: str, options: LoadOptions):
        super().__init__()
        inner = load("tiny", options)
        self.inner, self.preprocess, self.tokenizer, self.rest = (
            inner,
            inner.preprocess,
            inner.tokenizer,
            rest,
        )

    def encode_image(self, pixels):
        return self.inner.encode_image(pixels)

    def encode_text(self, input_ids, attention_mask):
        return self.inner.encode_text(input_ids, attention_mask)

    def similarity(self, image, text):
        return self.inner.similarity(image, text)

    def heat_map(self, image, text):
        return self.inner.heat_map(image, text)


def breaks(rest: str, options: LoadOptions):
    """Their code has a bug."""
    return {}[rest]


def refuses(rest: str, options: LoadOptions):
    """Their code says what is wrong as ours does."""
    raise ConfigError(f"{rest} is out of print.", "Buy another.")


def no_model(rest: str, options: LoadOptions):
    """Their code returns something else."""
    return rest
