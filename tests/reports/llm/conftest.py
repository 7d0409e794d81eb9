"""What the tests of the LLM labeller share."""

import pytest

from offclip.reports.llm import LlmConfig


@pytest.fixture
def config(tmp_path) -> LlmConfig:
    """Small requests, short waits, a cache of its own."""
    return LlmConfig(
        model="tiny",
        cache=str(tmp_path / "cache" / "llm.jsonl"),
        sentences_per_request=4,
        concurrency=2,
        backoff_s=0.001,
        max_wait_s=0.01,
        retries=3,
        timeout_s=20.0,
    )
