"""The LLM labeller against a server that is busy, broken, refuses, or dies."""

import json
import threading

import pytest
from llm_server import SENTENCES, Reply, completion, good_items, labeller, labels, serving, truth

from offclip.reports.llm import LlmError
from offclip.reports.llm.errors import LlmLostError

pytest.importorskip("openai", reason="the extra llm is not installed")


def test_429_is_tried_again_after_the_time_asked_for(config):
    def busy_twice(number, sentences, body):
        if number <= 2:
            return Reply(429, b'{"error": {"message": "slow down"}}', {"Retry-After": "0.005"})
        return good_items(sentences)

    with serving(busy_twice) as server:
        results = labeller(server, config, concurrency=1).label_many(SENTENCES[:4])
        assert labels(results) == truth(SENTENCES[:4])
        assert len(server.requests) == 3


def test_a_server_that_asks_to_wait_too_long_ends_the_run(config):
    with (
        serving(lambda *_: Reply(429, b"{}", {"Retry-After": "3600"})) as server,
        pytest.raises(LlmLostError, match=r"asks to wait 3600 s.*0 of 4 sentences are done"),
    ):
        labeller(server, config).label_many(SENTENCES[:4])
    assert len(server.requests) <= config.concurrency


def test_500_and_a_connection_cut_in_the_middle_are_tried_again(config):
    def shaky(number, sentences, body):
        if number == 1:
            return Reply(500, b"oops")
        if number == 2:
            return Reply(body=completion(json.dumps({"items": good_items(sentences)})), cut=True)
        return good_items(sentences)

    with serving(shaky) as server:
        results = labeller(server, config, concurrency=1).label_many(SENTENCES[:4])
        assert labels(results) == truth(SENTENCES[:4])
        assert len(server.requests) == 3


def test_retries_are_bounded(config):
    with (
        serving(lambda *_: Reply(503, b"{}")) as server,
        pytest.raises(LlmLostError, match=r"failed 4 time\(s\), last by: HTTP 503"),
    ):
        labeller(server, config, concurrency=1).label_many(SENTENCES[:4])
    assert len(server.requests) == 4


def test_a_server_that_answers_too_late_is_tried_again(config):
    release = threading.Event()

    def late(number, sentences, body):
        if number == 1:
            release.wait(20)
        return good_items(sentences)

    with serving(late) as server:
        results = labeller(server, config, concurrency=1, timeout_s=0.3).label_many(SENTENCES[:4])
        release.set()
        assert labels(results) == truth(SENTENCES[:4])
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (400, "response_format"),
        (401, "OFFCLIP_LLM_API_KEY"),
        (404, "Check the endpoint"),
        (422, "docs/llm.md"),
    ],
)
def test_other_4xx_stop_at_once_without_quoting_the_server(config, status, remedy):
    body = json.dumps({"error": {"message": "bad: Small effusion in film 0.", "code": "some_code"}}).encode()
    with serving(lambda *_: Reply(status, body)) as server:
        with pytest.raises(LlmError, match=rf"HTTP {status} \(some_code\)") as caught:
            labeller(server, config, concurrency=1, on_failure="rules").label_many(SENTENCES[:8])
        assert len(server.requests) == 1
    assert remedy in caught.value.remedy
    assert "film" not in str(caught.value)


def test_an_account_without_credit_is_not_asked_again(config):
    body = b'{"error": {"message": "pay", "type": "insufficient_quota", "code": "insufficient_quota"}}'
    with serving(lambda *_: Reply(429, body)) as server:
        with pytest.raises(LlmError, match="insufficient_quota") as caught:
            labeller(server, config, concurrency=1).label_many(SENTENCES[:8])
        assert len(server.requests) == 1
    assert "no credit" in caught.value.remedy


def dying(after):
    """Answers `after` requests and then hangs up on everybody."""

    def behave(number, sentences, body):
        if number > after:
            raise ConnectionAbortedError
        return good_items(sentences)

    return behave


def test_a_server_that_dies_stops_the_run_and_the_next_run_asks_the_rest(config):
    with serving(dying(after=3)) as server:
        with pytest.raises(LlmLostError, match=r"12 of 30 sentences are done and kept in") as caught:
            labeller(server, config).label_many(SENTENCES)
        assert "the same command goes on" in caught.value.remedy
        assert "film" not in str(caught.value)
        done = {text for request in server.requests[:3] for text in request}
    with serving() as server:
        results = labeller(server, config).label_many(SENTENCES)
        assert labels(results) == truth(SENTENCES)
        assert sorted(server.asked) == sorted(set(SENTENCES) - done)


def test_on_request_the_rules_go_on_when_the_server_dies(config, caplog):
    with serving(dying(after=3)) as server:
        label = labeller(server, config, on_failure="rules", concurrency=1)
        results = label.label_many(SENTENCES)
        assert labels(results) == truth(SENTENCES)
        reasons = [result.reason.split(":")[0] for result in results]
        assert reasons == ["llm"] * 12 + ["llm-fallback"] * 18
        assert (
            len(server.requests) == 3 + 1 + config.retries
        )  # one request found it dead, the others were spared
        # The next part of the same run does not wait for it again.
        assert label("Small fracture.").reason == "llm-fallback:asserted:fracture"
        assert label(SENTENCES[0]).reason == "llm:abnormal"
        assert len(server.requests) == 3 + 1 + config.retries
    assert "18 of 30 sentences are labelled by the rules" in caplog.text


def test_no_server_at_all_is_told_and_not_papered_over(config):
    with serving() as server:
        pass
    with pytest.raises(LlmLostError, match="ConnectError at http://127"):
        labeller(server, config, on_failure="rules").label_many(SENTENCES)
