"""Tiny random models of transformers, saved by the library itself with tokenizers that are made here."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch

transformers = pytest.importorskip("transformers", reason="needs 'offclip[hf]'")

DATA = Path(__file__).parent / "data"
SENTENCES = [
    "There is no focal consolidation.",
    "No PLEURAL effusion (s/p CABG); cardiomegaly: 1.5 cm -- unchanged!",
    "Nodule.",
]
SIDE, PATCH, WIDTH, JOINT = 32, 8, 32, 24
LONGEST = 40

_SHAPE: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
}
_IMAGE: dict[str, Any] = {**_SHAPE, "image_size": SIDE, "patch_size": PATCH}
_CLIP_PIXELS = {
    "image_processor_type": "CLIPImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": SIDE},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "do_convert_rgb": True,
}
_SQUARE_PIXELS = {
    "image_processor_type": "SiglipImageProcessor",
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
_VIT_PIXELS = {**_SQUARE_PIXELS, "image_processor_type": "ViTImageProcessor", "resample": 2}

KINDS = (
    "clip",
    "clip-eos-2",
    "siglip",
    "vit+bert",
    "clip+roberta",
    "chinese_clip",
    "altclip",
    "metaclip_2",
    "deit+bert",
    "dinov2+bert",
    "swin+bert",
)


def save(kind: str, folder: Path) -> Path:
    """Saves the model `kind` with tokenizer and image processor; the same kind gives the same model."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(KINDS.index(kind))
    words = _tokenizer(kind, folder)
    model = _model(kind, words)
    transformers.utils.logging.disable_progress_bar()
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # so that no bias or norm is left at 0 or 1
            if "logit" not in name:
                parameter.add_(0.05 * torch.randn_like(parameter))
        model.logit_scale.fill_(4.7 if kind == "siglip" else 2.5)  # exp(4.7) = 110
        if hasattr(model, "logit_bias"):
            model.logit_bias.fill_(-7.25)
    model.save_pretrained(folder)
    pixels = _SQUARE_PIXELS if kind == "siglip" else _VIT_PIXELS if "+bert" in kind else _CLIP_PIXELS
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels))
    return folder


@functools.cache
@torch.inference_mode(False)
def own_model(folder: Path) -> Any:
    """The library's own model, in evaluation mode."""
    return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()


def own_tokens(folder: Path, texts: list[str], **padding: Any) -> dict[str, torch.Tensor]:
    """What the library's own tokenizer makes, as its processor calls it; not for SigLIP's pieces."""
    own = transformers.AutoTokenizer.from_pretrained(folder)
    return dict(own(texts, return_tensors="pt", **({"padding": True, "truncation": True} | padding)))


def _model(kind: str, words: int) -> Any:
    text = {**_SHAPE, "vocab_size": words, "max_position_embeddings": LONGEST}
    eos = {"bos_token_id": words - 2, "eos_token_id": words - 1, "pad_token_id": words - 1}
    joint = {"projection_dim": JOINT}
    if kind in ("clip", "metaclip_2"):
        config = {"clip": transformers.CLIPConfig, "metaclip_2": transformers.MetaClip2Config}[kind]
        return _compare(config(text_config={**text, **eos}, vision_config=_IMAGE, **joint))
    if kind == "clip-eos-2":  # as the first checkpoints of OpenAI say
        eos = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
        return _compare(transformers.CLIPConfig(text_config={**text, **eos}, vision_config=_IMAGE, **joint))
    if kind == "siglip":
        text |= {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 1}
        return _compare(transformers.SiglipConfig(text_config=text, vision_config=_IMAGE))
    if kind == "chinese_clip":
        config = transformers.ChineseCLIPConfig(text_config=text, vision_config=_IMAGE, **joint)
        return _compare(config)
    if kind == "altclip":
        text |= {"project_dim": 20, "max_position_embeddings": LONGEST + 2, "pad_token_id": 1}
        config = transformers.AltCLIPConfig(text_config=text, vision_config=_IMAGE, **joint)
        return _compare(config)
    vision, _, language = kind.partition("+")
    image = {
        "vit": transformers.ViTConfig,
        "deit": transformers.DeiTConfig,
        "dinov2": transformers.Dinov2Config,
        "clip": transformers.CLIPVisionConfig,
        "swin": lambda **_: transformers.SwinConfig(
            image_size=SIDE, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4
        ),
    }[vision](**_IMAGE)
    if language == "roberta":
        text |= {"max_position_embeddings": LONGEST + 2, "type_vocab_size": 1}
        written = transformers.RobertaConfig(**text, bos_token_id=0, pad_token_id=1, eos_token_id=2)
    else:
        written = transformers.BertConfig(**text)
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(image, written, **joint)
    return transformers.VisionTextDualEncoderModel(config).eval()


def _compare(config: Any) -> Any:
    return transformers.AutoModel.from_config(config).eval()


def _tokenizer(kind: str, folder: Path) -> int:
    """Saves a tokenizer, and says how many ids it has."""
    letters = [chr(code) for code in range(33, 127)]
    if kind == "siglip":
        shutil.copy(DATA / "spiece.model", folder)
        said = {
            "tokenizer_class": "SiglipTokenizer",
            "model_max_length": LONGEST,
            "model_input_names": ["input_ids"],
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(said))
        return 58
    if "+bert" in kind or kind == "chinese_clip":
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "there", "no", "##ule", "effusion"]
        vocabulary += letters + [f"##{letter}" for letter in letters]
        (folder / "vocab.txt").write_text("\n".join(vocabulary))
        own = transformers.BertTokenizer(str(folder / "vocab.txt"), model_max_length=LONGEST)
        own.save_pretrained(folder)
        return len(vocabulary)
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    if kind in ("clip", "metaclip_2"):
        pieces = [*alphabet, *(f"{byte}</w>" for byte in alphabet), "th", "the", "no</w>"]
        pieces += ["<|startoftext|>", "<|endoftext|>"]
        merges = [("t", "h"), ("th", "e"), ("n", "o</w>")]
        own = transformers.CLIPTokenizer(
            {piece: i for i, piece in enumerate(pieces)}, merges, model_max_length=LONGEST
        )
    else:
        pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet, "th", "the", "Ġn", "Ġno"]
        merges = [("t", "h"), ("th", "e"), ("Ġ", "n"), ("Ġn", "o")]
        if kind == "clip-eos-2":  # the highest id ends a text
            pieces = ["<s>", "<pad>", "<mask>", "<unk>", *pieces[5:], "</s>"]
        own = transformers.RobertaTokenizer(
            {piece: i for i, piece in enumerate(pieces)}, merges, model_max_length=LONGEST
        )
    own.save_pretrained(folder)
    return len(pieces)
