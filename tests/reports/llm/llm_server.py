"""A server on this machine that answers like a language model: well, badly, slowly, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from offclip.reports import RuleLabeller, label_sentence
from offclip.reports.llm import LlmLabeller
from offclip.reports.prompts import prompt_for


@dataclass
class Reply:
    """What goes back over the wire."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # close the connection in the middle of the body


Behaviour = Callable[[int, list[dict[str, str]], dict[str, Any]], "Reply | list[dict[str, Any]] | str"]


def good_item(sentence: dict[str, str]) -> dict[str, Any]:
    """What a perfect model says, which is what the rules say."""
    ruled = label_sentence(sentence["text"])
    statements = []
    if ruled.label != "uncertain":
        name = ruled.label
        prompt = prompt_for(sentence["text"], ruled)
        prompt = prompt if prompt.startswith("There is") else "There is something."
        statements = [{"statement": prompt, "label": name}]
    return {"id": sentence["id"], "label": ruled.label, "statements": statements}


def good_items(sentences: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [good_item(sentence) for sentence in sentences]


def completion(content: str, finish_reason: str = "stop") -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content},
        "finish_reason": finish_reason,
    }
    return json.dumps({"id": "c", "object": "chat.completion", "choices": [choice]}).encode()


class FakeServer(ThreadingHTTPServer):
    """Counts what it is asked; `behaviour(number, sentences, body)` decides what it says.

    The canary is answered well and not counted, unless `spoil_canary`.
    """

    daemon_threads = True

    def __init__(self, behaviour: Behaviour | None = None, *, spoil_canary: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviour: Behaviour = behaviour or (lambda number, sentences, body: good_items(sentences))
        self.spoil_canary = spoil_canary
        self.lock = threading.Lock()
        self.requests: list[list[str]] = []  # texts of each request, the canary left out
        self.paths: list[str] = []
        self.keys: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.canaries = 0
        self.parallel = self.most_parallel = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def asked(self) -> list[str]:
        return [text for request in self.requests for text in request]

    def handle_error(self, request, client_address) -> None:
        del request, client_address  # a client that hung up is part of the tests


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # one packet an answer; two would wait for each other

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sentences = json.loads(body["messages"][1]["content"])["sentences"]
        texts = [sentence["text"] for sentence in sentences]
        server = self.server
        canary = "Two views of the chest were obtained." in texts
        with server.lock:
            server.paths.append(self.path)
            server.keys.append(self.headers.get("Authorization", ""))
            if canary:
                server.canaries += 1
            else:
                server.requests.append(texts)
                server.bodies.append(body)
            number = len(server.requests)
            server.parallel += 1
            server.most_parallel = max(server.most_parallel, server.parallel)
        try:
            said = (
                good_items(sentences)
                if canary and not server.spoil_canary
                else server.behaviour(number, sentences, body)
            )
        finally:
            with server.lock:
                server.parallel -= 1
        if isinstance(said, list):
            said = json.dumps({"items": said})
        if isinstance(said, str):
            said = Reply(body=completion(said))
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        if said.cut:
            self.wfile.write(said.body[: len(said.body) // 2])
            self.close_connection = True
            return
        self.wfile.write(said.body)

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


@contextmanager
def serving(behaviour: Behaviour | None = None, *, spoil_canary: bool = False) -> Iterator[FakeServer]:
    """Run a server in a thread."""
    with FakeServer(behaviour, spoil_canary=spoil_canary) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


FINDINGS = ["effusion", "pneumothorax", "pneumonia", "atelectasis", "cardiomegaly", "fracture"]
SENTENCES = [
    f"No {f} in film {i}." if i % 2 else f"Small {f} in film {i}." for f in FINDINGS for i in range(5)
]


def labeller(server, config, **changes):
    return LlmLabeller(replace(config, endpoint=server.url, **changes), RuleLabeller())


def labels(results):
    return [result.label for result in results]


def truth(sentences):
    return [label_sentence(sentence).label for sentence in sentences]
