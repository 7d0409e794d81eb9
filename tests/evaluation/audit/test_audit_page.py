"""The page: self-contained, blind, inert to hostile text; its script under node and in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from importlib import resources

import pytest
from audit_browser import open_browser
from audit_tables import HOSTILE, study, write_table

from offclip.errors import DataError
from offclip.evaluation.audit import Design, draw_sample, read_verdicts, write_page

STUDIES = [
    study(1, [("The lungs are clear.", "normal"), (HOSTILE, "normal"), ("Small effusion.", "abnormal")]),
    study(2, [("Compared with yesterday.", "uncertain"), ("No pneumothorax.", "normal")]),
]


class Page(HTMLParser):
    """Tags, attributes and the text of scripts and styles, as a browser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.found and self.found[-1][0] in ("script", "style"):
            self.texts.append((self.found[-1][1].get("id") or self.found[-1][0], data))

    def text(self, name: str) -> str:
        return next(text for found, text in self.texts if found == name)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return draw_sample(write_table(tmp_path_factory.mktemp("page") / "t.parquet", STUDIES), Design())


@pytest.fixture(scope="module")
def page(sample, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page") / "audit.html", sample)


def test_it_asks_for_nothing_outside_itself(page):
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    for _, attributes in found.found:
        assert not {"src", "href", "style", "onclick", "action"} & set(attributes)
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|innerHTML", text)


def test_the_policy_allows_its_own_script_and_style_alone(page):
    found = Page(page.read_text(encoding="utf-8"))
    policy = next(a["content"] for _, a in found.found if a.get("http-equiv") == "Content-Security-Policy")
    digests = {
        name: base64.b64encode(hashlib.sha256(found.text(name).encode()).digest()).decode()
        for name in ("script", "style")
    }
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{digests['script']}'",
        f"style-src 'sha256-{digests['style']}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_hostile_text_stays_text(page, sample):
    text = page.read_text(encoding="utf-8")
    assert text.isprintable() or not re.search("[\x00\u2028\u2029\u202e]", text)
    found = Page(text)
    assert [tag for tag, _ in found.found].count("script") == 2
    assert "img" not in {tag for tag, _ in found.found}
    data = json.loads(found.text("data"))
    assert data["sample"] == sample.token
    shown = {entry["text"] for entry in data["items"]}
    assert " ".join(HOSTILE.split()) in shown
    assert {"".join(entry["report"]) for entry in data["items"]} == {row["report"] for row in STUDIES}


def test_it_is_blind_and_names_nobody(page, sample, tmp_path):
    text = page.read_text(encoding="utf-8")
    for secret in ("PATIENT", "STUDY", "negated:effusion", "asserted:effusion"):
        assert secret not in text
    entries = json.loads(Page(text).text("data"))["items"]
    assert {tuple(entry) for entry in entries} == {("id", "text", "section", "report")}
    open_text = write_page(tmp_path / "open.html", sample, show_labels=True).read_text(encoding="utf-8")
    assert "asserted:effusion" in open_text
    assert "PATIENT" not in open_text


def test_the_same_sample_gives_the_same_page(page, sample, tmp_path):
    assert write_page(tmp_path / "again.html", sample).read_bytes() == page.read_bytes()


def test_a_full_disk_is_said(sample, tmp_path, full_disk):
    full_disk("audit.html")
    with pytest.raises(DataError, match="the disk is full"):
        write_page(tmp_path / "audit.html", sample)
    assert not list(tmp_path.iterdir())


def under_node(script: str) -> object:
    """Run a script after the page's own functions; returns what it gives as JSON."""
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed")
    source = resources.files("offclip.evaluation.audit").joinpath("page.js").read_text(encoding="utf-8")
    code = f"{source}\nprocess.stdout.write(JSON.stringify((() => {{ {script} }})()));"
    done = subprocess.run([node, "-e", code], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_script_verdicts_and_undo():
    assert under_node(
        """
        const items = [{id: "a"}, {id: "b"}, {id: "c"}];
        let s = emptyState();
        const opens = [nextOpen(items, s, -1)];
        s = annotate(s, "a", "why"); s = judge(s, "a", "normal"); opens.push(nextOpen(items, s, 0));
        s = judge(s, "c", "abnormal"); opens.push(nextOpen(items, s, 2));
        s = judge(s, "a", "uncertain"); s = judge(s, "b", "normal"); opens.push(nextOpen(items, s, 1));
        const steps = [];
        for (let i = 0; i < 5; i += 1) {
          const back = undo(s);
          s = back.state;
          steps.push([back.id, s.verdicts.a.verdict, s.verdicts.a.comment]);
        }
        return {opens, steps, judged: items.filter(({id}) => isJudged(s, id))};
        """
    ) == {
        "opens": [0, 1, 1, -1],
        "steps": [
            ["b", "uncertain", "why"],
            ["a", "normal", "why"],
            ["c", "normal", "why"],
            ["a", "", "why"],
            [None, "", "why"],
        ],
        "judged": [],
    }


def test_script_restores_only_what_makes_sense():
    saved = {
        "verdicts": {
            "a": {"verdict": "normal", "comment": 7},
            "b": {"verdict": "<b>", "comment": "kept"},
            "c": None,
            "unknown": {"verdict": "normal"},
            "__proto__": {"verdict": "normal"},
        }
    }
    found = under_node(
        f"""
        const items = ["a", "b", "c", "constructor"].map((id) => ({{id}}));
        return [{json.dumps(json.dumps(saved))}, "no json", "null", "[1]", null, '{{"verdicts": 3}}']
          .map((text) => restore(text, items).verdicts);
        """
    )
    assert (
        found
        == [{"a": {"verdict": "normal", "comment": ""}, "b": {"verdict": "", "comment": "kept"}}] + [{}] * 5
    )


def test_what_the_script_exports_is_read_back(sample, tmp_path):
    data = {
        "sample": sample.token,
        "sha256": sample.sha256,
        "items": [{"id": item.id} for item in sample.items],
    }
    comment = 'say "so", é\nand\u2028more; =1+1'
    found = under_node(
        f"""
        const data = {json.dumps(data)};
        let s = annotate(emptyState(), data.items[0].id, {json.dumps(comment)});
        for (const item of data.items.slice(0, 3)) s = judge(s, item.id, "uncertain");
        return ["csv", "json"].map((kind) => [
          fileName(data, "Dr. A/B", kind), (kind === "csv" ? toCsv : toJson)(data, s, "Dr. A/B")]);
        """
    )
    assert isinstance(found, list)
    for name, text in found:
        assert re.fullmatch(r"verdicts-[0-9a-f]{8}-Dr-A-B\.(csv|json)", name)
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        verdicts = read_verdicts(tmp_path / name)
        verdicts.check_sample(sample, "t.parquet")
        assert verdicts.reader == "Dr. A/B"
        assert [verdict.label for verdict in verdicts.verdicts.values()] == ["uncertain"] * 3
        assert verdicts.verdicts[sample.items[0].id].comment == 'say "so", é and more; =1+1'


def test_in_a_browser(page, sample, tmp_path):
    with open_browser(tmp_path / "profile", "--window-size=500,800") as browser:
        browser.open(page)
        assert browser.text("#done") == "0 of 5 judged"
        assert browser.run("return document.querySelector('#csv').disabled")
        first = browser.text("#sentence")
        browser.press("n", "a")
        assert browser.text("#done") == "2 of 5 judged"
        browser.press("z", "z")
        assert browser.text("#done") == "0 of 5 judged"
        assert browser.text("#sentence") == first
        browser.press("c", "n", "a", "escape", "u", "left")
        assert browser.text("#done") == "1 of 5 judged"
        assert browser.run("return document.querySelector('#comment').value") == "na"
        browser.press("o", "n", "n", "n", "a")
        assert browser.text("#done") == "5 of 5 judged"
        assert not browser.run("return document.querySelector('#finished').hidden")

        browser.open(page)  # kept in the browser
        assert browser.text("#done") == "5 of 5 judged"
        rename = "const r = document.querySelector('#reader'); r.value = '{}'; "
        rename += "r.dispatchEvent(new Event('change'))"
        browser.run(rename.format("ab"))
        assert browser.text("#done") == "5 of 5 judged"
        browser.run(rename.format("cd"))
        assert browser.text("#done") == "0 of 5 judged"
        browser.run(rename.format("ab"))
        browser.click("#csv")
        exported = browser.downloads / f"verdicts-{sample.sha256[:8]}-ab.csv"
        for _ in range(100):
            if exported.is_file():
                break
            time.sleep(0.1)
        found = read_verdicts(exported)
        found.check_sample(sample, "t.parquet")
        labels = [found.verdicts[item.id].label for item in sample.items]
        assert labels == ["uncertain", "normal", "normal", "normal", "abnormal"]
        assert found.verdicts[sample.items[0].id].comment == "na"

        hostile = next(n for n, item in enumerate(sample.items) if "script" in item.seen.text)
        browser.press(*["left"] * 5, *["right"] * hostile)
        assert "</script><img src=x" in browser.text("#sentence")
        assert "</script><img src=x" in browser.text("mark")
        assert browser.run("return document.images.length") == 0
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        assert browser.log() == []
