"""Tiny random models of open_clip, saved as the library saves them, with tokenizers that are made here."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

open_clip = pytest.importorskip("open_clip", reason="needs 'offclip[openclip]'")
transformers = pytest.importorskip("transformers", reason="needs 'offclip[hf]'")

SENTENCES = [
    "There is no finding.",
    "The heart is normal in size. The lungs are clear!",
    "Stable cardiomegaly (CTR 0.58), 3.5 cm nodule; s/p CABG -- no PNEUMOTHORAX.",
    "Épanchement   pleural à gauche &lt;5 mm, №5 _naïve_ 胸部 \u201cclear\u201d",
]
JOINT = 12
CONTEXT = 16

_TEXT = {"context_length": CONTEXT, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
_SIGLIP_TEXT = {
    "context_length": CONTEXT,
    "vocab_size": 220,
    "width": 16,
    "heads": 2,
    "layers": 2,
    "hf_tokenizer_name": "org/pieces",
    "tokenizer_kwargs": {"clean": "canonicalize"},
    "no_causal_mask": True,
    "proj_bias": True,
    "pool_type": "last",
}
_BERT = {
    "model_type": "bert",
    "vocab_size": 300,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
_BERT_TEXT = {
    "hf_model_name": "org/encoder",
    "hf_tokenizer_name": "org/encoder",
    "hf_proj_type": "mlp",
    "hf_pooler_type": "cls_last_hidden_state_pooler",
    "context_length": 32,
}
_VIT = {"image_size": 32, "layers": 3, "width": 32, "head_width": 16, "patch_size": 8}
_TIMM = {"image_size": 160, "timm_model_pretrained": False}

# Name: open_clip's description, and what it says of the pixels.
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "vit": ({"vision_cfg": _VIT, "text_cfg": _TEXT, "quick_gelu": True}, {}),
    "vit-mean": (  # as CLIPA
        {
            "vision_cfg": _VIT | {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True},
            "text_cfg": _TEXT | {"no_causal_mask": True, "pool_type": "last"},
        },
        {"resize_mode": "squash", "interpolation": "bilinear"},
    ),
    "resnet": (
        {
            "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
            "text_cfg": _TEXT,
        },
        {},
    ),
    "coca": (
        {
            "vision_cfg": _VIT
            | {
                "attentional_pool": True,
                "attn_pooler_heads": 2,
                "attn_pooler_queries": 5,
                "output_tokens": True,
            },
            "text_cfg": _TEXT | {"context_length": CONTEXT - 1, "embed_cls": True, "output_tokens": True},
            "multimodal_cfg": _TEXT | {"layers": 1, "attn_pooler_heads": 2},
            "custom_text": True,
        },
        {},
    ),
    "siglip": (  # attentional pooling (MAP), a bias, and a scale above 100
        {
            "vision_cfg": _TIMM | {"timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "linear"},
            "text_cfg": _SIGLIP_TEXT,
            "init_logit_bias": -10,
            "custom_text": True,
        },
        {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"},
    ),
    "biomedclip": (
        {
            "vision_cfg": _TIMM | {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear"},
            "text_cfg": _BERT_TEXT,
        },
        {},
    ),
    "timm-mean": (  # no class token
        {
            "vision_cfg": _TIMM | {"timm_model_name": "test_vit2", "timm_pool": "avg", "timm_proj": "linear"},
            "text_cfg": _TEXT,
        },
        {},
    ),
    "convnext": (
        {
            "vision_cfg": _TIMM
            | {"timm_model_name": "test_convnext2", "timm_pool": "", "timm_proj": "linear"},
            "text_cfg": _TEXT,
        },
        {},
    ),
}


def build(name: str) -> Any:
    """The library's own model with weights of which none is left at 0 or 1."""
    torch.manual_seed(0)
    model = copy.deepcopy(MODELS[name][0])
    model.pop("custom_text", None)
    if "hf_model_name" in model["text_cfg"]:
        text = model["text_cfg"]
        made = open_clip.CustomTextCLIP(JOINT, model["vision_cfg"], _TEXT)
        made.text = _bert_tower(text)
    else:
        kind = open_clip.CoCa if "multimodal_cfg" in model else open_clip.CLIP
        kind = open_clip.CustomTextCLIP if name == "siglip" else kind
        made = kind(embed_dim=JOINT, **model)
    with torch.no_grad():
        for key, parameter in made.named_parameters():
            if "logit" not in key:
                parameter.add_(0.05 * torch.randn_like(parameter))
        made.logit_scale.fill_(4.77 if name == "siglip" else 3.1)
        if made.logit_bias is not None:
            made.logit_bias.fill_(-12.5)
    return made.eval()


def describe(name: str) -> dict[str, Any]:
    """The content of open_clip_config.json."""
    model, pixels = copy.deepcopy(MODELS[name])
    return {"model_cfg": {"embed_dim": JOINT, **model}, "preprocess_cfg": pixels}


def save(name: str, folder: Path) -> tuple[Path, Any]:
    """Saves a model as open_clip does for the hub; returns the folder and the model."""
    folder.mkdir(parents=True, exist_ok=True)
    made, text = build(name), MODELS[name][0]["text_cfg"]
    state = {key: tensor.contiguous() for key, tensor in made.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps(describe(name)))
    if text.get("hf_model_name"):
        (folder / "config.json").write_text(json.dumps(_BERT))
        word_pieces().save_pretrained(folder)
    elif text.get("hf_tokenizer_name"):
        pieces().save_pretrained(folder)
    return folder, made


def own_tokenizer(name: str, folder: Path) -> Any:
    """The library's own tokenizer."""
    return open_clip.get_tokenizer(f"local-dir:{folder}")


def encode_image(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    return model.encode_image(pixels, normalize=False)


def encode_text(model: Any, ids: torch.Tensor) -> torch.Tensor:
    return model.encode_text(ids, normalize=False)


def word_pieces() -> Any:
    """A tokenizer of the kind of BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        SENTENCES, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def pieces() -> Any:
    """A tokenizer of the kind of SigLIP's: the padding is the end of the text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.UnigramTrainer(
            vocab_size=200, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _bert_tower(text: dict[str, Any]) -> Any:
    """open_clip's tower of a text encoder, without the hub: it takes a configuration by name only."""
    import tempfile

    from open_clip.hf_model import HFTextEncoder

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(_BERT))
        return HFTextEncoder(
            folder,
            JOINT,
            pooler_type=text["hf_pooler_type"],
            proj_type=text["hf_proj_type"],
            pretrained=False,
        )
