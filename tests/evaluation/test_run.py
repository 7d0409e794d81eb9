"""A whole evaluation: files, joins, and refusals."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

from offclip.data.loader import ImageRef, load_pixels
from offclip.data.sampling import make_pairs
from offclip.errors import CheckpointError, DataError
from offclip.evaluation import COLUMNS, evaluate, run
from offclip.evaluation.cases import Cases
from offclip.evaluation.early import early_metrics
from offclip.evaluation.overlays import ModelMaps
from offclip.grounding.regions import Box
from offclip.zeroshot import files
from offclip.zeroshot.ensemble import PromptSet


def test_it_measures_everything_and_writes_it(finished_run, phantom, tmp_path):
    seen = []
    result = evaluate(finished_run, phantom, tmp_path / "out", on_progress=lambda *at: seen.append(at))
    row = result.row()
    assert tuple(row) == COLUMNS
    assert all(value is not None for value in row.values())
    assert {what for what, *_ in seen} >= {"scoring test", "scoring validate", "pointing", "calibrating"}
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["metrics"] == row
    assert written["run"]["split"] == "test"
    scores = pl.read_csv(tmp_path / "out" / "scores.csv")
    reports = pl.read_csv(phantom / "reports.csv").filter(pl.col("split") == "test")
    assert scores["image_id"].to_list() == reports["image_id"].to_list()
    labels = pl.read_csv(phantom / "labels.csv")
    boxes = pl.read_csv(phantom / "boxes.csv")
    pointing = pl.read_csv(tmp_path / "out" / "pointing.csv")
    expected = boxes.join(reports, on="image_id", how="semi").select("image_id", "finding").unique()
    assert len(pointing) == len(expected)
    # The mean over findings, each finding counting alike.
    by_finding = pointing.group_by("finding").agg(pl.col("hit").mean())
    assert row["pointing_accuracy"] == pytest.approx(by_finding["hit"].mean())
    tested = labels.join(scores, on="image_id", how="semi")
    missing = [finding for finding in labels.columns[2:] if tested[finding].sum() == 0]
    assert list(result.classification.left_out) == missing


def test_the_order_of_rows_changes_nothing(finished_run, phantom, own_phantom):
    for name in ("labels.csv", "boxes.csv"):
        table = pl.read_csv(own_phantom / name, infer_schema=False)
        table.sample(fraction=1.0, shuffle=True, seed=1).write_csv(own_phantom / name)
    one, other = evaluate(finished_run, phantom), evaluate(finished_run, own_phantom)
    assert one.row() == pytest.approx(other.row(), abs=1e-12)
    assert one.classification.auc_by_finding == other.classification.auc_by_finding


def test_unreadable_images_have_no_score_and_are_listed(finished_run, own_phantom, tmp_path):
    reports = pl.read_csv(own_phantom / "reports.csv").filter(pl.col("split") == "test")
    gone = reports["image_id"][0]
    (own_phantom / "images" / f"{gone}.png").write_bytes(b"")
    result = evaluate(finished_run, own_phantom, tmp_path / "out")
    assert gone not in result.scores.image_ids
    assert len(result.scores.image_ids) == len(reports) - 1
    skipped = pl.read_csv(tmp_path / "out" / "skipped.csv")
    assert skipped["id"].to_list() == [gone]
    assert "0 bytes" in skipped["reason"][0]


def test_an_empty_or_unknown_split_names_the_filled_ones(finished_run, phantom):
    with pytest.raises(DataError, match="no labelled image in the split 'holdout'") as caught:
        evaluate(finished_run, phantom, split="holdout")
    assert all(split in caught.value.remedy for split in ("train", "validate", "test"))


def test_only_normals_is_refused(finished_run, own_phantom):
    labels = pl.read_csv(own_phantom / "labels.csv")
    findings = labels.columns[2:]
    labels.with_columns(pl.lit(1).alias("normal"), *(pl.lit(0).alias(f) for f in findings)).write_csv(
        own_phantom / "labels.csv"
    )
    with pytest.raises(DataError, match="28 normal and 0 abnormal images"):
        evaluate(finished_run, own_phantom)


def test_a_split_that_sets_its_own_thresholds_does_not_exist(finished_run, phantom):
    row = evaluate(finished_run, phantom, split="validate").row()
    assert row["fpr_at_95_sensitivity"] is None
    assert row["false_findings_per_normal"] is None
    assert row["normal_auc"] is not None


def test_without_boxes_pointing_is_not_measurable(finished_run, own_phantom):
    (own_phantom / "boxes.csv").unlink()
    row = evaluate(finished_run, own_phantom).row()
    assert row["pointing_accuracy"] is None
    assert row["pointing_chance"] is None


def test_a_full_disk_leaves_no_results_that_look_whole(finished_run, phantom, tmp_path, full_disk):
    full_disk("skipped.csv")
    with pytest.raises(DataError, match="the disk is full"):
        evaluate(finished_run, phantom, tmp_path / "out")
    assert not (tmp_path / "out" / "results.json").exists()


def test_no_model(phantom, tmp_path):
    with pytest.raises(CheckpointError, match="no model here"):
        evaluate(tmp_path / "none", phantom)


def test_early_metrics_leave_uncertain_studies_out(tiny_model, studies):
    chosen = studies.head(20).with_columns(
        label=pl.when(pl.int_range(20) < 4).then(pl.lit("uncertain")).otherwise("label")
    )
    images = [ImageRef(i["image_id"], Path(i["path"])) for row in chosen["images"] for i in row]
    store, _ = load_pixels(images, tiny_model().preprocess)
    pairs = make_pairs(chosen, store, filter_sentences=False)
    rest = make_pairs(chosen.tail(16), store, filter_sentences=False)
    assert early_metrics(tiny_model(), store, pairs) == early_metrics(tiny_model(), store, rest)
    normals = make_pairs(chosen.filter(pl.col("label") == "normal"), store, filter_sentences=False)
    assert early_metrics(tiny_model(), store, normals) == {}


def test_a_stopped_scoring_goes_on_and_leaves_nothing_behind(finished_run, phantom, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def stop(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run, "evaluate_cases", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate(finished_run, phantom, out)
    assert len(list((out / "unfinished").iterdir())) == 2  # a part of test, and one of validate
    with monkeypatch.context() as patched:
        patched.setattr(files, "_score", stop)  # everything was scored before the stop
        again = evaluate(finished_run, phantom, out)
    assert not (out / "unfinished").exists()
    assert again.row() == evaluate(finished_run, phantom).row()


def test_prompts_of_a_user_and_everything_that_can_be_asked(finished_run, phantom, tmp_path):
    asked = PromptSet.of([], templates=["{finding} is present."], normal=["Normal chest.", "Clear lungs."])
    out = tmp_path / "out"
    result = evaluate(finished_run, phantom, out, prompts=asked, negation=True, grounding=True)
    written = json.loads((out / "results.json").read_text())
    assert result.classification is None
    assert written["normal"]["score"] == "Normal chest."
    assert written["metrics"]["normal_auc"] is None
    assert 0 <= written["negation"]["macro"]["value"] <= 1
    assert 0 <= written["grounding"]["similarity"]["hit"]["value"] <= 1
    assert {entry["prompt"] for entry in written["prompts"]} <= set(asked.texts) | set(result.scores.prompts)
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg") > 20  # films, and heat maps over them
    assert "Synthetic data" in page
    assert not re.search(r"(src|href)=.https?:|url\(.?https?:", page)  # it opens offline


def test_lateral_films_count_where_they_are_asked_for(finished_run, own_phantom):
    reports = pl.read_csv(own_phantom / "reports.csv", infer_schema=False)
    (own_phantom / "studies.parquet").unlink()
    lateral = reports.filter(pl.col("split") == "test")["image_id"][0]
    reports.with_columns(
        view=pl.when(pl.col("image_id") == lateral).then(pl.lit("lateral")).otherwise("view")
    ).write_csv(own_phantom / "reports.csv")
    assert lateral not in evaluate(finished_run, own_phantom).scores.image_ids
    assert lateral in evaluate(finished_run, own_phantom, lateral=True).scores.image_ids


def test_a_film_that_vanished_since_costs_its_heat_map_only(finished_run, phantom, tiny_model):
    cases = Cases.of(["a", "b"], ["edema", "mass"], [[1.0, 2], [3, 0]], [[1, 1], [0, 0]])
    film = next((phantom / "images").iterdir())
    prompts = {"edema": ["There is edema."], "mass": ["There is a mass."]}
    boxes = {"a": [Box("Edema", 1, 2, 3, 4)]}
    maps = ModelMaps(tiny_model(), cases, {"a": film, "b": Path("gone.png")}, prompts, boxes)
    assert [m.finding for m in maps["a"]] == ["edema", "mass"]
    assert [len(m.boxes) for m in maps["a"]] == [1, 0]
    assert maps["a"][0].heat.shape == (32, 32)
    assert maps["b"] == ()
    assert maps.get("c", ()) == ()
