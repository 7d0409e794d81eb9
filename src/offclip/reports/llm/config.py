"""Where the language model is, and how much may be asked of it."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from offclip.errors import ConfigError

ON_FAILURE = ("stop", "rules")
RESPONSE_FORMATS = ("json_schema", "json_object", "none")
OUTPUT_LIMIT_NAMES = ("max_tokens", "max_completion_tokens")
_REMEDY = "docs/llm.md lists every key of [llm]."
# (smallest, largest) of every number
_BOUNDS = {
    "sentences_per_request": (1, 200),
    "concurrency": (1, 256),
    "timeout_s": (0.01, 86_400.0),
    "retries": (0, 100),
    "backoff_s": (0.0, 3_600.0),
    "max_wait_s": (0.0, 86_400.0),
    "asks": (1, 20),
    "max_characters": (1, 20_000),
    "max_output_tokens": (0, 1_000_000),
    "temperature": (-1.0, 2.0),
}


@dataclass(frozen=True, slots=True)
class LlmConfig:
    """Settings of the LLM labeller; the table `[llm]` of a configuration file.

    Attributes:
        endpoint: Base URL of an OpenAI-compatible server, with the `/v1`.
        model: Name of the model as the server knows it.
        api_key_env: Environment variable that holds the key; a server that wants none gets a filler.
        allow_remote: Let report text leave this machine.
        sentences_per_request: How many sentences are asked at a time.
        concurrency: How many requests are under way at a time.
        timeout_s: Seconds to wait for the server before a request counts as failed.
        retries: How often a request is sent again after 429, 5xx, a time-out or a lost connection.
        backoff_s: Seconds before the first retry; they double each time, less a random part.
        max_wait_s: The longest wait before a retry; a server that asks for more ends the run.
        asks: How often a sentence is asked before the rules label it.
        max_characters: Longer sentences are not sent; the rules label them.
        on_failure: What to do when the server is lost in the middle: `"stop"`, or go on with `"rules"`.
        response_format: How JSON is asked for: `"json_schema"`, `"json_object"` or `"none"` (by the prompt).
        temperature: 0 for the likeliest answer; below 0 it is not sent, for models that refuse it.
        max_output_tokens: Bound on the length of an answer; 0 sends none.
        output_limit_name: The name of that bound: `"max_tokens"` or `"max_completion_tokens"`.
        cache: File that keeps the answers; empty for `offclip/llm.jsonl` in the user's cache folder.

    Example:
        >>> LlmConfig(model="qwen3").endpoint
        'http://localhost:8000/v1'
    """

    endpoint: str = "http://localhost:8000/v1"
    model: str = ""
    api_key_env: str = "OFFCLIP_LLM_API_KEY"
    allow_remote: bool = False
    sentences_per_request: int = 20
    concurrency: int = 4
    timeout_s: float = 120.0
    retries: int = 5
    backoff_s: float = 1.0
    max_wait_s: float = 60.0
    asks: int = 3
    max_characters: int = 1_000
    on_failure: str = "stop"
    response_format: str = "json_schema"
    temperature: float = 0.0
    max_output_tokens: int = 4_096
    output_limit_name: str = "max_tokens"
    cache: str = ""

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ConfigError(f"[llm] {name} is {value}; it must be from {low} to {high}.", _REMEDY)
        for name, known in (
            ("on_failure", ON_FAILURE),
            ("response_format", RESPONSE_FORMATS),
            ("output_limit_name", OUTPUT_LIMIT_NAMES),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"[llm] {name} is {value!r}; known are {', '.join(known)}.", _REMEDY)

    def require_model(self) -> None:
        """Refuse a configuration that names no model.

        Raises:
            ConfigError: `model` is empty.
        """
        if not self.model.strip():
            raise ConfigError(
                "No language model is named.", "Set model under [llm], or give it with --model; docs/llm.md."
            )

    @property
    def cache_path(self) -> Path:
        """The file that keeps the answers."""
        if self.cache:
            return Path(self.cache).expanduser()
        folder = os.environ.get("XDG_CACHE_HOME", "")
        return (Path(folder) if folder else Path.home() / ".cache") / "offclip" / "llm.jsonl"
