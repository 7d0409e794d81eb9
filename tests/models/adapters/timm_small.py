"""Tiny random towers, saved by timm and transformers themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch

timm = pytest.importorskip("timm", reason="needs 'offclip[timm]'")
transformers = pytest.importorskip("transformers", reason="needs 'offclip[hf]'")

from timm.models._hub import save_for_hf  # noqa: E402

SENTENCES = [
    "There is no finding.",
    "Small LEFT pleural effusion, no pneumothorax; unchanged!",
    "Nodule.",
]
WIDTH = 32
_SHAPE: dict[str, Any] = {"vocab_size": 120, "hidden_size": WIDTH, "intermediate_size": 48}
_SHAPE |= {"num_hidden_layers": 3, "num_attention_heads": 2, "max_position_embeddings": 40, "pad_token_id": 0}
_T5: dict[str, Any] = {
    "vocab_size": 120,
    "d_model": WIDTH,
    "d_ff": 48,
    "d_kv": 16,
    "num_heads": 2,
    "num_layers": 3,
}
_DISTIL: dict[str, Any] = {"vocab_size": 120, "dim": WIDTH, "hidden_dim": 48, "n_layers": 3, "n_heads": 2}
TEXTS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", _SHAPE),
    "roberta": ("Roberta", _SHAPE),
    "xlm-roberta": ("XLMRoberta", _SHAPE),
    "mpnet": ("MPNet", _SHAPE | {"bos_token_id": 2, "eos_token_id": 3}),
    "distilbert": ("DistilBert", _DISTIL | {"max_position_embeddings": 40}),
    "modernbert": (
        "ModernBert",
        _SHAPE | dict.fromkeys(("bos_token_id", "cls_token_id"), 2) | {"eos_token_id": 3, "sep_token_id": 3},
    ),
    "electra": ("Electra", _SHAPE | {"embedding_size": 16}),
    "t5": ("T5", _T5 | {"pad_token_id": 0, "decoder_start_token_id": 0}),
}


def save_image(folder: Path, architecture: str, **arguments: Any) -> Path:
    """A random model of timm with a classifier, in timm's own format."""
    torch.manual_seed(0)
    model = timm.create_model(architecture, num_classes=4, **arguments)
    for module in model.modules():  # statistics and scales as of a model that was trained
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2.0)
    save_for_hf(model, str(folder), safe_serialization=True)
    return folder


def save_text(folder: Path, kind: str = "bert", suffix: str = "Model", pooling: str | None = None) -> Path:
    """A random encoder with a tokenizer, in the format of transformers, and of sentence-transformers."""
    name, shape = TEXTS[kind]
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}{suffix}")(getattr(transformers, f"{name}Config")(**shape))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    save_tokenizer(folder)
    if pooling:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(f'{{"pooling_mode_{pooling}": true}}')
    return folder


def save_tokenizer(folder: Path, extra: int = 0) -> None:
    """A tokenizer of letters, with so many more words."""
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    known = "there is no finding pleural effusion pneumothorax nodule heart lungs clear small left right"
    letters = [f"{mark}{chr(code)}" for code in range(97, 123) for mark in ("", "##")]
    words = [*marks, *letters, *".,;!", *known.split(), *(f"word{number}" for number in range(extra))]
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    inner.normalizer = tokenizers.normalizers.Lowercase()
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=30,
    ).save_pretrained(folder)
