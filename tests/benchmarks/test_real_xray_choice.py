"""Recipes are chosen on the validate split, by the mean of two measures over two methods."""

import polars as pl
from xray_modules import load

runs, towers = load("real_xray_runs"), load("real_xray_towers")


def test_the_better_recipe_of_the_validate_split_is_taken(monkeypatch, tmp_path):
    measured = {"a": [(0.9, 0.3), (0.5, 0.5)], "b": [(0.6, 0.6), (0.6, 0.6)], "c": [(0.6, 0.6), (0.6, 0.6)]}
    asked = []

    def ablation(data, jobs, results, *, split, **_):
        asked.append((split, [(job.config.seed, job.variant.name) for job in jobs]))
        worst, abnormal = zip(*measured[results.stem], strict=True)
        return pl.DataFrame({"worst_prompt_normal_auc": worst, "abnormal_auc": abnormal})

    monkeypatch.setattr(runs, "run_ablation", ablation)
    recipes = dict.fromkeys("abc", runs.scratch_recipes()["epochs20"])
    assert runs.choose(tmp_path, tmp_path, recipes, 1, lambda text: None) == "b"
    assert asked == [("validate", [(0, "InfoNCE"), (0, "OFF-CLIP")])] * 3
    assert pl.read_csv(tmp_path / "recipes.csv")["criterion"].round(6).to_list() == [0.55, 0.6, 0.6]


def test_a_run_that_chose_is_one_of_the_results(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(
        runs,
        "run_ablation",
        lambda data, jobs, *_, **__: seen.extend(jobs) or pl.DataFrame({"x": [0] * len(jobs)}),
    )
    monkeypatch.setattr(runs, "by_view", lambda data, evaluation: {"views": 1.0})
    recipe = ("last-2", towers.PAIR_RECIPES["last-2"])
    table, jobs = runs.run_protocol(tmp_path, tmp_path, recipe, range(2), 1, print, towers.VARIANTS)
    assert len(table) == len(jobs) == 4
    assert jobs[0].run == tmp_path / "last-2" / "runs" / "infonce-nofilter-seed0"
    assert {job.config.image_layers for job in jobs} == {"last-2"}
    assert seen == jobs
