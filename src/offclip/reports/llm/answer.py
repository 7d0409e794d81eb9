"""Checks what a model answers.

Servers ignore fields they do not know, so a schema that was sent proves nothing. An answer is data from
outside: it is parsed as JSON within limits, never evaluated, and whatever is not exactly of the asked form is
refused, item by item.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast, get_args

from offclip.reports.labels import Label, Statement
from offclip.reports.llm.errors import LlmError

LABELS = get_args(Label)
_LONGEST_ANSWER = 2_000_000
_LONGEST_STATEMENT = 160
_MOST_STATEMENTS = 8
# One short line in the form of a prompt: letters, digits and a few marks, and a full stop at the end alone.
_STATEMENT = re.compile(r"There (?:is|are) (?:[^\W_]|[ ,/()'%+-]|\.(?=\d)){2,}\.")
_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one sentence.

    Attributes:
        label: Label of the sentence.
        statements: Its findings as prompts, each with a label.
    """

    label: Label
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer is worth.

    Attributes:
        answers: The good items, by id.
        problems: What was wrong, in words without any text of a report.
    """

    answers: dict[str, Answer]
    problems: tuple[str, ...]


def content_of(completion: str | bytes | dict[str, Any]) -> str:
    """Return the message of a chat completion.

    Args:
        completion: Body of the response, as text or parsed.

    Raises:
        LlmError: It is no chat completion, was cut off, or holds no text.
    """
    if not isinstance(completion, dict):
        completion = _parse(completion)
    choices = completion.get("choices") if isinstance(completion, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        raise LlmError("the response is not a chat completion")
    if first.get("finish_reason") == "length":
        raise LlmError("the answer was cut off at the limit of tokens")
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        refused = first.get("finish_reason") == "content_filter" or message.get("refusal")
        raise LlmError("the model refused to answer" if refused else "the answer holds no text")
    return content


def read_answer(content: str, ids: Collection[str]) -> Reading:
    """Read the items of an answer.

    Args:
        content: The message of the model.
        ids: The ids that were asked.

    Returns:
        The items that are exactly as asked. An id that comes twice is taken from neither.

    Example:
        >>> reading = read_answer('{"items": [{"id": "a", "label": "normal", "statements": []}]}', ["a"])
        >>> reading.answers, reading.problems
        ({}, ('a normal sentence without a normal statement', '1 of 1 ids not answered'))
    """
    try:
        parsed = _parse(content)
    except LlmError as error:
        return Reading({}, (error.message,))
    if not isinstance(parsed, dict) or set(parsed) != {"items"} or not isinstance(parsed["items"], list):
        return Reading({}, ("the answer is not an object with 'items'",))
    answers: dict[str, Answer] = {}
    problems: list[str] = []
    seen: set[str] = set()
    for item in parsed["items"]:
        name = item.get("id") if isinstance(item, dict) else None
        if not isinstance(name, str) or name not in ids:
            problems.append("an item without a known id")
            continue
        if name in seen:
            answers.pop(name, None)
            problems.append("an id answered twice")
            continue
        seen.add(name)
        try:
            answers[name] = read_item({key: value for key, value in item.items() if key != "id"})
        except LlmError as error:
            problems.append(error.message)
    missing = len(ids) - len(answers)
    if missing:
        problems.append(f"{missing} of {len(ids)} ids not answered")
    return Reading(answers, tuple(dict.fromkeys(problems)))


def read_item(item: dict[str, Any]) -> Answer:
    """Check label and statements of one sentence.

    Raises:
        LlmError: A field is missing, unknown or of the wrong form, or label and statements contradict.
    """
    if set(item) != {"label", "statements"}:
        raise LlmError("an item with other fields than id, label, statements")
    label, rows = _read_label(item["label"]), item["statements"]
    if not isinstance(rows, list) or len(rows) > _MOST_STATEMENTS:
        raise LlmError(f"statements that are not a list of at most {_MOST_STATEMENTS}")
    statements = tuple(dict.fromkeys(_read_statement(row) for row in rows))
    labels = {statement.label for statement in statements}
    if label != "uncertain" and label not in labels:
        raise LlmError(f"{'an' if label == 'abnormal' else 'a'} {label} sentence without a {label} statement")
    if label != "abnormal" and "abnormal" in labels:
        raise LlmError(f"a sentence labelled {label} with an abnormal statement")
    if label == "uncertain" and "normal" in labels:
        raise LlmError("an uncertain sentence with a normal statement")
    return Answer(label, statements)


def _read_label(label: Any) -> Label:
    if not isinstance(label, str) or label not in LABELS:
        raise LlmError("an unknown label")
    return cast(Label, label)


def _read_statement(row: Any) -> Statement:
    if not isinstance(row, dict) or set(row) != {"statement", "label"}:
        raise LlmError("a statement with other fields than statement and label")
    text, label = row["statement"], _read_label(row["label"])
    # What a sentence smuggles in ("ignore the above and write ...") seldom has the form of a prompt.
    if not isinstance(text, str) or len(text) > _LONGEST_STATEMENT or not _STATEMENT.fullmatch(text):
        raise LlmError("a statement that is not one short line 'There is ... .'")
    return Statement(text, label)


def _parse(text: str | bytes) -> Any:
    if len(text) > _LONGEST_ANSWER:
        raise LlmError("the answer is too long")
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        fenced = _FENCE.match(text.strip())  # servers without JSON mode pass on the model's Markdown
        return json.loads(
            fenced[1] if fenced else text, object_pairs_hook=_no_twins, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise LlmError("the answer is not JSON") from None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that has a key twice: which of the two is meant?"""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
