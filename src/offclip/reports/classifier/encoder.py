"""A Hugging Face text encoder with a head of three classes, as the paper's sentence anomaly classifier is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offclip.errors import CheckpointError, ConfigError
from offclip.reports.classifier.training_set import CLASSES

_LONGEST = 5_000  # characters that the tokenizer is given of one sentence
_BATCH = 64


class EncoderModel:
    """A fine-tuned encoder in evaluation mode.

    Args:
        network: A sequence classification model of transformers with three classes.
        tokenizer: Its tokenizer.
        max_length: Tokens a sentence; what goes beyond is cut off.
        device: Where it computes; by default a GPU if there is one.
    """

    def __init__(self, network: Any, tokenizer: Any, max_length: int, device: str | None = None) -> None:
        self.device = device or default_device()
        self.network = network.to(self.device).eval()
        self.tokenizer = tokenizer
        self.max_length = max_length

    def probabilities(self, sentences: Sequence[str], /) -> NDArray[np.float32]:
        """Return (sentences, 3) probabilities; sentences of like length share a batch."""
        import torch

        chances = np.zeros((len(sentences), len(CLASSES)), np.float32)
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        with torch.inference_mode():
            for begin in range(0, len(order), _BATCH):
                rows = order[begin : begin + _BATCH]
                batch = encode(self.tokenizer, [sentences[i] for i in rows], self.max_length, self.device)
                logits = self.network(**batch).logits.float()
                chances[rows] = logits.softmax(dim=-1).cpu().numpy()
        return chances


def encode(tokenizer: Any, sentences: Sequence[str], max_length: int, device: str) -> Any:
    """Return a padded batch on the device."""
    texts = [sentence[:_LONGEST] for sentence in sentences]
    batch = tokenizer(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    return batch.to(device)


def default_device() -> str:
    """Return `"cuda"` if there is a GPU, else `"cpu"`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_encoder(folder: Path, settings: Mapping[str, Any]) -> EncoderModel:
    """Load a fine-tuned encoder from its folder alone: no network, no pickle, no code of the folder.

    Args:
        folder: Holds model.safetensors, config.json and the tokenizer.
        settings: `max_length`.

    Raises:
        CheckpointError: A file is missing, damaged, or of another model.
        ConfigError: The extra `hf` is not installed.
    """
    max_length = settings.get("max_length")
    if type(max_length) is not int or max_length < 2:
        raise CheckpointError(f"{folder}: max_length is {max_length!r}.", "Copy the folder again.")
    network, tokenizer = read_pretrained(str(folder), local=True)
    if network.config.num_labels != len(CLASSES):
        raise CheckpointError(
            f"{folder}: the encoder has {network.config.num_labels} classes, not {len(CLASSES)}.",
            "Make it again with 'offclip labeller fit --kind encoder'.",
        )
    return EncoderModel(network, tokenizer, max_length)


def read_pretrained(name: str, *, local: bool) -> tuple[Any, Any]:
    """Read a network with three classes and its tokenizer; a base model gets a new head.

    Args:
        name: A folder, or an id on the Hugging Face hub.
        local: Never ask the network. `HF_HUB_OFFLINE=1` has the same effect.

    Raises:
        CheckpointError: There is no such model, or it has no safetensors weights.
        ConfigError: The extra `hf` is not installed.
    """
    require_transformers()
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    local = local or Path(name).is_dir()
    labels = dict(enumerate(CLASSES))
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local, trust_remote_code=False)
            network = AutoModelForSequenceClassification.from_pretrained(
                name,
                num_labels=len(CLASSES),
                id2label=labels,
                label2id={label: i for i, label in labels.items()},
                local_files_only=local,
                trust_remote_code=False,
                use_safetensors=True,
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{name}: no text encoder can be read there ({first}).",
            "Give a folder with config.json, tokenizer and model.safetensors, or the id of such a model on "
            "the Hugging Face hub; HF_HUB_OFFLINE=1 allows only models that were downloaded before.",
        ) from error
    return network, tokenizer


def require_transformers() -> None:
    """Say what to install where transformers is missing.

    Raises:
        ConfigError: It is missing.
    """
    if find_spec("transformers") is None:
        raise ConfigError("An encoder needs the extra 'hf'.", "Install it: pip install 'offclip[hf]'.")


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep the library's progress bars and its notes on new heads off the terminal, for this block alone."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
