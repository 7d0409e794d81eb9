"""Models of every family that are large enough to learn something of a phantom in half a minute."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tokenizers
import torch

SIDE, PATCH, WIDTH, JOINT, LONGEST = 64, 8, 64, 64, 24
_SHAPE: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_IMAGE: dict[str, Any] = {**_SHAPE, "image_size": SIDE, "patch_size": PATCH}
_PIXELS = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
}


def hugging_face(kind: str, folder: Path, sentences: Sequence[str]) -> str:
    """A model of transformers with a tokenizer of whole words; its name."""
    import transformers

    words = _word_tokenizer(folder, sentences)
    text = {**_SHAPE, "vocab_size": words, "max_position_embeddings": LONGEST, "pad_token_id": 0}
    marks = {"bos_token_id": 2, "eos_token_id": 3}
    torch.manual_seed(0)
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text | marks, vision_config=_IMAGE, projection_dim=JOINT)
    elif kind == "siglip":
        config = transformers.SiglipConfig(text_config=text | marks, vision_config=_IMAGE)
    elif kind == "chinese_clip":
        config = transformers.ChineseCLIPConfig(text_config=text, vision_config=_IMAGE, projection_dim=JOINT)
    else:
        config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(
            transformers.ViTConfig(**_IMAGE), transformers.BertConfig(**text), projection_dim=JOINT
        )
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_PIXELS))
    return f"hf:{folder}"


def open_clip_vit(kind: str, folder: Path, sentences: Sequence[str]) -> str:
    """A vision transformer of open_clip, with its own tokenizer; its name."""
    import open_clip
    from safetensors.torch import save_file

    del kind, sentences
    shape = {"width": WIDTH, "layers": 2}
    config = {
        "embed_dim": JOINT,
        "vision_cfg": {"image_size": SIDE, "patch_size": PATCH, "head_width": 16, **shape},
        "text_cfg": {"context_length": LONGEST, "vocab_size": 49408, "heads": 4, **shape},
    }
    torch.manual_seed(0)
    model = open_clip.CLIP(**config)
    pixels = {"mean": [0.5] * 3, "std": [0.25] * 3, "resize_mode": "squash", "interpolation": "bilinear"}
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": pixels | {"size": SIDE}})
    )
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return f"open_clip:{folder}"


def two_towers(kind: str, folder: Path, sentences: Sequence[str]) -> str:
    """A residual network of timm beside a BERT of transformers, neither trained; their name."""
    import transformers

    words = _word_tokenizer(folder, sentences)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        **_SHAPE, vocab_size=words, max_position_embeddings=LONGEST, pad_token_id=0
    )
    transformers.BertModel(config).save_pretrained(folder)
    return f"timm:{kind}@random+hf:{folder}"


# Family and kind: how it is made.
MODELS: dict[tuple[str, str], Callable[[str, Path, Sequence[str]], str]] = {
    ("transformers", "clip"): hugging_face,
    ("transformers", "siglip"): hugging_face,
    ("transformers", "vision-text-dual-encoder"): hugging_face,
    ("transformers", "chinese_clip"): hugging_face,
    ("open_clip", "vit"): open_clip_vit,
    ("timm", "resnet10t"): two_towers,
}


def _word_tokenizer(folder: Path, sentences: Sequence[str]) -> int:
    """Saves a tokenizer of the words of the sentences, and says how many ids it has."""
    import transformers

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="[UNK]"))
    inner.normalizer = tokenizers.normalizers.Lowercase()
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.WordLevelTrainer(special_tokens=marks, show_progress=False)
    inner.train_from_iterator(sorted(sentences), trainer)
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=LONGEST, eos_token="[SEP]", **names
    ).save_pretrained(folder)
    return inner.get_vocab_size()
