"""A model on a public set: from the publishers' tree to results with the hash of the protocol."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from official_trees import vindr
from PIL import Image

from offclip.errors import ConfigError, DataError
from offclip.evaluation import evaluate_protocol, evaluate_scores, load_protocol, make_settings
from offclip.evaluation.cases import Cases
from offclip.evaluation.protocol_cases import prompts_of, with_prompts
from offclip.evaluation.protocols.apply import restrict, with_normal_class
from offclip.evaluation.protocols.protocol import ClassRule, Protocol
from offclip.zeroshot.ensemble import PromptSet


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    rng = np.random.default_rng(0)
    names = ("Cardiomegaly", "Pleural effusion", "Clavicle fracture")

    def films(part: str, n: int):
        found = {}
        for i in range(n):
            present = {name for name in names if rng.random() < 0.25}
            found[f"{part}{i}"] = present or {"No finding"}
        return found

    root = vindr(tmp_path_factory.mktemp("vindr"), films("a", 60), films("b", 40))
    for part in ("test", "train"):
        for film in (root / part).iterdir():  # films of one value all score alike
            rng = np.random.default_rng(sum(film.name.encode()))
            pixels = rng.integers(0, 255, (24, 24), np.uint8)
            Image.fromarray(pixels).save(film, format="PNG")
    return root


def test_the_peers_way(finished_run, tree, tmp_path):
    protocol = load_protocol("vindr-cxr-peer")
    settings = make_settings(protocol, resamples=100)
    result = evaluate_protocol(finished_run, tree, tmp_path / "out", settings=settings)
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["protocol"]["hash"] == protocol.hash
    assert written["macro_auc"]["protocol_hash"] == protocol.hash
    # Films that show nothing but a finding that is not asked for are left out.
    assert 30 < len(result.evaluated.cases) < 60
    assert set(written["per_class"]) == {"Cardiomegaly", "Pleural effusion", "No finding"}
    assert written["macro_auc"]["classes"] == 3
    assert all(c["counts"] for c in written["per_class"].values())
    assert written["left_out"]["Edema"].startswith("no positive")
    assert written["normal"]["score"] == "There is no finding"
    assert written["normal"]["auc"]["value"] == written["per_class"]["No finding"]["auc"]["value"]
    origins = {c["operating_point"]["from"] for c in written["per_class"].values()}
    assert origins == {"the test set itself (optimistic)"}
    assert ((result.evaluated.cases.scores > 0) & (result.evaluated.cases.scores < 1)).all()
    scores = pl.read_csv(tmp_path / "out" / "scores.csv")
    assert "There is aortic enlargement" in scores.columns
    misses = pl.read_csv(tmp_path / "out" / "misses.csv")
    assert len(misses) > 0
    assert all(Path(path).is_file() for path in misses["path"])


def test_the_clean_way(finished_run, tree, tmp_path):
    settings = make_settings(load_protocol("vindr-cxr-clean"), resamples=100)
    result = evaluate_protocol(finished_run, tree, settings=settings)
    document = result.evaluated.document
    assert len(result.evaluated.cases) == 60
    assert document["run"]["validation_cases"] == 40
    assert "Clavicle fracture" in document["per_class"]
    assert not document["per_class"]["No finding"]["counts"]
    assert document["per_class"]["Cardiomegaly"]["operating_point"]["from"] == "validation"
    assert document["normal"]["worst_prompt"] is not None


def test_other_prompts_are_another_protocol(finished_run, tree):
    protocol = load_protocol("vindr-cxr-peer")
    asked = PromptSet.of([], templates=["{finding} is present."], normal=["Normal chest."])
    changed = with_prompts(protocol, asked)
    assert changed.hash != protocol.hash
    assert changed.classes[0].prompts == ("Aortic enlargement is present.",)
    assert prompts_of(changed).normal[0] == "Normal chest."
    result = evaluate_protocol(
        finished_run, tree, settings=make_settings(protocol, resamples=100), prompts=asked
    )
    assert result.evaluated.document["protocol"]["hash"] == changed.hash
    assert result.evaluated.document["normal"]["score"] == "Normal chest."


def test_an_empty_root_is_named(finished_run, tmp_path):
    with pytest.raises(DataError, match=r"image_labels_test\.csv"):
        evaluate_protocol(finished_run, tmp_path, settings=make_settings(load_protocol("vindr-cxr-peer")))


def _cases(findings, n=6, **options) -> Cases:
    rng = np.random.default_rng(0)
    ids = [f"i{k}" for k in range(n)]
    truth = np.arange(n * len(findings)).reshape(n, -1) % 3 == 0
    return Cases.of(ids, findings, rng.normal(size=truth.shape), truth, **options)


def test_classes_are_taken_in_the_order_of_the_protocol_and_in_any_spelling():
    protocol = Protocol("p", "P", classes=(ClassRule("Mass", ("m",)), ClassRule("Lung Opacity", ("o",))))
    cases = _cases(["lung_opacity", "edema", "mass"])
    found = restrict(protocol, cases)
    assert found.findings == ("Mass", "Lung Opacity")
    assert np.array_equal(found.scores, cases.scores[:, [2, 0]])
    with pytest.raises(ConfigError, match="no scores and labels for: Lung Opacity"):
        restrict(protocol, _cases(["mass", "edema"]))


def test_the_normal_class_counts_where_the_protocol_has_it():
    rules = (ClassRule("Mass", ("m",)), ClassRule("No finding", ("n",), normal=True))
    protocol = Protocol("p", "P", classes=rules, exclude=("no-class-present",))
    cases = _cases(["Mass"], normal_scores={"n": np.arange(6.0)}, normal=[0, 1, 0, 0, 1, 1])
    kept = restrict(protocol, cases)
    assert kept.ids == ("i0", "i1", "i3", "i4", "i5")  # i2 has neither
    whole = with_normal_class(protocol, kept)
    assert whole.findings == ("Mass", "No finding")
    assert whole.truth[:, 1].tolist() == [0, 1, 0, 1, 1]
    assert whole.scores[:, 1].tolist() == [0, 1, 3, 4, 5]
    with pytest.raises(ConfigError, match="No finding"):
        restrict(protocol, _cases(["Mass"]))


def test_scores_made_anywhere_under_a_protocol(tmp_path):
    rng = np.random.default_rng(1)
    protocol = load_protocol("chexpert-5-clean")
    names = [rule.name for rule in protocol.classes if not rule.normal]
    truth = rng.random((80, len(names))) < 0.4
    ids = {"image_id": [f"i{k}" for k in range(80)], "study_id": [f"s{k // 2}" for k in range(80)]}
    columns = dict(zip(names, (truth + rng.normal(size=truth.shape)).T, strict=True))
    pl.DataFrame(ids | columns | {"No Finding": rng.normal(size=80)}).write_csv(tmp_path / "s.csv")
    pl.DataFrame(ids | {n: truth[:, i].astype(int) for i, n in enumerate(names)}).write_csv(
        tmp_path / "l.csv"
    )
    settings = make_settings(protocol, resamples=100)
    document = evaluate_scores(tmp_path / "s.csv", tmp_path / "l.csv", None, settings).document
    assert document["protocol"]["hash"] == protocol.hash
    assert list(document["per_class"])[: len(names)] == names
    assert document["run"]["unit"] == protocol.unit
