import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xray_modules import load

from offclip.data.study import STUDY_SCHEMA
from offclip.demo import DemoSettings, demo_jobs
from offclip.errors import ConfigError
from offclip.evaluation.ablation import BASELINE
from offclip.evaluation.run import COLUMNS
from offclip.reports import pair_label

flips, study = load("label_noise_flips"), load("label_noise")


def make_studies(*reports: str) -> pl.DataFrame:
    """One study a word; each letter is a sentence: n normal, a abnormal, u uncertain."""
    names = {"n": "normal", "a": "abnormal", "u": "uncertain"}
    rows = []
    for number, letters in enumerate(reports):
        labels = [names[letter] for letter in letters]
        sentences = [
            {"text": f"s{i}", "label": label, "reason": "made-up", "prompt": f"p{i}"}
            for i, label in enumerate(labels)
        ]
        rows.append(
            {
                "study_id": f"s{number}",
                "patient_id": f"p{number}",
                "split": "train",
                "images": [{"image_id": f"i{number}", "path": f"/{number}.png", "view": "PA"}],
                "report": "made up",
                "sentences": sentences,
                "label": pair_label(labels),  # type: ignore[arg-type]
            }
        )
    return pl.DataFrame(rows, schema=STUDY_SCHEMA)


def letters(studies: pl.DataFrame) -> list[str]:
    return ["".join(s["label"][0] for s in row) for row in studies["sentences"].to_list()]


def test_all_are_flipped_but_the_uncertain_and_pairs_follow() -> None:
    noisy = flips.flip_sentences(make_studies("nnu", "na", "u", "aa"), 1.0, seed=0)
    assert letters(noisy) == ["aau", "an", "u", "nn"]
    assert noisy["label"].to_list() == ["abnormal", "abnormal", "uncertain", "normal"]


def test_nothing_but_labels_changes() -> None:
    clean = make_studies("nnna", "nn")
    noisy = flips.flip_sentences(clean, 1.0, seed=0)
    assert noisy.drop("sentences", "label").equals(clean.drop("sentences", "label"))
    for before, after in zip(clean["sentences"].to_list(), noisy["sentences"].to_list(), strict=True):
        assert [{**s, "label": ""} for s in before] == [{**s, "label": ""} for s in after]


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 3))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_levels_are_nested(one: float, other: float, seed: int) -> None:
    clean = make_studies("nnnaaanu", "nnnn", "aaaa")
    few, many = (flips.flip_sentences(clean, share, seed) for share in sorted((one, other)))
    changed = [
        [a != b for a, b in zip("".join(letters(clean)), "".join(letters(noisy)), strict=True)]
        for noisy in (few, many)
    ]
    assert all(b for a, b in zip(*changed, strict=True) if a)
    assert flips.flip_sentences(clean, 0.0, seed).equals(clean)


def test_share_and_seed() -> None:
    clean = make_studies(*["nnnnnnnnna"] * 300)
    noisy = flips.flip_sentences(clean, 0.1, seed=1)
    assert flips.damage(clean, noisy).sentences == pytest.approx(0.1, abs=0.02)
    assert noisy.equals(flips.flip_sentences(clean, 0.1, seed=1))
    assert not noisy.equals(flips.flip_sentences(clean, 0.1, seed=2))
    with pytest.raises(ConfigError, match="no share"):
        flips.flip_sentences(clean, 5, seed=1)


def test_damage_by_hand() -> None:
    clean, noisy = make_studies("nn", "nn", "na", "an"), make_studies("an", "nn", "nn", "aa")
    found = flips.damage(clean, noisy)
    assert found.sentences == 3 / 8
    assert (found.normal_pairs, found.abnormal_pairs) == (1 / 2, 1 / 2)
    # Kept are "a" of the first study (wrong), both of the second, both of the third (one wrong) and both of
    # the fourth (one wrong).
    assert found.kept == 3 / 7
    assert found.abnormal_kept == 2 / 3


def test_plan_is_the_demonstration_at_level_zero(tmp_path: Path) -> None:
    size = DemoSettings(seeds=2)
    groups = study.plan(tmp_path, size, [0, 5])
    assert [(group.level, group.seed) for group in groups] == [(0, 0), (5, 0), (0, 1), (5, 1)]
    recipes = [job.config for group in groups if group.level == 0 for job in group.jobs]
    assert recipes == [job.config for job in demo_jobs(tmp_path, size)]
    assert all(BASELINE not in [job.variant for job in group.jobs] for group in groups if group.level)
    folders = [job.evaluation for group in groups for job in group.jobs]
    assert len(set(folders)) == len(folders) == 2 * (5 + 4)


def test_resumes_without_repeating(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def pretend(data, jobs, results, **_) -> None:
        for job in jobs:
            calls.append((data.name, job.variant.key))
            job.evaluation.mkdir(parents=True)
            metrics = dict.fromkeys(COLUMNS, 0.75)
            (job.evaluation / "results.json").write_text(json.dumps({"metrics": metrics}))

    monkeypatch.setattr(study, "run_ablation", pretend)
    command = ["label_noise.py", "--out", str(tmp_path), "--n", "20", "--seeds", "1", "--levels", "0"]
    monkeypatch.setattr("sys.argv", command)
    study.main()
    assert {folder for folder, _ in calls} == {"phantom"}
    assert len(calls) == 5
    monkeypatch.setattr("sys.argv", [*command, "20"])
    study.main()
    assert [folder for folder, _ in calls[5:]] == ["flips20-seed0"] * 4
    clean = study.read_studies(tmp_path / "phantom" / "studies.parquet")
    noisy = study.read_studies(tmp_path / "flips20-seed0" / "studies.parquet")
    assert noisy["images"].equals(clean["images"])  # drawn once
    for name in ("labels.csv", "boxes.csv"):  # what is scored against stays clean
        first, second = tmp_path / "phantom" / name, tmp_path / "flips20-seed0" / name
        assert first.read_bytes() == second.read_bytes()
    assert letters(noisy) != letters(clean)
    shown = capsys.readouterr().out.splitlines()
    assert len(pl.read_csv(tmp_path / "results.csv")) == 9
    assert "| OFF-CLIP | 20 % | 1 | .750 | .750 | .750 | .750 | .750 | .750 | .750 |" in shown
    assert sum(line.startswith("| InfoNCE | any | 1 |") for line in shown) == 2
