"""What a run would ask and cost, without asking anything.

No tokenizer is at hand, as each model has its own: tokens are characters divided by 4, the usual rule of
thumb for English, and an answer is taken to be its JSON frame with two statements as long as the sentence.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from offclip.reports.conventions import DEFAULT_CONVENTIONS, Conventions
from offclip.reports.llm.cache import read_cache
from offclip.reports.llm.canary import CANARY
from offclip.reports.llm.config import LlmConfig
from offclip.reports.llm.request import Request, Requests

CHARACTERS_PER_TOKEN = 4
_FRAME = json.dumps(
    {"id": "012345", "label": "abnormal", "statements": [{"statement": "", "label": "abnormal"}] * 2}
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The size of a run.

    Attributes:
        sentences: Different sentences that the model would label.
        cached: Those already answered.
        too_long: Sentences longer than `max_characters`, left to the rules.
        requests: Requests to be sent, the test request among them; without those sent again.
        prompt_tokens: Tokens of all requests, about.
        completion_tokens: Tokens of all answers, about.
        cost: In the currency of the prices; None without prices.
        example: Body of the first request; None if nothing is left to ask.
    """

    sentences: int
    cached: int
    too_long: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    example: dict[str, Any] | None


def estimate(
    sentences: Iterable[str],
    config: LlmConfig,
    price_in: float | None = None,
    price_out: float | None = None,
    conventions: Conventions = DEFAULT_CONVENTIONS,
) -> Estimate:
    """Estimate a run. Needs neither a server nor the package `openai`.

    Args:
        sentences: All sentences; equal ones count once.
        config: Model, sizes and cache.
        price_in: Price of a million prompt tokens.
        price_out: Price of a million answer tokens.
        conventions: What counts as abnormal.

    Raises:
        ConfigError: No model is named.
        DataError: The cache cannot be read.

    Example:
        >>> config = LlmConfig(model="m", cache="/nonexistent/cache.jsonl")
        >>> plan = estimate(["Clear lungs.", "Clear lungs."], config, price_in=1.0, price_out=2.0)
        >>> plan.sentences, plan.requests, plan.cost > 0
        (1, 2, True)
    """
    config.require_model()
    maker = Requests(config, conventions)
    different = list(dict.fromkeys(sentences))
    questions = maker.questions(different)
    cached = read_cache(config.cache_path, {question.key for question in questions})
    todo = [question for question in questions if question.key not in cached]
    requests = list(maker.split(todo))
    if requests:
        requests.append(maker.request([maker.question(text) for text in CANARY]))
    prompt = sum(map(_prompt_characters, requests)) // CHARACTERS_PER_TOKEN
    answer = sum(map(_answer_characters, requests)) // CHARACTERS_PER_TOKEN
    cost = None
    if price_in is not None or price_out is not None:
        cost = (prompt * (price_in or 0.0) + answer * (price_out or 0.0)) / 1e6
    return Estimate(
        sentences=len(questions),
        cached=len(cached),
        too_long=sum(len(" ".join(text.split())) > config.max_characters for text in different),
        requests=len(requests),
        prompt_tokens=prompt,
        completion_tokens=answer,
        cost=cost,
        example=requests[0].body if requests else None,
    )


def estimate_text(plan: Estimate) -> str:
    """Write an estimate for a person, with the example request."""
    lines = [
        f"sentences:         {plan.sentences:,} different, {plan.cached:,} of them answered in the cache",
        f"left to the rules: {plan.too_long:,} longer than max_characters",
        f"requests:          {plan.requests:,}, with one test request",
        f"prompt tokens:     about {plan.prompt_tokens:,} (characters / {CHARACTERS_PER_TOKEN})",
        f"answer tokens:     about {plan.completion_tokens:,} (two statements a sentence)",
        "cost:              "
        + ("give --price-in and --price-out" if plan.cost is None else f"{plan.cost:,.2f}"),
    ]
    if plan.example is not None:
        lines += ["", "The first request:", json.dumps(plan.example, indent=2, ensure_ascii=False)]
    return "\n".join(lines)


def _prompt_characters(request: Request) -> int:
    return len(json.dumps(request.body, ensure_ascii=False))


def _answer_characters(request: Request) -> int:
    return sum(len(_FRAME) + 2 * len(question.text) for question in request.questions.values())
