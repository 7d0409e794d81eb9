"""Batch files: out, worked off elsewhere, in again, and never an answer to the wrong question."""

import json
import random
from dataclasses import replace

import pytest
from llm_server import completion, good_items

from offclip.errors import ConfigError, DataError
from offclip.reports import Conventions, label_sentence
from offclip.reports.llm import LlmConfig
from offclip.reports.llm.batch import batch_line, batch_requests, import_results
from offclip.reports.llm.cache import read_cache

SENTENCES = [f"{'No' if i % 2 else 'Small'} effusion in film {i}." for i in range(10)]
CONVENTIONS = Conventions()


@pytest.fixture
def config(tmp_path):
    return LlmConfig(model="m", cache=str(tmp_path / "c.jsonl"), sentences_per_request=4)


@pytest.fixture
def requests_file(config, tmp_path):
    path = tmp_path / "requests.jsonl"
    requests = batch_requests(SENTENCES, config, CONVENTIONS)
    path.write_text("".join(f"{batch_line(request)}\n" for request in requests))
    return path


def result(request: dict, items: list | None = None, **changes) -> dict:
    """What a service writes for one request."""
    sentences = json.loads(request["body"]["messages"][1]["content"])["sentences"]
    content = json.dumps({"items": good_items(sentences) if items is None else items})
    response = {"status_code": 200, "request_id": "r", "body": json.loads(completion(content))}
    return {"id": "b", "custom_id": request["custom_id"], "response": response, "error": None} | changes


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path, rows):
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def cached_labels(config):
    maker_requests = batch_requests(SENTENCES, replace(config, cache=config.cache + ".none"), CONVENTIONS)
    questions = [question for request in maker_requests for question in request.questions.values()]
    found = read_cache(config.cache_path, {question.key for question in questions})
    return {question.text: found[question.key].label for question in questions if question.key in found}


def test_the_form_is_that_of_the_batch_api(requests_file):
    rows = rows_of(requests_file)
    assert len(rows) == 3
    for row in rows:
        assert set(row) == {"custom_id", "method", "url", "body"}
        assert (row["method"], row["url"]) == ("POST", "/v1/chat/completions")
        assert len(row["custom_id"]) <= 64
    assert len({row["custom_id"] for row in rows}) == 3


def test_results_in_any_order_find_their_sentences(config, requests_file, tmp_path):
    rows = [result(row) for row in rows_of(requests_file)]
    random.Random(1).shuffle(rows)
    done = import_results(write(tmp_path / "out.jsonl", rows), requests_file, config, CONVENTIONS)
    assert (done.added, done.known, done.missing, done.bad) == (10, 0, 0, ())
    assert cached_labels(config) == {text: label_sentence(text).label for text in SENTENCES}
    again = import_results(tmp_path / "out.jsonl", requests_file, config, CONVENTIONS)
    assert (again.added, again.known, again.missing) == (0, 10, 0)
    assert batch_requests(SENTENCES, config, CONVENTIONS) == []


def test_bad_lines_are_told_with_number_and_reason(config, requests_file, tmp_path):
    first, second, third = rows_of(requests_file)
    sentences = json.loads(second["body"]["messages"][1]["content"])["sentences"]
    swapped = json.loads(json.dumps(first)) | {"custom_id": third["custom_id"]}
    lines = [
        "not json\n",
        "\n",
        result(first) | {"custom_id": "offclip-unknown"},
        result(first, response=None, error={"message": "Small effusion in film 0."}),
        result(first),
        result(second, good_items(sentences)[1:]),
        result(second),
        result(swapped),
        "[1]\n",
    ]
    done = import_results(write(tmp_path / "out.jsonl", lines), requests_file, config, CONVENTIONS)
    assert [(bad.line, bad.reason) for bad in done.bad] == [
        (1, "not a JSON object"),
        (3, "its custom_id is in no request"),
        (4, "the service reports an error"),
        (5, "its custom_id came before"),
        (6, "1 of 4 ids not answered"),
        (7, "its custom_id came before"),
        (8, "an item without a known id"),
        (8, "2 of 2 ids not answered"),
        (9, "not a JSON object"),
    ]
    assert (done.added, done.missing) == (3, 7)
    assert cached_labels(config) == {text: label_sentence(text).label for text in SENTENCES[5:8]}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"status_code": 429, "body": {}}, "HTTP 429"),
        ({"body": {}}, "no status code"),
        ({"status_code": 200, "body": None}, "the response is not a chat completion"),
        ({"status_code": 200, "body": json.loads(completion("prose"))}, "the answer is not JSON"),
        ({"status_code": 200, "body": json.loads(completion("{", "length"))}, "cut off"),
    ],
)
def test_failed_requests(config, requests_file, tmp_path, response, reason):
    row = result(rows_of(requests_file)[0], response=response)
    done = import_results(write(tmp_path / "out.jsonl", [row]), requests_file, config, CONVENTIONS)
    assert done.added == 0
    assert reason in done.bad[0].reason


def test_another_configuration_or_an_edited_request_is_refused(config, requests_file, tmp_path):
    out = write(tmp_path / "out.jsonl", [result(row) for row in rows_of(requests_file)])
    for other, conventions in (
        (replace(config, model="n"), CONVENTIONS),
        (config, Conventions(devices=False)),
    ):
        with pytest.raises(DataError, match="line 1: exported with another model"):
            import_results(out, requests_file, other, conventions)
    # Sizes and sampling do not change the question.
    import_results(out, requests_file, replace(config, max_output_tokens=9, temperature=-1.0), CONVENTIONS)

    edited = write(tmp_path / "edited.jsonl", [requests_file.read_text().replace("film 3", "film 4")])
    with pytest.raises(DataError, match="edited"):
        import_results(out, edited, config, CONVENTIONS)
    other = requests_file.read_text().replace("You label single sentences", "You praise single sentences")
    with pytest.raises(DataError, match="edited"):
        import_results(out, write(tmp_path / "other.jsonl", [other]), config, CONVENTIONS)
    for text in ("{}\n", "x\n", '{"body": {"messages": [1, {"content": "[]"}]}}\n'):
        with pytest.raises(DataError, match="line 1: not a request of ours"):
            import_results(out, write(tmp_path / "no.jsonl", [text]), config, CONVENTIONS)


def test_files_that_are_not_there(config, requests_file, tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        import_results(tmp_path / "none", requests_file, config, CONVENTIONS)
    with pytest.raises(DataError, match="cannot be read"):
        import_results(requests_file, tmp_path, config, CONVENTIONS)
    with pytest.raises(ConfigError, match="No language model"):
        batch_requests(SENTENCES, LlmConfig(), CONVENTIONS)
