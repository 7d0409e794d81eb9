"""The LLM labeller: asks each different sentence once, and lets the rules label what the model does not."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from offclip.reports.labels import SentenceLabel, Statement
from offclip.reports.llm.answer import Answer, Reading, content_of, read_answer
from offclip.reports.llm.cache import CacheWriter
from offclip.reports.llm.cache_index import CacheIndex
from offclip.reports.llm.canary import check_server
from offclip.reports.llm.client import Client, require_openai
from offclip.reports.llm.config import LlmConfig
from offclip.reports.llm.endpoint import check_endpoint, privacy_warning
from offclip.reports.llm.errors import LlmError, LlmLostError
from offclip.reports.llm.pool import run_bounded
from offclip.reports.llm.request import Question, Request, Requests
from offclip.reports.prompts import prompt_for
from offclip.reports.rules import RuleLabeller

_log = logging.getLogger(__name__)


class LlmLabeller:
    """Labels sentences by a language model.

    The reason of a label is `llm:<label>` where the model gave it, and `llm-fallback:<reason of the rules>`
    where the rules did. The latter are not cached: the next run asks again.

    Args:
        config: Endpoint, model, limits.
        rules: Label what the model does not; their conventions are told to the model.
        on_progress: Called with (sentences done, sentences in all).

    Raises:
        ConfigError: No model is named, the endpoint is not allowed, or `openai` is not installed.
    """

    def __init__(
        self, config: LlmConfig, rules: RuleLabeller, on_progress: Callable[[int, int], None] | None = None
    ) -> None:
        config.require_model()
        self.config = config
        self.rules = rules
        self.on_progress = on_progress
        self._endpoint = check_endpoint(config.endpoint, allow_remote=config.allow_remote)
        require_openai()
        self._requests = Requests(config, rules.conventions)
        self._cache = CacheIndex(config.cache_path)
        self._checked = False
        self._lost = ""  # why nothing more is asked

    def __call__(self, sentence: str, /) -> SentenceLabel:
        """Label one sentence. Many at a time are far cheaper: see `label_many`."""
        return self.label_many([sentence])[0]

    def label_many(self, sentences: Sequence[str], /) -> list[SentenceLabel]:
        """Label sentences, in order.

        Raises:
            LlmError: The server refuses, fails the test request, or is lost and `on_failure` is `"stop"`.
                What was answered before is in the cache.
            DataError: The cache cannot be read or written.
        """
        questions = self._requests.questions(sentences)
        known = self._cache.find([question.key for question in questions])
        todo = [question for question in questions if question.key not in known]
        if todo and not self._lost:
            self._ask(todo, known, len(questions))
        return [self._result(sentence, known) for sentence in sentences]

    def _ask(self, todo: list[Question], known: dict[str, Answer], total: int) -> None:
        """Ask until all is known or may not be asked again; answers go into `known` and the cache."""
        stop = threading.Event()
        problems: Counter[str] = Counter()
        done = total - len(todo)
        with (
            CacheWriter(self._cache.path, self.config.model) as cache,
            Client(self.config, self._endpoint, stop) as client,
        ):
            self._check(client)

            def work(request: Request) -> Reading:
                response = client.complete(request.body)
                try:
                    return read_answer(content_of(response), request.questions)
                except LlmError as error:
                    return Reading({}, (error.message,))

            def keep(request: Request, reading: Reading) -> None:
                nonlocal done
                for name, answer in reading.answers.items():
                    key = request.questions[name].key
                    known[key] = answer
                    cache.add(key, answer)
                problems.update(reading.problems)
                done += len(reading.answers)
                if self.on_progress:
                    self.on_progress(done, total)

            left = todo
            try:
                for ask in range(self.config.asks):
                    # Smaller requests each time: an answer may have failed because it was too long.
                    size = max(1, self.config.sentences_per_request >> ask)
                    run_bounded(work, self._requests.split(left, size), self.config.concurrency, keep, stop)
                    left = [question for question in left if question.key not in known]
                    if not left:
                        break
            except LlmError as error:
                if not isinstance(error, LlmLostError) or self.config.on_failure == "stop":
                    raise self._stopped(error, done, total) from None
                left = [question for question in todo if question.key not in known]
                self._lost = error.message
                problems[self._lost] += 1
        if left:
            listed = "; ".join(f"{problem} ({n})" for problem, n in problems.most_common(5))
            _log.warning("%d of %d sentences are labelled by the rules: %s", len(left), total, listed)
            if self.on_progress:
                self.on_progress(total, total)

    def _check(self, client: Client) -> None:
        """Warn and test the server, once."""
        if self._checked:
            return
        warning = privacy_warning(self._endpoint)
        if warning:
            _log.warning(warning)
        check_server(client, self._requests)
        self._checked = True

    def _stopped(self, error: LlmError, done: int, total: int) -> LlmError:
        return type(error)(
            f"{error.message} {done:,} of {total:,} sentences are done and kept in {self._cache.path}.",
            error.remedy,
        )

    def _result(self, sentence: str, known: dict[str, Answer]) -> SentenceLabel:
        question = next(iter(self._requests.questions([sentence])), None)
        answer = known.get(question.key) if question else None
        if answer is not None:
            return SentenceLabel(answer.label, f"llm:{answer.label}", statements=answer.statements)
        ruled = self.rules(sentence)
        prompt = Statement(prompt_for(sentence, ruled), ruled.label)
        return SentenceLabel(ruled.label, f"llm-fallback:{ruled.reason}", ruled.mentions, (prompt,))
