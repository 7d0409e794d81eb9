import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from xray_modules import DATA, load

lists, env, worker = load("labellers_lists"), load("labellers_env"), load("labellers_worker")
baselines, script = load("labellers_baselines"), load("labellers")

REPORTS = ("FINDINGS: No effusion.\nIMPRESSION: Clear", "FINDINGS: Large effusion", "IMPRESSION: Normal.")


def make_corpus():
    plain = tuple(script.without_hyphens(script.without_headings(report)) for report in REPORTS)
    sentences = ("No effusion.", "An effusion.")
    return script.Corpus(
        (1, 2, 3),
        REPORTS,
        plain,
        (False, True, True),
        sentences,
        sentences,
        ("normal", "abnormal"),
        ("x", "y"),
    )


def test_packages_get_plain_text() -> None:
    assert make_corpus().plain == ("No effusion. Clear.", "Large effusion.", "Normal.")


def test_own_lexicon_is_written_out_whatever_is_denied() -> None:
    words = lists.own_lexicon(["No air space opacities, no change.", "Nodules; the gas pattern."], weak=False)
    assert {"air space opacities", "nodules"} <= set(words.findings)
    assert "gas pattern" in words.neutral
    assert set(words.findings) <= set(
        lists.own_lexicon(["Air space opacities. Nodules."], weak=True).findings
    )


def test_cells_by_hand() -> None:
    corpus = make_corpus()
    row = script.Row("m", "", ("normal", "abnormal", "uncertain"), ("normal", "normal"), 12.0)
    assert script.document_cells(corpus, row) == [".667", "1.000", ".500", ".500", "1.000"]
    assert script.sentence_cells(corpus, row) == ["1.000", ".000"]


def test_what_it_was_trained_on_is_not_measured() -> None:
    row = script.Row("m", "", ("normal", None, "normal"))
    assert script.document_cells(make_corpus(), row) == ["-", "-", ".500", ".000", "1.000"]


def test_a_package_that_fails_becomes_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(package: str, folder: Path) -> Path:
        raise env.PackageError("not installed (no wheel)", "Nothing.")

    monkeypatch.setattr(script, "install", fail)
    corpus = make_corpus()
    rows = list(script.package_rows("negspacy", corpus, [lists.CHEXPERT_STYLE], tmp_path))
    assert [row.note for row in rows] == ["not installed (no wheel)"]
    shown = script.tables(corpus, rows)
    assert "| negspacy |  | - | - | - | - | - | - |" in shown
    assert "- negspacy: not installed (no wheel)" in shown


def test_the_reason_of_a_failed_install_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "INSTALLS", {"p": (("nothing",),)})
    monkeypatch.setattr(env.venv, "create", lambda home, **_: home.mkdir())
    failing = "import sys; sys.exit('WARNING: a\\nERROR: No matching distribution\\nnotice')"
    call = env._call
    monkeypatch.setattr(env, "_call", lambda command, what: call([sys.executable, "-c", failing], what))
    with pytest.raises(env.PackageError, match=r"not installed on Python .*\(ERROR: No matching"):
        env.install("p", tmp_path)
    assert not (tmp_path / "p" / "installed.json").exists()


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(env, "INSTALLS", {"p": (("a", "b"), ("c",))})
    monkeypatch.setattr(env.venv, "create", lambda home, **_: home.mkdir(exist_ok=True))
    monkeypatch.setattr(env, "_call", lambda command, what: calls.append(command[-1]))
    assert env.install("p", tmp_path) == env.install("p", tmp_path)
    assert calls == ["b", "c"]
    monkeypatch.setattr(env, "INSTALLS", {"p": (("d",),)})
    env.install("p", tmp_path)  # other versions are wanted now
    assert calls == ["b", "c", "d"]


@pytest.mark.parametrize("fails", [False, True])
def test_texts_do_not_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    stand_in = tmp_path / "stand_in.py"
    stand_in.write_text(
        "import json, sys\n"
        "job = json.load(open(sys.argv[1]))\n"
        f"assert not {fails}\n"
        "found = [any(f in t.lower() for f in job['findings']) for t in job['reports']]\n"
        "answer = {'reports': found, 'sentences': [], 'seconds': 1.5, 'versions': {}}\n"
        "json.dump(answer, open(sys.argv[2], 'w'))\n"
    )
    monkeypatch.setattr(env, "WORKER", stand_in)
    arguments = (
        "negspacy",
        Path(sys.executable),
        lists.CHEXPERT_STYLE,
        ["An effusion.", "Clear."],
        [],
        tmp_path,
    )
    if fails:
        with pytest.raises(env.PackageError, match="does not run"):
            env.ask(*arguments)
    else:
        assert env.ask(*arguments).reports == [True, False]
    assert [path.name for path in tmp_path.iterdir()] == ["stand_in.py"]


@pytest.mark.parametrize(("package", "states"), [("negspacy", {"negex": False}), ("medspacy", {})])
def test_what_counts_as_present(package: str, states: dict[str, bool]) -> None:
    known = dict.fromkeys(("is_negated", "is_hypothetical", "is_family", "is_uncertain", "negex"), False)
    present = worker.is_present(package)
    assert present(SimpleNamespace(_=SimpleNamespace(**known | states)))
    assert present(SimpleNamespace(_=SimpleNamespace(**known | {"is_uncertain": True})))
    denied = "negex" if package == "negspacy" else "is_negated"
    assert not present(SimpleNamespace(_=SimpleNamespace(**known | {denied: True})))


def test_simple_rows() -> None:
    assert baselines.keyword()("No pneumothorax.")
    assert not baselines.keyword()("The lungs are clear.")
    assert not baselines.not_called_normal("There is no evidence of active disease.")
    predict = baselines.fit_tfidf(["large effusion", "clear lungs"] * 20, [True, False] * 20)
    assert predict(["effusion", "lungs clear"]) == [True, False]


def test_missing_data_is_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["labellers.py", "--data", str(tmp_path), "--env", str(tmp_path / "env")])
    assert script.main() == 2
    assert "is not there" in capsys.readouterr().err
    assert not (tmp_path / "env").exists()


def test_the_corpus_is_that_of_the_method() -> None:
    if not (DATA / script.REPORTS).is_file():
        pytest.skip(f"{DATA} is not there")
    corpus = script.read_corpus(DATA)
    assert len(corpus.uids) == 3826
    assert len(corpus.sentences) == 642
    assert set(corpus.labels) == {"normal", "abnormal"}
    assert json.dumps(corpus.plain)  # no half characters, which the worker could not be told
