"""A Hugging Face text encoder under a projection into the joint space."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from offclip.errors import ConfigError
from offclip.models.adapters.adapted import TextTower
from offclip.models.adapters.library import library
from offclip.models.interface import TextFeatures

# Encoders whose last hidden state has one vector a token that has seen the whole sentence.
ENCODERS = (
    "albert",
    "bert",
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "ernie",
    "modernbert",
    "mpnet",
    "roberta",
    "xlm-roberta",
)
# Of an encoder and a decoder the encoder is taken.
ENCODER_DECODERS = ("mt5", "t5", "umt5")
POOLINGS = ("mean", "cls")
# Of a file, where it was made, and number types: what is built is float32.
_FORGOTTEN = ("_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version")


class EncoderTextTower(TextTower):
    """A text encoder, pooled as its makers did.

    Args:
        encoder: Of transformers; called with ids and mask, it returns a `last_hidden_state`.
        width: Size of its token vectors.
        layers: Number of its layers.
        embed_dim: D, the size of the joint space.
        pooling: `mean` over the tokens, or `cls`, the first one.
    """

    def __init__(self, encoder: nn.Module, width: int, layers: int, embed_dim: int, pooling: str) -> None:
        super().__init__()
        self.encoder, self.layers, self.pooling = encoder, layers, pooling
        self.project = nn.Linear(width, embed_dim)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The transformer layers; the encoder as one, where layers share their weights."""
        for module in self.encoder.modules():
            if isinstance(module, nn.ModuleList) and len(module) == self.layers:
                return tuple(module)
        return (self.encoder,)

    @property
    def fresh(self) -> Sequence[nn.Module]:
        """The projection."""
        return (self.project,)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """(T, L) ids and mask -> pooled (T, D) and tokens (T, L, D)."""
        tokens = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pooling == "cls":
            pooled = tokens[:, 0]
        else:
            weights = attention_mask.to(tokens.dtype).unsqueeze(-1)  # T L 1
            pooled = (tokens * weights).sum(dim=1) / weights.sum(dim=1)
        return TextFeatures(self.project(pooled), self.project(tokens), attention_mask.bool())


def encoder_config(content: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The part of a `config.json` that builds the encoder again.

    Args:
        content: Of the file.
        place: Its name, for the error.

    Raises:
        ConfigError: It is no text encoder that is known here, or its settings mean nothing.
    """
    kind = str(content.get("model_type"))
    if kind not in (*ENCODERS, *ENCODER_DECODERS):
        raise ConfigError(
            f"{place}: {kind!r} is no text encoder that is known here.",
            f"Known: {', '.join((*ENCODERS, *ENCODER_DECODERS))}.",
        )
    transformers = library("transformers", "hf")
    kept = {key: value for key, value in content.items() if key not in (*_FORGOTTEN, "model_type")}
    try:
        config = transformers.AutoConfig.for_model(kind, **kept)
    except Exception as error:  # the library raises no narrower kind
        raise ConfigError(f"{place}: {' '.join(str(error).split())}.", "Download it again.") from error
    stored = json.loads(config.to_json_string(use_diff=True))
    return {key: value for key, value in stored.items() if key not in _FORGOTTEN}


def make_encoder(stored: Mapping[str, Any]) -> nn.Module:
    """The whole model of a configuration as `encoder_config` returns it, with random weights."""
    transformers = library("transformers", "hf")
    kind = stored["model_type"]
    config = transformers.AutoConfig.for_model(kind, **{k: v for k, v in stored.items() if k != "model_type"})
    if kind in ENCODER_DECODERS:
        return transformers.AutoModelForTextEncoding.from_config(config).eval()
    model = transformers.AutoModel.from_config(config).eval()
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # looked at by nobody
    return model


def make_text_tower(encoder: nn.Module, embed_dim: int, pooling: str) -> EncoderTextTower:
    """The tower of an encoder as `make_encoder` returns it."""
    config: Any = encoder.config
    inner: Any = encoder.encoder if config.model_type in ENCODER_DECODERS else encoder
    return EncoderTextTower(inner, config.hidden_size, config.num_hidden_layers, embed_dim, pooling)
