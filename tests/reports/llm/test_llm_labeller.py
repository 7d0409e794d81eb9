"""The LLM labeller against a server that answers well, badly, slowly, or not at all."""

import json
import logging
import re
import threading
import time
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from llm_server import (
    SENTENCES,
    Reply,
    completion,
    good_item,
    good_items,
    labeller,
    labels,
    serving,
    truth,
)

from offclip.errors import ConfigError, DataError
from offclip.reports import Conventions, RuleLabeller
from offclip.reports.config import load_config
from offclip.reports.llm import LlmConfig, LlmError, LlmLabeller
from offclip.reports.pairs import ReportLabeller

pytest.importorskip("openai", reason="the extra llm is not installed")


def test_a_good_server_labels_everything_in_order_and_once(config):
    repeated = [*SENTENCES, " ".join(SENTENCES[0].split()), SENTENCES[3].replace(" ", "\n ")]
    with serving() as server:
        results = labeller(server, config).label_many(repeated)
        assert labels(results) == truth(repeated)
        assert all(result.reason == f"llm:{result.label}" for result in results)
        assert results[0].statements[0].prompt == "There is pleural effusion."
        assert sorted(server.asked) == sorted(SENTENCES)
        assert server.canaries == 1
        assert max(map(len, server.requests)) == 4
        assert set(server.paths) == {"/v1/chat/completions"}


def test_one_sentence_is_a_call_and_the_server_is_tested_once(config):
    with serving() as server:
        label = labeller(server, config)
        assert label("Small effusion.").label == "abnormal"
        assert label("No effusion.").label == "normal"
        assert label("Small effusion.").label == "abnormal"
        assert server.canaries == 1
        assert len(server.requests) == 2


def test_nothing_is_asked_where_the_cache_answers(config):
    with serving() as server:
        first = labeller(server, config).label_many(SENTENCES)
        asked = len(server.requests)
        again = labeller(server, config).label_many(SENTENCES)
        assert again == first
        assert (len(server.requests), server.canaries) == (asked, 1)
        # Another model, and another convention, are other questions.
        labeller(server, config, model="other").label_many(SENTENCES[:4])
        rules = RuleLabeller(conventions=Conventions(devices=False))
        LlmLabeller(replace(config, endpoint=server.url), rules).label_many(SENTENCES[:4])
        assert len(server.requests) == asked + 2
    # No server is needed any more.
    assert labeller(server, config).label_many(SENTENCES) == first


@pytest.mark.parametrize("limit", [1, 3])
def test_concurrency_is_bounded_and_used(config, limit):
    together = threading.Barrier(limit)

    def meet(number, sentences, body):
        if number <= limit:
            together.wait(20)  # breaks, and so fails the run, unless as many requests are under way
        time.sleep(0.005)
        return good_items(sentences)

    with serving(meet) as server:
        results = labeller(server, config, concurrency=limit, sentences_per_request=2).label_many(SENTENCES)
        assert labels(results) == truth(SENTENCES)
        assert server.most_parallel == limit


def drop_first(number, sentences, body):
    return good_items(sentences[1:]) if len(sentences) > 1 else good_items(sentences)


def double_first(number, sentences, body):
    if len(sentences) == 1:
        return good_items(sentences)
    return [good_item(sentences[0]), *good_items(sentences)]


def rename_first(number, sentences, body):
    items = good_items(sentences)
    if number <= 3:
        items[0]["id"] = "1"
    return items


def invalid_json_once(number, sentences, body):
    return '{"items": [' if number == 1 else good_items(sentences)


def prose_once(number, sentences, body):
    return "Sure! Here are your labels." if number <= 2 else good_items(sentences)


def unknown_labels_once(number, sentences, body):
    items = good_items(sentences)
    if number <= 2:
        items[0]["label"] = "pathological"
    return items


def cut_off_once(number, sentences, body):
    text = json.dumps({"items": good_items(sentences)})
    return Reply(body=completion(text, "length")) if number == 1 else text


def no_completion_once(number, sentences, body):
    return Reply(body=b"<html>welcome</html>") if number == 1 else good_items(sentences)


@pytest.mark.parametrize(
    "behaviour",
    [
        drop_first,
        double_first,
        rename_first,
        invalid_json_once,
        prose_once,
        unknown_labels_once,
        cut_off_once,
        no_completion_once,
    ],
)
def test_what_is_missing_or_bad_is_asked_again_and_only_that(config, behaviour):
    with serving(behaviour) as server:
        results = labeller(server, config).label_many(SENTENCES)
        assert labels(results) == truth(SENTENCES)
        assert {result.reason.split(":")[0] for result in results} == {"llm"}
        assert set(server.asked) == set(SENTENCES)
        assert len(server.asked) <= len(SENTENCES) + sum(map(len, server.requests[:9]))
        first_round = -(-len(SENTENCES) // 4)
        again = [text for request in server.requests[first_round:] for text in request]
        assert 0 < len(again) < len(SENTENCES)
        assert all(len(request) <= 2 for request in server.requests[first_round:])


def test_what_stays_bad_is_labelled_by_the_rules_marked_and_not_cached(config, caplog):
    def never_the_first(number, sentences, body):
        return [item for item, s in zip(good_items(sentences), sentences, strict=True) if s["text"] != bad]

    bad = SENTENCES[0]
    with serving(never_the_first) as server:
        with caplog.at_level(logging.WARNING):
            results = labeller(server, config).label_many(SENTENCES)
        assert results[0].label == "abnormal"
        assert results[0].reason == "llm-fallback:asserted:pleural effusion"
        assert results[0].statements[0].prompt == "There is pleural effusion."
        assert results[0].mentions
        assert {result.reason.split(":")[0] for result in results[1:]} == {"llm"}
        assert server.asked.count(bad) == config.asks
        assert "1 of 30 sentences are labelled by the rules" in caplog.text
        assert "effusion" not in caplog.text
        labeller(server, config).label_many(SENTENCES)
        assert server.asked.count(bad) == 2 * config.asks
        assert len(server.asked) == len(SENTENCES) + 2 * config.asks - 1


def test_overlong_and_blank_sentences_are_not_sent(config):
    with serving() as server:
        long = "Effusion " * 200
        results = labeller(server, config).label_many([long, " ", "Small effusion."])
        assert server.asked == ["Small effusion."]
        assert [result.reason.split(":")[0] for result in results] == ["llm-fallback", "llm-fallback", "llm"]


def test_redirects_are_not_followed(config):
    with serving() as other, serving() as server:
        server.behaviour = lambda *_: Reply(307, b"", {"Location": f"{other.url}/chat/completions"})
        with pytest.raises(LlmError, match="HTTP 307") as caught:
            labeller(server, config).label_many(SENTENCES[:4])
        assert "redirects elsewhere" in caught.value.remedy
        assert other.paths == []


def test_proxies_of_the_environment_are_not_asked_for_this_machine(config, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as server:
        assert labels(labeller(server, config).label_many(SENTENCES[:4])) == truth(SENTENCES[:4])


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("I am a helpful assistant.", "not JSON.*It began: I am a helpful"),
        ('{"labels": []}', "not an object with 'items'"),
        ([], "3 of 3 ids not answered"),
    ],
)
def test_the_test_request_stops_a_server_that_ignores_the_schema(config, said, message):
    with serving(lambda *_: said, spoil_canary=True) as server:
        with pytest.raises(LlmError, match=message) as caught:
            labeller(server, config, on_failure="rules").label_many(SENTENCES)
        assert "json_schema" in caught.value.remedy
        assert server.requests == []


def test_the_test_request_stops_a_model_that_takes_normal_for_abnormal(config, caplog):
    def parrot(label):
        statements = {
            "abnormal": [{"statement": "There is effusion.", "label": "abnormal"}],
            "normal": [{"statement": "There is no finding.", "label": "normal"}],
        }[label]
        return lambda number, sentences, body: [
            {"id": s["id"], "label": label, "statements": statements} for s in sentences
        ]

    for label in ("abnormal", "normal"):
        with (
            serving(parrot(label), spoil_canary=True) as server,
            pytest.raises(LlmError, match="the model calls"),
        ):
            labeller(server, config).label_many(SENTENCES)

    def weak(number, sentences, body):
        return [
            item
            if item["label"] != "uncertain"
            else item
            | {"label": "normal", "statements": [{"statement": "There is no finding.", "label": "normal"}]}
            for item in good_items(sentences)
        ]

    with serving(weak, spoil_canary=True) as server:
        assert labels(labeller(server, config).label_many(SENTENCES)) == truth(SENTENCES)
    assert "sentence about technique normal" in caplog.text


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(config, monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-service")
    with caplog.at_level(logging.DEBUG), serving() as server:
        labeller(server, config, api_key_env="MY_KEY").label_many(SENTENCES[:4])
        assert set(server.keys) == {"Bearer sk-very-secret"}
        server.keys.clear()
        labeller(server, config).label_many(SENTENCES[4:8])
        assert set(server.keys) == {"Bearer none"}
    everything = caplog.text + "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert "secret" not in everything
    assert "film" not in caplog.text
    monkeypatch.setenv("MY_KEY", "sk-\nbroken")
    with pytest.raises(ConfigError, match="MY_KEY does not hold a key"):
        labeller(server, config, api_key_env="MY_KEY").label_many(SENTENCES)


def test_a_cache_that_cannot_be_written_is_found_before_anything_is_asked(config, tmp_path):
    (tmp_path / "file").write_text("")
    with serving() as server, pytest.raises(DataError, match="the cache cannot be"):
        labeller(server, config, cache=str(tmp_path / "file" / "c.jsonl")).label_many(SENTENCES)
    assert server.paths == []


def test_progress_counts_sentences(config):
    seen = []
    with serving() as server:
        label = LlmLabeller(
            replace(config, endpoint=server.url),
            RuleLabeller(),
            lambda done, total: seen.append((done, total)),
        )
        label.label_many(SENTENCES)
    assert seen[-1] == (30, 30)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_bad_settings_are_refused(config):
    rules = RuleLabeller()
    with pytest.raises(ConfigError, match="No language model is named"):
        LlmLabeller(LlmConfig(), rules)
    with pytest.raises(ConfigError, match="is not this machine"):
        LlmLabeller(replace(config, endpoint="https://api.example.org/v1"), rules)
    for changes, message in [
        ({"concurrency": 0}, "concurrency is 0"),
        ({"timeout_s": float("nan")}, "timeout_s is nan"),
        ({"on_failure": "shrug"}, "known are stop, rules"),
        ({"response_format": "xml"}, "known are json_schema"),
    ]:
        with pytest.raises(ConfigError, match=message):
            replace(config, **changes)


def test_a_configuration_file_makes_the_labeller_and_reports_get_a_row_a_statement(tmp_path):
    def two_statements(number, sentences, body):
        statements = [
            {"statement": "There is no pneumothorax.", "label": "normal"},
            {"statement": "There is small effusion of left.", "label": "abnormal"},
        ]
        return [{"id": s["id"], "label": "abnormal", "statements": statements} for s in sentences]

    with serving(two_statements) as server:
        (tmp_path / "label.toml").write_text(
            f'labeller = "llm"\n[llm]\nendpoint = "{server.url}"\nmodel = "m"\ntimeout_s = 20\n'
            f'cache = "{tmp_path / "c.jsonl"}"\n'
        )
        label = ReportLabeller(load_config(tmp_path / "label.toml").build())
        reports = label.many(["No pneumothorax, but a small left effusion."] * 2)
        assert len(server.requests) == 1
    assert reports[0] == reports[1]
    assert reports[0].label == "abnormal"
    assert [sentence.prompt for sentence in reports[0].sentences] == [
        "There is no pneumothorax.",
        "There is small effusion of left.",
    ]
    assert [sentence.prompt for sentence in reports[0].kept] == ["There is small effusion of left."]


def test_without_the_package_the_remedy_is_told(config, monkeypatch):
    monkeypatch.setattr("offclip.reports.llm.client.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs the package openai") as caught:
        LlmLabeller(config, RuleLabeller())
    assert "offclip[llm]" in caught.value.remedy


def test_the_documented_settings_are_the_real_ones():
    page = (Path(__file__).parents[3] / "docs" / "llm.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", page, re.MULTILINE))
    assert {name: tomllib.loads(f"x = {value}")["x"] for name, value in documented.items()} == asdict(
        LlmConfig()
    )
