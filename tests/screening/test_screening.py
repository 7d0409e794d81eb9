"""Screening: what is cleared is what lies above a threshold that other patients chose, and nothing else."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.errors import ConfigError, DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.run import evaluate
from offclip.evaluation.scores_run import evaluate_scores
from offclip.evaluation.settings import make_settings
from offclip.models.checkpoint import load_model, save_model
from offclip.screening import (
    CLEARED,
    NOT_CLEARED,
    UNREADABLE,
    Screening,
    read_triage_point,
    screen_images,
    screen_table,
)
from offclip.zeroshot.ensemble import PromptSet
from offclip.zeroshot.prompts import NORMAL_PROMPTS

FINDINGS = ("Edema", "Mass")
FILES = {"scores.csv", "skipped.csv", "triage.csv", "screening.json"}


def settings(unit=None, fuse=None):
    return make_settings(
        None,
        unit=unit,
        fuse=fuse,
        prevalence=None,
        calibration="platt",
        resamples=100,
        seed=0,
        command="",
    )


def triaged(found: Screening) -> dict[str, str]:
    """From id to what was said of it."""
    assert found.triage is not None
    return dict(zip(found.triage[:, 0], found.triage["triage"], strict=True))


def tables(folder: Path, n: int = 3000, seed: int = 0, prefix: str = "") -> tuple[Path, Path]:
    """Scores with a strong signal, two images a study; two thirds of the patients validate."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.random((n // 2, 2)) < (0.3, 0.2), 2, axis=0)
    normal = ~truth.any(axis=1)
    ids = [f"{prefix}i{i}" for i in range(n)]
    scores = {name: 3.0 * truth[:, c] + rng.normal(size=n) for c, name in enumerate(FINDINGS)}
    scores = {"image_id": ids, "normal": 3.0 * normal + rng.normal(size=n)} | scores
    labels = {
        "image_id": ids,
        "study_id": [f"{prefix}s{i // 2}" for i in range(n)],
        "patient_id": [f"{prefix}p{i // 2}" for i in range(n)],
        "split": ["validate" if i // 2 % 3 else "test" for i in range(n)],
    } | {name: truth[:, c].astype(int) for c, name in enumerate(FINDINGS)}
    pl.DataFrame(scores).write_csv(folder / f"{prefix}scores.csv")
    pl.DataFrame(labels).write_csv(folder / f"{prefix}labels.csv")
    return folder / f"{prefix}scores.csv", folder / f"{prefix}labels.csv"


@pytest.fixture(scope="module")
def chosen(tmp_path_factory) -> Path:
    """An evaluation of a table with some 400 abnormal cases in the reported split."""
    folder = tmp_path_factory.mktemp("chosen")
    evaluate_scores(*tables(folder), folder / "results", settings())
    return folder / "results"


@pytest.fixture(scope="module")
def of_model(phantom, finished_run, tmp_path_factory) -> Path:
    """An evaluation of the small model of the tests."""
    out = tmp_path_factory.mktemp("model") / "results"
    evaluate(finished_run, phantom, out, settings=settings(), pages=False)
    return out


def films(phantom: Path, folder: Path, n: int = 6) -> Path:
    """Films of the phantom's test split, and two files that are none."""
    table = pl.read_csv(phantom / "reports.csv")
    paths = [phantom / path for path in table.filter(pl.col("split") == "test")["image_path"]][:n]
    folder.mkdir()
    for path in paths:
        shutil.copy(path, folder / path.name)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "note.txt").write_text("a report")
    return folder


def test_what_lies_above_the_threshold_is_cleared_and_nothing_else(chosen, tmp_path):
    results = json.loads((chosen / "results.json").read_text())
    point = read_triage_point(chosen)
    told = [rule for rule in results["normal"]["rule_out"] if rule["claim"] != "refused"]
    assert point.sensitivity == max(rule["sensitivity"] for rule in told) == 0.99
    assert point.threshold == told[-1]["threshold"]
    validation = Cases.read(chosen / "validation.parquet")
    kept = validation.normal_scores["normal"][validation.normal == 0] <= point.threshold
    assert 0.99 <= kept.mean() < 0.995
    new, labels = tables(tmp_path, n=2000, seed=5, prefix="new-")
    found = screen_table(new, tmp_path / "out", point=point)
    scores, truth = pl.read_csv(new), pl.read_csv(labels)
    expected = np.where(scores["normal"] > point.threshold, CLEARED, NOT_CLEARED)
    triage = pl.read_csv(tmp_path / "out" / "triage.csv")
    assert triage["image_id"].to_list() == scores["image_id"].to_list()
    assert triage["triage"].to_list() == expected.tolist()
    assert np.allclose(triage["normal_score"], scores["normal"])
    # On patients that nobody has seen the threshold keeps about what it was fitted to keep.
    abnormal = (truth["Edema"] + truth["Mass"] > 0).to_numpy()
    assert abs((expected[abnormal] == NOT_CLEARED).mean() - point.sensitivity) < 0.02
    assert (expected[~abnormal] == CLEARED).mean() > 0.5
    edema, mass = (results["per_class"][name]["operating_point"]["threshold"] for name in FINDINGS)
    for row in (0, 1, 2, 3, 4):
        above = [n for n, t in (("Edema", edema), ("Mass", mass)) if scores[n][row] >= t]
        assert (triage["findings"][row] or "") == "; ".join(above)
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES
    assert found.document["triage"][CLEARED] == int((expected == CLEARED).sum())
    assert (
        "not a medical device"
        in json.loads((tmp_path / "out" / "screening.json").read_text())["intended_use"].lower()
    )
    again = evaluate_scores(tmp_path / "out" / "scores.csv", labels, None, settings(), split="all")
    assert len(again.cases) == 2000  # the scores come back as a table made anywhere


def test_images_without_scores_are_never_cleared(chosen, tmp_path):
    path, _ = tables(tmp_path, n=40, seed=1)
    table = pl.read_csv(path).with_columns(normal=pl.lit(99.0) + pl.int_range(40) / 100)
    changed = table.with_columns(
        pl.when(pl.col("image_id") == "i3").then(None).otherwise(pl.col("Mass")).alias("Mass"),
        pl.when(pl.col("image_id") == "i7").then(float("inf")).otherwise(pl.col("normal")).alias("normal"),
    )
    changed.write_csv(path)
    found = screen_table(path, tmp_path / "out", point=read_triage_point(chosen, 0.95))
    triage = triaged(found)
    assert {i for i, value in triage.items() if value == UNREADABLE} == {"i3", "i7"}
    assert set(triage.values()) == {CLEARED, UNREADABLE}
    assert len(triage) == 40
    assert [entry.id for entry in found.skipped] == ["i3", "i7"]
    assert pl.read_csv(tmp_path / "out" / "skipped.csv")["id"].to_list() == ["i3", "i7"]


def test_without_an_operating_point_there_are_scores_and_no_triage(chosen, tmp_path):
    path, _ = tables(tmp_path, n=40)
    screen_table(path, tmp_path / "out", point=read_triage_point(chosen))
    found = screen_table(path, tmp_path / "out")
    assert found.triage is None
    assert not (tmp_path / "out" / "triage.csv").exists()  # that of the first call no longer holds
    assert pl.read_csv(tmp_path / "out" / "scores.csv").columns == ["image_id", "normal", *FINDINGS]


def test_studies_are_cleared_where_studies_were_evaluated(tmp_path):
    scores, labels = tables(tmp_path)
    evaluate_scores(scores, labels, tmp_path / "results", settings(unit="study", fuse="max"))
    point = read_triage_point(tmp_path / "results")
    new, _ = tables(tmp_path, n=40, seed=3, prefix="new-")
    with pytest.raises(DataError, match="study_id"):
        screen_table(new, tmp_path / "out", point=point)
    table = pl.read_csv(new).with_columns(study_id=pl.format("s{}", pl.int_range(40) // 2))
    table = table.with_columns(normal=pl.when(pl.int_range(40) == 9).then(None).otherwise(pl.col("normal")))
    table.write_csv(new)
    found = screen_table(new, tmp_path / "out", point=point)
    lowest = table.group_by("study_id", maintain_order=True).agg(pl.col("normal").min())
    expected = {
        study: UNREADABLE if study == "s4" else CLEARED if score > point.threshold else NOT_CLEARED
        for study, score in lowest.iter_rows()
    }
    assert triaged(found) == expected
    assert {CLEARED, NOT_CLEARED} < set(expected.values())


@pytest.mark.parametrize("origin", ["nested cross-validation", "the test set itself (optimistic)"])
def test_thresholds_that_were_not_chosen_on_validation_are_refused(chosen, tmp_path, origin):
    copied = Path(shutil.copytree(chosen, tmp_path / "results"))
    results = json.loads((copied / "results.json").read_text())
    for rule in results["normal"]["rule_out"]:
        rule["from"] = origin
    (copied / "results.json").write_text(json.dumps(results))
    with pytest.raises(ConfigError, match="from the cases that it reports on"):
        read_triage_point(copied, 0.95)


def test_an_evaluation_without_a_validate_split_is_refused(tmp_path):
    scores, labels = tables(tmp_path, n=600)
    evaluate_scores(scores, labels, tmp_path / "results", settings(), split="all")
    with pytest.raises(ConfigError, match="nested cross-validation"):
        read_triage_point(tmp_path / "results")


def test_a_sensitivity_that_few_cases_cannot_support_must_be_named(tmp_path):
    scores, labels = tables(tmp_path, n=60)
    evaluate_scores(scores, labels, tmp_path / "results", settings())
    with pytest.raises(ConfigError, match="too few abnormal cases") as refused:
        read_triage_point(tmp_path / "results")
    assert "0.95" in refused.value.message
    point = read_triage_point(tmp_path / "results", 0.95)
    assert point.sensitivity == 0.95
    assert point.claim.startswith(("refused", "not supported"))
    with pytest.raises(ConfigError, match=r"no operating point at 0\.9\."):
        read_triage_point(tmp_path / "results", 0.9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop("Mass"), "Missing: Mass"),
        (lambda t: t.drop("normal"), "Missing: normal"),
        (lambda t: t.rename({"Mass": "Nodule"}), "Missing: Mass. Unknown: Nodule"),
        (lambda t: t.with_columns(Nodule=1.0), "Unknown: Nodule"),
    ],
)
def test_other_columns_are_refused(chosen, tmp_path, change, message):
    path, _ = tables(tmp_path, n=40)
    change(pl.read_csv(path)).write_csv(path)
    with pytest.raises(DataError, match=message.replace(".", r"\.")):
        screen_table(path, tmp_path / "out", point=read_triage_point(chosen))


def test_another_spelling_of_a_column_is_not_another_column(chosen, tmp_path):
    path, _ = tables(tmp_path, n=40)
    point = read_triage_point(chosen)
    expected = triaged(screen_table(path, tmp_path / "one", point=point))
    table = pl.read_csv(path).rename({"Mass": "There is mass.", "Edema": "EDEMA"})
    table.select("image_id", "There is mass.", "EDEMA", "normal").write_csv(path)
    assert triaged(screen_table(path, tmp_path / "two", point=point)) == expected


def test_films_are_scored_as_the_evaluation_scored_them(of_model, phantom, finished_run, tmp_path):
    folder = films(phantom, tmp_path / "films")
    point = read_triage_point(of_model, 0.95)
    found = screen_images(finished_run, [folder], tmp_path / "out", point=point)
    evaluated = pl.read_csv(of_model / "scores.csv")
    scores = pl.read_csv(tmp_path / "out" / "scores.csv")
    assert len(scores) == 6
    normal = evaluated.columns[1]
    assert normal == "There is no finding." == point.score
    for row in scores.iter_rows(named=True):
        (same,) = evaluated.filter(pl.col("image_id") == Path(row["image_id"]).stem).iter_rows(named=True)
        assert row[normal] == pytest.approx(same[normal], abs=1e-5)
        for finding in point.findings:
            prompt = f"There is {finding.replace('_', ' ').lower()}."
            assert row[finding] == pytest.approx(same[prompt], abs=1e-5)
    triage = triaged(found)
    assert {i for i, value in triage.items() if value == UNREADABLE} == {"broken.png", "note.txt"}
    for row in scores.iter_rows(named=True):
        expected = CLEARED if row[normal] > point.threshold else NOT_CLEARED
        assert triage[row["image_id"]] == expected
    reasons = dict(pl.read_csv(tmp_path / "out" / "triage.csv").select("image_id", "reason").iter_rows())
    assert reasons["note.txt"].startswith("not-an-image")
    assert not (tmp_path / "out" / "unfinished").exists()


def test_a_stopped_screening_goes_on(of_model, phantom, finished_run, tmp_path, monkeypatch):
    folder = films(phantom, tmp_path / "films")
    point = read_triage_point(of_model, 0.95)

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("offclip.screening.run.triage", stop)
        with pytest.raises(KeyboardInterrupt):
            screen_images(finished_run, [folder], tmp_path / "out", point=point)
    assert list((tmp_path / "out" / "unfinished").iterdir())
    with monkeypatch.context() as patched:
        patched.setattr("offclip.zeroshot.files.stream_squares", stop)  # no film is decoded again
        found = screen_images(finished_run, [folder], tmp_path / "out", point=point)
    assert len(triaged(found)) == 8


def test_another_model_is_refused(of_model, phantom, own_run, tmp_path):
    folder = films(phantom, tmp_path / "films")
    model = load_model(own_run)
    next(iter(model.parameters())).data.add_(1e-3)
    save_model(model, tmp_path / "other")
    with pytest.raises(ConfigError, match="sha256"):
        screen_images(tmp_path / "other", [folder], tmp_path / "out", point=read_triage_point(of_model, 0.95))


def test_other_prompts_are_refused(of_model, phantom, finished_run, tmp_path):
    folder, point = films(phantom, tmp_path / "films"), read_triage_point(of_model, 0.95)
    several = PromptSet.of(point.findings)
    fewer = PromptSet.of(point.findings, templates=("There is {finding}.",), normal=("All clear.",))
    for prompts in (several, fewer):
        with pytest.raises(ConfigError, match="other prompts"):
            screen_images(finished_run, [folder], tmp_path / "out", point=point, prompts=prompts)


def test_tables_and_models_do_not_take_each_others_thresholds(
    chosen, of_model, phantom, finished_run, tmp_path
):
    path, _ = tables(tmp_path, n=40)
    with pytest.raises(ConfigError, match="a table does not say who made it"):
        screen_table(path, tmp_path / "out", point=read_triage_point(of_model, 0.95))
    folder = films(phantom, tmp_path / "films")
    with pytest.raises(ConfigError, match="of which model it does not say"):
        screen_images(finished_run, [folder], tmp_path / "out", point=read_triage_point(chosen))


def test_prompts_of_ones_own_without_an_operating_point(phantom, finished_run, tmp_path):
    folder = films(phantom, tmp_path / "films", n=2)
    asked = PromptSet(
        {"normal": ("The lungs are clear.",), "edema": ("There is edema.", "Edema is present.")}
    )
    found = screen_images(finished_run, [folder], tmp_path / "out", prompts=asked)
    assert pl.read_csv(tmp_path / "out" / "scores.csv").columns == [
        "image_id",
        "The lungs are clear.",
        "edema",
    ]
    assert len(found.cases) == 2
    screen_images(finished_run, [folder], tmp_path / "normal")
    assert pl.read_csv(tmp_path / "normal" / "scores.csv").columns == ["image_id", *NORMAL_PROMPTS]
    with pytest.raises(DataError, match=r"one id, broken\.png"):
        screen_images(finished_run, [folder / "broken.png", folder], tmp_path / "out", prompts=asked)


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


def test_the_command_says_what_it_cleared_and_what_for(chosen, tmp_path, capsys):
    path, _ = tables(tmp_path, n=40)
    out = tmp_path / "out"
    assert offclip("screen", "--scores", path, "--operating-point", chosen, "--out", out) == 0
    printed = capsys.readouterr().out
    cleared = (pl.read_csv(out / "triage.csv")["triage"] == CLEARED).sum()
    assert f"{cleared} cleared" in printed
    assert "validation patients" in printed
    assert "Not a medical device" in printed
    assert offclip("screen", "--scores", path, "--out", out) == 0
    assert "nothing is cleared" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("screen",), "Nothing to screen"),
        (("screen", "runs/first"), "Nothing to screen"),
        (("screen", "runs/first", "film.png", "--scores", "s.csv"), "Scores need neither"),
        (("screen", "--scores", "s.csv", "--sensitivity", "0.95"), "without --operating-point"),
        (("screen", "--scores", "s.csv", "--operating-point", "nowhere"), "no such file"),
    ],
)
def test_the_command_refuses_what_says_nothing(arguments, message, capsys):
    assert offclip(*arguments) == 2
    assert message in capsys.readouterr().err
