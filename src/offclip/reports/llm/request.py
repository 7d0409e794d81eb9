"""One request: some sentences with their ids, and the body that is sent."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from offclip.reports.conventions import Conventions
from offclip.reports.llm.config import LlmConfig
from offclip.reports.llm.prompt import PROMPT_VERSION, SCHEMA, system_prompt
from offclip.reports.llm.unique import one_line

# Bounds the prompt where sentences are long, whatever `sentences_per_request` says.
_REQUEST_CHARACTERS = 12_000
_ID_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence to be labelled.

    Attributes:
        key: Cache key: SHA-256 over the model, the instructions, the schema and the text.
        text: The sentence on one line.
    """

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """Some questions that are asked together.

    Attributes:
        questions: By the id that the model sees.
        body: Body of the chat completion, JSON-able.
    """

    questions: dict[str, Question]
    body: dict[str, Any]

    @property
    def custom_id(self) -> str:
        """Name of the request in a batch file; it follows from what is asked."""
        keys = "\n".join(question.key for question in self.questions.values())
        return f"offclip-{sha256(keys.encode()).hexdigest()[:24]}"


class Requests:
    """Makes questions and requests for one model and one set of conventions.

    Args:
        config: Model and sizes.
        conventions: What counts as abnormal.

    Example:
        >>> requests = Requests(LlmConfig(model="m", sentences_per_request=2), Conventions())
        >>> questions = [requests.question(text) for text in ("Clear.", "Effusion.", "AP view.")]
        >>> [len(request.questions) for request in requests.split(questions)]
        [2, 1]
    """

    def __init__(self, config: LlmConfig, conventions: Conventions) -> None:
        self.config = config
        self.system = system_prompt(conventions)
        # A change of any word of the instructions makes other questions of the same sentences.
        self._hash = sha256(json.dumps([config.model, PROMPT_VERSION, self.system, SCHEMA]).encode())

    def question(self, text: str) -> Question:
        """Return the question for a sentence on one line."""
        digest = self._hash.copy()
        digest.update(f"\n{json.dumps(text)}".encode())
        return Question(digest.hexdigest(), text)

    def questions(self, sentences: Iterable[str]) -> list[Question]:
        """Return the different questions among sentences, in order; blank and overlong ones are not asked."""
        texts = dict.fromkeys(map(one_line, sentences))
        return [self.question(text) for text in texts if 0 < len(text) <= self.config.max_characters]

    def split(self, questions: Sequence[Question], size: int | None = None) -> Iterator[Request]:
        """Yield requests of at most `size` questions (`sentences_per_request` by default)."""
        size = size or self.config.sentences_per_request
        part: list[Question] = []
        characters = 0
        for question in questions:
            if part and (len(part) == size or characters + len(question.text) > _REQUEST_CHARACTERS):
                yield self.request(part)
                part, characters = [], 0
            part.append(question)
            characters += len(question.text)
        if part:
            yield self.request(part)

    def request(self, questions: Sequence[Question]) -> Request:
        """Put questions into one request."""
        named = _with_ids(questions)
        sentences = [{"id": name, "text": question.text} for name, question in named.items()]
        config = self.config
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [
                {"role": "system", "content": self.system},
                {"role": "user", "content": json.dumps({"sentences": sentences}, ensure_ascii=False)},
            ],
        }
        if config.temperature >= 0:
            body["temperature"] = config.temperature
        if config.max_output_tokens:
            body[config.output_limit_name] = config.max_output_tokens
        if config.response_format == "json_schema":
            schema = {"name": "sentence_labels", "strict": True, "schema": SCHEMA}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif config.response_format == "json_object":
            body["response_format"] = {"type": "json_object"}
        return Request(named, body)


def _with_ids(questions: Sequence[Question]) -> dict[str, Question]:
    """Name questions by the first digits of their keys, as many as tell them apart.

    A model that leaves a sentence out is apt to number the rest anew; such names it cannot make up.
    """
    length = _ID_LENGTH
    while length < 64 and len({question.key[:length] for question in questions}) < len(questions):
        length += 1
    return {question.key[:length]: question for question in questions}
