"""The pointing game on a public set."""

from __future__ import annotations

import json

import polars as pl
import pytest
from official_trees import vindr

from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.errors import ConfigError
from offclip.evaluation import load_protocol
from offclip.evaluation.grounding import ground_protocol
from offclip.evaluation.statistics.bootstrap import Resampling


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    films = {f"a{i}": {"Cardiomegaly"} if i % 2 else {"Pleural effusion"} for i in range(8)}
    films |= {f"n{i}": {"No finding"} for i in range(3)}
    return vindr(tmp_path_factory.mktemp("boxes"), films, {f"t{i}": {"Cardiomegaly"} for i in range(6)})


def test_films_with_boxes_are_measured(finished_run, tree, tmp_path):
    protocol = load_protocol("vindr-boxes-clean")
    result = ground_protocol(
        finished_run, tree, tmp_path, protocol=protocol, resampling=Resampling(resamples=50)
    )
    written = json.loads((tmp_path / "grounding.json").read_text())
    assert written["protocol"]["hash"] == protocol.hash
    assert set(written["hit"]) == set(result.methods)
    table = pl.read_csv(tmp_path / "grounding.csv").filter(pl.col("method") == "similarity")
    assert set(table["image_id"]) == {f"a{i}" for i in range(8)}
    assert set(table["finding"]) == {"Cardiomegaly", "Pleural effusion"}
    by_class = table.group_by("finding").agg(pl.col("hit").mean())["hit"].mean()
    assert written["hit"]["similarity"] == pytest.approx(by_class)


def test_the_command_takes_such_a_protocol_too(finished_run, tree, tmp_path, capsys):
    def offclip(*arguments: object) -> int:
        return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)

    asked = [finished_run, "--protocol", "vindr-boxes-clean", "--root", tree, "--resamples", 100]
    assert offclip("evaluate", *asked, "--out", tmp_path / "one") == 0
    assert offclip("ground", *asked, "--out", tmp_path / "two") == 0
    one, two = (json.loads((tmp_path / name / "grounding.json").read_text()) for name in ("one", "two"))
    assert one == two
    assert "pointing game: hit" in capsys.readouterr().out
    peer = [finished_run, "--protocol", "vindr-boxes-peer", "--root", tree]
    assert offclip("ground", *peer) == 2  # it is about CARZero's attention, which this model has not
    assert "no heat map 'attention'" in capsys.readouterr().err
    assert offclip("ground", finished_run, "--protocol", "vindr-boxes-peer") == 2
    assert "needs either --data, or --protocol with --root" in " ".join(capsys.readouterr().err.split())


def test_a_protocol_of_scores_is_refused(finished_run, tree):
    with pytest.raises(ConfigError, match="vindr-cxr-peer measures no heat maps"):
        ground_protocol(finished_run, tree, protocol=load_protocol("vindr-cxr-peer"))
