"""The ablation: it resumes, a failure costs one job only, and the table has its columns."""

import dataclasses
import json

import polars as pl
import pytest

from offclip.errors import CheckpointError, OffclipError
from offclip.evaluation import COLUMNS, ablation
from offclip.evaluation.ablation import (
    ABLATION,
    ablation_jobs,
    run_ablation,
    run_job,
    summarise,
    write_results,
)

HEADER = (
    "objective,filter,seed,normal_auc,worst_prompt_normal_auc,neg_max_finding_auc,abnormal_auc,"
    "abnormal_auc_among_abnormals,fpr_at_95_sensitivity,false_findings_per_normal,pointing_accuracy,"
    "pointing_chance"
)


@pytest.fixture
def jobs(recipe, tmp_path):
    return ablation_jobs(tmp_path, recipe(epochs=1, batch_size=40), range(2), ABLATION[:2])


def fake_results(job, value: float | None):
    job.evaluation.mkdir(parents=True)
    metrics = dict.fromkeys(reversed(COLUMNS), value)  # another order must not matter
    metrics["normal_auc"] = 0.25
    (job.evaluation / "results.json").write_text(json.dumps({"metrics": metrics}))


def test_jobs_are_whole_seeds_with_folders_of_their_own(jobs):
    assert [job.config.seed for job in jobs] == [0, 0, 1, 1]
    assert [job.variant for job in jobs[:2]] == list(ABLATION[:2])
    assert len({job.run for job in jobs} | {job.evaluation for job in jobs}) == 8
    assert all(job.config.objective == job.variant.objective for job in jobs)
    assert all(job.config.filter_sentences == job.variant.filter_sentences for job in jobs)


def test_the_table_has_exactly_its_columns_and_a_row_an_evaluated_job(jobs, tmp_path):
    fake_results(jobs[1], 0.5)
    fake_results(jobs[2], None)
    table = write_results(jobs, tmp_path / "results.csv")
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[0] == HEADER
    assert lines[1:] == ["infonce,true,0,0.25" + ",0.5" * 8, "infonce,false,1,0.25" + "," * 8]
    assert table.columns == HEADER.split(",")
    summary = summarise(table)
    assert summary.select("objective", "filter", "abnormal_auc").rows() == [
        ("infonce", True, 0.5),
        ("infonce", False, None),
    ]
    assert summarise(pl.concat([table, table]))["normal_auc_sd"].to_list() == [0.0, 0.0]


def test_a_finished_job_is_not_run_again(phantom, jobs):
    assert run_job(phantom, jobs[0]) == 2
    results = jobs[0].evaluation / "results.json"
    stamps = results.stat().st_mtime_ns, (jobs[0].run / "model" / "card.json").stat().st_mtime_ns
    assert run_job(phantom, jobs[0]) == 0
    assert (results.stat().st_mtime_ns, (jobs[0].run / "model" / "card.json").stat().st_mtime_ns) == stamps


def test_results_of_another_recipe_are_never_passed_off_as_these(phantom, jobs):
    run_job(phantom, jobs[0])
    changed = dataclasses.replace(jobs[0], config=dataclasses.replace(jobs[0].config, epochs=2))
    with pytest.raises(CheckpointError, match="another run; different: epochs"):
        run_job(phantom, changed)


def test_an_evaluation_that_was_stopped_is_done_again_without_training(phantom, jobs, monkeypatch):
    run_job(phantom, jobs[0])
    (jobs[0].evaluation / "results.json").unlink()
    monkeypatch.setattr(ablation.StepReport, "__init__", None)  # a training step would fail
    run_job(phantom, jobs[0])
    assert (jobs[0].evaluation / "results.json").is_file()


@pytest.mark.slow
def test_a_failing_job_does_not_lose_the_others(phantom, jobs, tmp_path):
    jobs[1].run.mkdir(parents=True)
    (jobs[1].run / "foreign.txt").touch()
    seen = []
    with pytest.raises(OffclipError, match="holds no run"):
        run_ablation(phantom, jobs[:3], tmp_path / "results.csv", on_progress=lambda *at: seen.append(at))
    table = pl.read_csv(tmp_path / "results.csv")
    assert table["seed"].to_list() == [0, 1]
    assert table.columns == HEADER.split(",")
    (jobs[1].run / "foreign.txt").unlink()
    assert len(run_ablation(phantom, jobs[:3], tmp_path / "results.csv", workers=1)) == 3
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_failing_job_is_raised_after_the_others(phantom, jobs, tmp_path, monkeypatch):
    """The same with the pool replaced by this process, which is fast."""
    from concurrent.futures import Future

    class Here:
        def __init__(self, *_args, **_options):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, function, *arguments):
            future = Future()
            try:
                future.set_result(function(*arguments))
            except OffclipError as error:
                future.set_exception(error)
            return future

    monkeypatch.setattr(ablation, "ProcessPoolExecutor", Here)
    jobs[0].run.mkdir(parents=True)
    (jobs[0].run / "foreign.txt").touch()
    with pytest.raises(OffclipError, match="holds no run"):
        run_ablation(phantom, jobs[:2], tmp_path / "results.csv")
    assert pl.read_csv(tmp_path / "results.csv")["filter"].to_list() == [True]
