"""Which models of transformers are a CLIP, and where in them things stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from offclip.models.heads import MAX_LOGIT_SCALE

Pooling = Literal["first", "head", "mean"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model that compares images with texts.

    Attributes:
        name: Its class in transformers.
        fixed_length: Texts are padded to the full length, as its processor does; the result depends on it.
        first_token: The pooled vector of a text is that of its first token; otherwise the text tower's own.
        max_logit_scale: Where the scale is cut off, unless the trained one is larger.
    """

    name: str
    fixed_length: bool = False
    first_token: bool = False
    max_logit_scale: float = MAX_LOGIT_SCALE


@dataclass(frozen=True, slots=True)
class Vision:
    """An image tower.

    Attributes:
        pooling: The pooled vector is read off the first token, by a head that looks at all, or as their mean.
        norm: The layer norm behind the last layer.
        head: What stands between that norm and the projection; it takes a sequence of tokens.
    """

    pooling: Pooling
    norm: str
    head: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A text tower.

    Attributes:
        eos: The pooled vector stands at the end-of-text token, whose id the configuration knows.
        offset: Positions are counted from the padding id on: so many fewer tokens fit, and the tokenizer must
            pad with that id.
        head: What stands between the last layer and the projection.
    """

    eos: bool = False
    offset: bool = False
    head: str | None = None


# SigLIP's loss has no softmax that could run away, and its published scales are above 100.
_SIGMOID_SCALE = 1000.0

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "clip": Architecture("CLIPModel"),
        "metaclip_2": Architecture("MetaClip2Model"),
        "siglip": Architecture("SiglipModel", fixed_length=True, max_logit_scale=_SIGMOID_SCALE),
        "vision-text-dual-encoder": Architecture("VisionTextDualEncoderModel"),
        "chinese_clip": Architecture("ChineseCLIPModel", first_token=True),
        "altclip": Architecture("AltCLIPModel"),
    }
)

_CLIP_VISION = Vision("first", "post_layernorm")
VISION: Mapping[str, Vision] = MappingProxyType(
    {
        "clip_vision_model": _CLIP_VISION,
        "metaclip_2_vision_model": _CLIP_VISION,
        "chinese_clip_vision_model": _CLIP_VISION,
        "altclip_vision_model": _CLIP_VISION,
        "siglip_vision_model": Vision("head", "post_layernorm", "head"),
        "vit": Vision("first", "layernorm", "pooler"),
        "deit": Vision("first", "layernorm", "pooler"),
        "dinov2": Vision("first", "layernorm"),
        "swin": Vision("mean", "layernorm"),
    }
)

_BERT, _ROBERTA = Text(head="pooler"), Text(head="pooler", offset=True)
TEXT: Mapping[str, Text] = MappingProxyType(
    {
        "clip_text_model": Text(eos=True),
        "metaclip_2_text_model": Text(eos=True),
        "siglip_text_model": Text(head="head"),
        "chinese_clip_text_model": Text(),
        "altclip_text_model": Text(offset=True),
        "bert": _BERT,
        "ernie": _BERT,
        "roberta": _ROBERTA,
        "xlm-roberta": _ROBERTA,
        "camembert": _ROBERTA,
    }
)
