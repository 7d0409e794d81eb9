"""From a folder or hub id to a text encoder with its weights, pooling and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from offclip.errors import CheckpointError, ConfigError
from offclip.models.adapters.hub import fetch, read_json, read_weights, weight_files
from offclip.models.adapters.timm.names import TextName
from offclip.models.adapters.timm.text_tokenizer import EncoderTokenizer, read_tokenizer
from offclip.models.adapters.timm.text_tower import POOLINGS, encoder_config, make_encoder

SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# Names of the first BERT files.
_RENAMED = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class TextSource:
    """A text encoder that was read.

    Attributes:
        encoder: As `make_encoder` returns it, with its weights.
        stored: What builds it again: its configuration, and how it is pooled.
        tokenizer: Its own.
        licence: Of the weights, as its card says; empty where it says nothing.
    """

    encoder: nn.Module
    stored: Mapping[str, Any]
    tokenizer: EncoderTokenizer
    licence: str


def read_text(name: TextName, allow_pickle: bool) -> TextSource:
    """Reads a text encoder.

    Raises:
        CheckpointError: Files are missing, damaged, or do not belong together.
        ConfigError: It is no text encoder, or pools in a way that is not known here.
    """
    folder = fetch(name.folder, allow_pickle=allow_pickle)
    config = encoder_config(read_json(folder / "config.json"), f"{folder / 'config.json'}")
    pooling = _pooling(folder)
    encoder = make_encoder(config)
    if not name.random:
        files = weight_files(folder, SAFE, PICKLES, allow_pickle)
        state = {key: value for file in files for key, value in read_weights(file, allow_pickle).items()}
        _load(encoder, state, files[0])
    tokenizer = read_tokenizer(folder, _max_tokens(folder, encoder))
    rows = encoder.get_input_embeddings().weight.shape[0]  # type: ignore[operator]
    if tokenizer.vocabulary_size > rows:
        raise CheckpointError(
            f"{folder}: the tokenizer has {tokenizer.vocabulary_size} ids and the encoder {rows}.",
            "Use the tokenizer of these weights.",
        )
    return TextSource(encoder, {"config": config, "pooling": pooling}, tokenizer, _licence(folder))


def _load(encoder: nn.Module, state: dict[str, Tensor], file: Path) -> None:
    """Loads the weights that an encoder needs from a file that may hold a head, too."""
    prefix = f"{encoder.base_model_prefix}."
    for old, new in _RENAMED.items():
        state = {key.replace(old, new): value for key, value in state.items()}
    if any(key.startswith(prefix) for key in state):
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    own = encoder.state_dict()
    needed = dict(encoder.named_parameters())  # names a shared one once
    wrong = [key for key, value in needed.items() if key not in state or state[key].shape != value.shape]
    if wrong:
        raise CheckpointError(
            f"{file}: {len(wrong)} of {len(needed)} tensors of the encoder are missing or of another size, "
            f"such as {wrong[0]}.",
            "Use the config.json of these weights.",
        )
    encoder.load_state_dict({key: state[key] for key in own if key in state}, strict=False)


def _pooling(folder: Path) -> str:
    """How the sentence vector is made: as sentence-transformers says, else the mean."""
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return "mean"
    content = read_json(file)
    flags = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}
    modes = (
        [content["pooling_mode"]]
        if "pooling_mode" in content
        else [key for key, value in content.items() if key.startswith("pooling_mode_") and value is True]
    )
    modes = [*modes[0]] if modes and isinstance(modes[0], list | tuple) else modes
    for pooling in POOLINGS:
        if modes in ([pooling], [flags[pooling]]):
            return pooling
    raise ConfigError(
        f"{file}: pools by {', '.join(map(str, modes)) or 'nothing'}.", f"Known: {', '.join(POOLINGS)}."
    )


def _max_tokens(folder: Path, encoder: nn.Module) -> int:
    file = folder / "sentence_bert_config.json"
    own = read_json(file).get("max_seq_length") if file.is_file() else None
    config: Any = encoder.config
    positions = getattr(config, "max_position_embeddings", None)
    if config.model_type in ("camembert", "roberta", "xlm-roberta") and positions:
        positions -= config.pad_token_id + 1  # their positions begin behind the padding id
    return min(int(own or MAX_TOKENS), int(positions or MAX_TOKENS))


def _licence(folder: Path) -> str:
    """The licence that stands at the head of a model card."""
    card = folder / "README.md"
    if not card.is_file():
        return ""
    head = card.read_text(encoding="utf-8", errors="replace").partition("\n---")[0]
    lines = [line.partition(":")[2] for line in head.splitlines() if line.startswith("license:")]
    return lines[0].strip() if lines else ""
