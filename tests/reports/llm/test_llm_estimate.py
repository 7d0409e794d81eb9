"""What a run would ask and cost, without asking."""

import json
from pathlib import Path

import pytest

from offclip.errors import ConfigError
from offclip.reports import Conventions
from offclip.reports.llm import LlmConfig, estimate
from offclip.reports.llm.answer import Answer
from offclip.reports.llm.cache import CacheWriter
from offclip.reports.llm.estimate import estimate_text
from offclip.reports.llm.request import Requests

SENTENCES = [f"Nodule number {i}." for i in range(10)]


@pytest.fixture
def config(tmp_path):
    return LlmConfig(model="m", cache=str(tmp_path / "c.jsonl"), sentences_per_request=4)


def test_requests_are_counted_and_the_cost_follows_from_the_tokens(config):
    plan = estimate([*SENTENCES, *SENTENCES, "x" * 2_000, " "], config, 3.0, 12.0)
    assert (plan.sentences, plan.cached, plan.too_long, plan.requests) == (10, 0, 1, 3 + 1)
    assert plan.cost == pytest.approx((3 * plan.prompt_tokens + 12 * plan.completion_tokens) / 1e6)
    maker = Requests(config, Conventions())
    sent = [json.dumps(request.body) for request in maker.split(maker.questions(SENTENCES))]
    assert sum(map(len, sent)) / 4 < plan.prompt_tokens < 1.5 * sum(map(len, sent)) / 4
    assert plan.completion_tokens > len(SENTENCES) * len(SENTENCES[0]) / 4
    assert plan.example is not None
    assert SENTENCES[0] in plan.example["messages"][1]["content"]
    # More sentences a request share the instructions.
    fewer = estimate(SENTENCES, LlmConfig(model="m", cache=config.cache, sentences_per_request=10))
    assert fewer.prompt_tokens < plan.prompt_tokens
    assert fewer.cost is None


def test_what_is_cached_costs_nothing(config):
    maker = Requests(config, Conventions())
    with CacheWriter(Path(config.cache), "m") as cache:
        for question in maker.questions(SENTENCES[:7]):
            cache.add(question.key, Answer("uncertain", ()))
    plan = estimate(SENTENCES, config, price_out=1.0)
    assert (plan.sentences, plan.cached, plan.requests) == (10, 7, 2)
    nothing = estimate(SENTENCES[:7], config, price_in=1.0, price_out=1.0)
    assert (nothing.requests, nothing.prompt_tokens, nothing.cost, nothing.example) == (0, 0, 0.0, None)
    other = estimate(SENTENCES, config, conventions=Conventions(devices=False))
    assert other.cached == 0


def test_the_text_tells_all_and_shows_a_request(config):
    text = estimate_text(estimate(SENTENCES, config, 1e6, 1e6))
    assert "10 different, 0 of them answered in the cache" in text
    assert "requests:          4" in text
    assert '"custom_id"' not in text
    assert json.loads(text[text.index("{\n") :])["model"] == "m"
    assert "give --price-in" in estimate_text(estimate([], config))


def test_a_model_is_needed():
    with pytest.raises(ConfigError, match="No language model is named"):
        estimate(SENTENCES, LlmConfig())
