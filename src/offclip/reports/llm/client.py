"""Talks to the server, through the official `openai` package. Retrying is ours alone."""

import logging
import os
import random
import threading
from importlib.util import find_spec
from types import TracebackType
from typing import Any

from offclip.errors import ConfigError
from offclip.reports.llm.config import LlmConfig
from offclip.reports.llm.endpoint import Endpoint
from offclip.reports.llm.errors import LlmError
from offclip.reports.llm.retry import TransientError, seconds_of, with_retries

_NO_KEY = "none"  # the package wants a key even where the server wants none


def require_openai() -> None:
    """Refuse to go on without the extra.

    Raises:
        ConfigError: The package `openai` is not installed.
    """
    if find_spec("openai") is None:
        raise ConfigError("The LLM labeller needs the package openai.", "pip install 'offclip[llm]'.")


def api_key(config: LlmConfig) -> str:
    """Return the key from the environment; it is in no message, log or file of ours.

    Raises:
        ConfigError: The variable holds something that cannot be sent.
    """
    key = os.environ.get(config.api_key_env, "").strip() if config.api_key_env else ""
    if not (key.isascii() and (key.isprintable())):
        raise ConfigError(
            f"The environment variable {config.api_key_env} does not hold a key.", "Set it again."
        )
    return key or _NO_KEY


class Client:
    """Sends chat completions; may be used by several threads. Use it in a `with` block.

    Args:
        config: Model, time-outs and retries.
        endpoint: The checked address.
        stop: Once set, no retry is waited for.
    """

    def __init__(self, config: LlmConfig, endpoint: Endpoint, stop: threading.Event) -> None:
        import openai

        # Older versions log whole requests at DEBUG, and a request is report text.
        logging.getLogger("openai").setLevel(logging.WARNING)
        self._config = config
        self._endpoint = endpoint
        self._stop = stop
        self._client = openai.OpenAI(
            base_url=endpoint.url,
            api_key=api_key(config),
            max_retries=0,
            timeout=config.timeout_s,
            http_client=openai.DefaultHttpxClient(
                # A proxy from the environment would carry "local" requests to another machine, and so
                # would a redirect.
                trust_env=not endpoint.loopback,
                follow_redirects=False,
                timeout=config.timeout_s,
            ),
        )

    def complete(self, body: dict[str, Any]) -> bytes:
        """Send one request and return the body of the response, unread.

        Raises:
            LlmLostError: The retries are used up.
            LlmError: The server refuses the request.
        """
        return with_retries(
            lambda: self._send(body),
            self._config,
            chance=random.random,
            wait=self._stop.wait,
        )

    def _send(self, body: dict[str, Any]) -> bytes:
        import openai

        try:
            return self._client.chat.completions.with_raw_response.create(**body).content
        except openai.APITimeoutError:
            raise TransientError(f"no answer within {self._config.timeout_s:g} s") from None
        except openai.APIConnectionError as error:
            cause = type(error.__cause__).__name__ if error.__cause__ else "connection lost"
            raise TransientError(f"{cause} at {self._endpoint.url}") from None
        except openai.APIStatusError as error:
            # The body of an error may quote the request, so none of it is passed on but its short codes.
            status, code = error.status_code, _codes(error.code, error.type, error.param)
            exhausted = "insufficient_quota" in code
            if (status == 429 and not exhausted) or status >= 500:
                after = seconds_of(error.response.headers.get("retry-after"))
                raise TransientError(f"HTTP {status}", after) from None
            raise LlmError(f"The server refused with HTTP {status}{code}.", self._remedy(status)) from None
        except openai.OpenAIError as error:
            raise LlmError(f"The request failed ({type(error).__name__}).", "See docs/llm.md.") from None

    def _remedy(self, status: int) -> str:
        if 300 <= status < 400:
            return "It redirects elsewhere, which is not followed. Give the final address as endpoint."
        if status in (401, 403):
            return f"Put a valid key into the environment variable {self._config.api_key_env}."
        if status == 404:
            return f"Check the endpoint ({self._endpoint.url}) and the model ({self._config.model})."
        if status == 429:
            return "The account has no credit left."
        return (
            "The model may not know a setting: see response_format, temperature and output_limit_name "
            "in docs/llm.md."
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()


def _codes(*codes: object) -> str:
    """Return the machine-readable words of an error in brackets; nothing that could be a sentence."""
    words = [
        code
        for code in codes
        if isinstance(code, str)
        and 0 < len(code) <= 40
        and code.isascii()
        and code.replace("_", "a").replace(".", "a").isalnum()
    ]
    return f" ({', '.join(dict.fromkeys(words))})" if words else ""
