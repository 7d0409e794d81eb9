"""Batch files: requests as JSON lines for a service that works them off later, and the results read back.

The form is that of the OpenAI Batch API, which `vllm run-batch` reads as well. A result is joined to its
request by `custom_id`, which follows from the sentences asked, and each sentence in it by its own id; order
means nothing.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offclip.errors import DataError
from offclip.reports.conventions import Conventions
from offclip.reports.llm.answer import content_of, read_answer
from offclip.reports.llm.cache import CacheWriter, read_cache
from offclip.reports.llm.config import LlmConfig
from offclip.reports.llm.errors import LlmError
from offclip.reports.llm.request import Request, Requests

URL = "/v1/chat/completions"
_LONGEST_LINE = 16_000_000
_REMEDY = "Check the path, and that it is the JSONL file."


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a results file that gave less than was asked.

    Attributes:
        line: Its number, the first line being 1.
        reason: What is wrong, without any text of a report.
    """

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a results file.

    Attributes:
        added: Answers put into the cache.
        known: Good answers that the cache held already.
        missing: Sentences of the requests that are still without an answer.
        bad: Lines with something wrong.
    """

    added: int
    known: int
    missing: int
    bad: tuple[BadLine, ...]


def batch_requests(sentences: Iterable[str], config: LlmConfig, conventions: Conventions) -> list[Request]:
    """Return the requests for all sentences that the cache does not answer.

    Raises:
        ConfigError: No model is named.
        DataError: The cache cannot be read.
    """
    config.require_model()
    maker = Requests(config, conventions)
    questions = maker.questions(sentences)
    cached = read_cache(config.cache_path, {question.key for question in questions})
    return list(maker.split([question for question in questions if question.key not in cached]))


def batch_line(request: Request) -> str:
    """Write a request as one line of a batch file."""
    line = {"custom_id": request.custom_id, "method": "POST", "url": URL, "body": request.body}
    return json.dumps(line, ensure_ascii=False)


def read_batch(path: Path, config: LlmConfig, conventions: Conventions) -> dict[str, Request]:
    """Read a file of requests back, by `custom_id`.

    Every request is made anew from its sentences and must come out as it stands there: so neither an edited
    file nor another model or guideline can put answers to the wrong questions.

    Raises:
        DataError: The file cannot be read, or is not what this configuration would write.
    """
    maker = Requests(config, conventions)
    found: dict[str, Request] = {}
    for number, line in _lines(path):
        row = _parse(line)
        texts = _texts_of(row)
        if row is None or not texts:
            raise DataError(f"{path}, line {number}: not a request of ours.", "Export the requests again.")
        again = maker.request([maker.question(text) for text in texts])
        same = all(row["body"].get(name) == again.body[name] for name in ("model", "messages"))
        if row.get("custom_id") != again.custom_id or not same:
            raise DataError(
                f"{path}, line {number}: exported with another model, prompt or convention, or edited since.",
                "Use the configuration of the export, or export again.",
            )
        found[again.custom_id] = again
    return found


def import_results(results: Path, requests: Path, config: LlmConfig, conventions: Conventions) -> Imported:
    """Check the results of a batch and put the good answers into the cache.

    Args:
        results: The file that the service gave back; lines in any order.
        requests: The file that was exported.
        config: The configuration of the export.
        conventions: Those of the export.

    Raises:
        ConfigError: No model is named.
        DataError: A file cannot be read or written, or the requests are not of this configuration.
    """
    config.require_model()
    asked = read_batch(requests, config, conventions)
    keys = {question.key for request in asked.values() for question in request.questions.values()}
    answered = set(read_cache(config.cache_path, keys))
    seen: set[str] = set()
    bad: list[BadLine] = []
    added = known = 0
    with CacheWriter(config.cache_path, config.model) as cache:
        for number, line in _lines(results):
            row = _parse(line)
            request = asked.get(str(row.get("custom_id"))) if row else None
            if row is None or request is None:
                reason = "not a JSON object" if row is None else "its custom_id is in no request"
                bad.append(BadLine(number, reason))
                continue
            if request.custom_id in seen:
                bad.append(BadLine(number, "its custom_id came before"))
                continue
            seen.add(request.custom_id)
            try:
                reading = read_answer(content_of(_completion_of(row)), request.questions)
            except LlmError as error:
                bad.append(BadLine(number, error.message))
                continue
            bad.extend(BadLine(number, problem) for problem in reading.problems)
            for identifier, answer in reading.answers.items():
                key = request.questions[identifier].key
                if key in answered:
                    known += 1
                    continue
                cache.add(key, answer)
                answered.add(key)
                added += 1
    return Imported(added, known, len(keys - answered), tuple(bad))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers."""
    try:
        with path.open("rb") as handle:
            number = 0
            while line := handle.readline(_LONGEST_LINE + 1):
                number += 1
                if len(line) > _LONGEST_LINE:
                    raise DataError(f"{path}, line {number}: longer than {_LONGEST_LINE:,} bytes.", _REMEDY)
                if line.strip():
                    yield number, line
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).", _REMEDY) from error


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _texts_of(row: dict[str, Any] | None) -> list[str]:
    """Return the sentences of a request; none if it is not of our form."""
    try:
        user = json.loads((row or {})["body"]["messages"][1]["content"])
        texts = [sentence["text"] for sentence in user["sentences"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []
    return texts if all(isinstance(text, str) for text in texts) else []


def _completion_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the chat completion of a result.

    Raises:
        LlmError: The service reports an error instead.
    """
    response = row.get("response")
    if not isinstance(response, dict):
        raise LlmError("the service reports an error")
    status = response.get("status_code")
    if status != 200:
        raise LlmError(f"HTTP {status}" if isinstance(status, int) else "no status code")
    return content if isinstance(content := response.get("body"), dict) else {}
