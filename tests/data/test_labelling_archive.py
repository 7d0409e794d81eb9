"""An archive becomes the study table: same bytes for any number of processes, and what the summary says."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from offclip.data import labelling
from offclip.data.exports import studies_from_export
from offclip.data.label_batch import ARROW_SCHEMA, NO_SENTENCE
from offclip.data.label_parts import parts_folder
from offclip.data.labelling import label_archive
from offclip.data.sources import FoundImage, FoundStudy, SourceOptions
from offclip.data.staging import Staged, stage
from offclip.data.study import STUDY_SCHEMA, read_studies, write_studies
from offclip.errors import ConfigError, DataError, OffclipError
from offclip.reports import Conventions, RuleLabeller
from offclip.reports.config import LabellingConfig

REPORTS = (
    "FINDINGS: The lungs are clear. IMPRESSION: Normal chest.",
    "FINDINGS: There is a left pleural effusion. No pneumothorax.",
    "IMPRESSION: Zibble quorm is as it was before.",
    "TECHNIQUE: PA and lateral views.",
)
ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "openi_reports" / "NLMCXR_reports.tgz"


@pytest.fixture
def table(tmp_path):
    def write(n=40, name="reports.csv", reports=REPORTS):
        rows = {
            "study_id": [f"{i:05d}" for i in range(n)],
            "patient_id": [f"p{i // 2:04d}" for i in range(n)],
            "report": [reports[i % len(reports)] for i in range(n)],
        }
        pl.DataFrame(rows).write_csv(tmp_path / name)
        return tmp_path / name

    return write


def test_the_arrow_schema_is_that_of_the_study_table():
    table = pl.from_arrow(ARROW_SCHEMA.empty_table())
    assert isinstance(table, pl.DataFrame)
    assert table.schema == STUDY_SCHEMA


def test_the_table_is_what_the_export_in_memory_gives(phantom, tmp_path):
    label_archive(phantom / "reports.csv", tmp_path / "studies.parquet", workers=1)
    studies, _ = studies_from_export(phantom / "reports.csv")
    assert read_studies(tmp_path / "studies.parquet").equals(studies)


def test_paths_inside_the_folder_are_relative_on_disk(own_phantom):
    label_archive(own_phantom / "reports.csv", own_phantom / "new.parquet", workers=1)
    write_studies(studies_from_export(own_phantom / "reports.csv")[0], own_phantom / "old.parquet")
    paths = [pl.read_parquet(own_phantom / f"{name}.parquet")["images"] for name in ("new", "old")]
    assert paths[0].to_list() == paths[1].to_list()
    assert paths[0][0][0]["path"].startswith("images/")


def test_any_number_of_processes_gives_the_same_bytes(table, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "BATCH", 7)
    monkeypatch.setattr(labelling, "ROW_GROUP", 15)
    path = table(90)
    summaries = [label_archive(path, tmp_path / str(n) / "s.parquet", workers=n) for n in (1, 2, 3)]
    written = [(tmp_path / str(n) / "s.parquet").read_bytes() for n in (1, 2, 3)]
    skipped = [(tmp_path / str(n) / "skipped.csv").read_bytes() for n in (1, 2, 3)]
    assert written[0] == written[1] == written[2]
    assert skipped[0] == skipped[1] == skipped[2]
    first, second, _ = (replace(s, out=path, skipped_file=path, seconds=0.0) for s in summaries)
    assert first == second
    assert pl.read_parquet(tmp_path / "2" / "s.parquet")["study_id"].is_sorted()
    assert sorted(p.name for p in (tmp_path / "2").iterdir()) == ["s.parquet", "skipped.csv"]
    assert not multiprocessing.active_children()


def test_the_summary_adds_up(table, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "BATCH", 7)
    summary = label_archive(table(40), tmp_path / "s.parquet", workers=1)
    studies = read_studies(tmp_path / "s.parquet")
    assert summary.studies == len(studies) == 30
    assert sum(summary.counts.values()) == 30
    for (split, label), count in summary.counts.items():
        assert len(studies.filter(split=split, label=label)) == count
    sentences = studies.explode("sentences").select("label", given=pl.col("sentences").struct.field("label"))
    assert summary.sentences == len(sentences)
    assert summary.dropped == len(sentences.filter(pl.col("label") != pl.col("given"))) == 10
    assert summary.undecided == (("Zibble quorm is as it was before.", 10),)
    assert summary.skipped == 10
    assert summary.first_skipped is not None
    assert summary.first_skipped.reason == NO_SENTENCE
    assert pl.read_csv(summary.skipped_file)["row"].to_list() == list(range(5, 42, 4))
    assert (summary.labelled, summary.resumed) == (40, 0)


def test_undecided_sentences_are_counted_in_bounded_memory(table, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "BATCH", 5)
    monkeypatch.setattr(labelling, "_REMEMBERED", 4)
    reports = [
        f"FINDINGS: Zibble quorm {i} is as it was before."
        if i % 3
        else "FINDINGS: Zibble quorm is as it was before."
        for i in range(60)
    ]
    summary = label_archive(table(60, reports=reports), tmp_path / "s.parquet", workers=1)
    assert summary.undecided[0] == ("Zibble quorm is as it was before.", 20)
    assert len(summary.undecided) <= 2 * 4


def test_the_configuration_reaches_every_process(table, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "BATCH", 7)
    (tmp_path / "own.toml").write_text(
        'schema = 1\n[[finding]]\nname = "vascular ring"\nphrases = ["vascular ring*"]\n'
    )
    config = LabellingConfig(
        lexicon=(tmp_path / "own.toml",), conventions=Conventions(undecided="abnormal", hedges=False)
    )
    path = table(
        30,
        reports=[
            "FINDINGS: Vascular ring.",
            "IMPRESSION: Zibble quorm is as it was before.",
            "Possible effusion.",
        ],
    )
    label_archive(path, tmp_path / "s.parquet", config, workers=2)
    labels = read_studies(tmp_path / "s.parquet")["label"].to_list()
    assert labels == ["abnormal", "abnormal", "normal"] * 10


def test_a_report_that_cannot_be_labelled_is_left_out_with_the_reason(table, tmp_path):
    spanish = "Hallazgos: pulmones claros, sin derrame pleural. Impresión: no se observan alteraciones."
    path = table(30, reports=("Clear lungs.", "Small effusion.", spanish))
    summary = label_archive(path, tmp_path / "s.parquet", workers=1)
    assert (summary.studies, summary.skipped) == (20, 10)
    skipped = pl.read_csv(summary.skipped_file)
    assert skipped["row"].to_list() == list(range(4, 33, 3))
    (reason,) = skipped["reason"].unique()
    assert "Spanish" in reason


def test_progress_rises_to_the_end(table, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "BATCH", 7)
    seen = []
    label_archive(table(40), tmp_path / "s.parquet", workers=2, on_progress=lambda *at: seen.append(at))
    steps = [done for stage, done, total in seen if stage == "labelling" and total == 40]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, 40)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": "."}, "is a folder"),
        ({"workers": 0}, "--workers 0"),
        ({"config": LabellingConfig(lexicon=(Path("none.toml"),))}, r"none\.toml"),
        ({"source": SourceOptions(images=Path("no-such"))}, "--images no-such"),
    ],
)
def test_a_wrong_option_is_named(table, tmp_path, change, message):
    arguments = {"input": table(4), "out": "s.parquet"} | change
    arguments["out"] = tmp_path / arguments["out"]
    with pytest.raises(ConfigError, match=message):
        label_archive(**arguments)


def test_nothing_usable_is_an_error_that_leaves_the_old_table_and_the_list(table, tmp_path):
    (tmp_path / "s.parquet").write_text("old")
    with pytest.raises(DataError, match=r"reports\.csv: no usable row is left.*no sentence in findings"):
        label_archive(table(4, reports=REPORTS[3:]), tmp_path / "s.parquet", workers=1)
    assert (tmp_path / "s.parquet").read_text() == "old"
    assert len(pl.read_csv(tmp_path / "skipped.csv")) == 4


def test_a_patient_in_two_splits_stops_it_and_a_new_split_mends_it(tmp_path):
    (tmp_path / "r.csv").write_text(
        "study_id,patient_id,report,split\n1,a,Clear.,train\n2,a,Clear.,test\n3,b,Clear.,train\n"
    )
    with pytest.raises(DataError, match=r"1 patient\(s\).*such as a in test, train") as caught:
        label_archive(tmp_path / "r.csv", tmp_path / "s.parquet", workers=1)
    assert "--resplit" in caught.value.remedy
    label_archive(tmp_path / "r.csv", tmp_path / "s.parquet", source=SourceOptions(resplit=True), workers=1)
    assert read_studies(tmp_path / "s.parquet")["study_id"].to_list() == ["1", "2", "3"]


def test_a_full_disk_is_named_and_the_same_command_goes_on(table, tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "BATCH", 7)
    path = table(40)
    temporary = parts_folder(tmp_path / "s.parquet") / f".table.parquet.{os.getpid()}.tmp"

    def fill(stage, done, total):
        if stage == "labelling" and not done:  # before the table is opened by its temporary name
            temporary.symlink_to("/dev/full")

    with pytest.raises(DataError, match="the disk is full"):
        label_archive(path, tmp_path / "s.parquet", workers=1, on_progress=fill)
    assert not (tmp_path / "s.parquet").exists()
    assert label_archive(path, tmp_path / "s.parquet", workers=1).resumed >= 7


def test_a_full_disk_while_reading_is_named(table, tmp_path, monkeypatch, full_disk):
    monkeypatch.setattr("offclip.data.staging._FAST", "PRAGMA max_page_count = 8;")
    with pytest.raises(DataError, match="the disk is full"):
        label_archive(table(2000), tmp_path / "s.parquet", workers=1)
    monkeypatch.undo()
    full_disk("journal.json")
    with pytest.raises(DataError, match="the disk is full"):
        label_archive(table(2000), tmp_path / "t.parquet", workers=1)


def test_a_folder_that_cannot_be_written_is_named(table, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        label_archive(table(4), tmp_path / "file" / "s.parquet", workers=1)


class _Made:
    """A source that yields what it is given."""

    notes = ()

    def __init__(self, *studies):
        self.path, self.studies = Path("made"), studies

    def inputs(self):
        return iter(())

    def read(self):
        return iter(self.studies)


def test_doubled_studies_and_images_of_any_source_are_listed(tmp_path):
    image = FoundImage("i", "/i.png")
    stage(
        _Made(
            FoundStudy("s1", "p1", "", "Clear.", (image,), "a.xml"),
            FoundStudy("s1", "p1", "", "Clear.", (), "b.xml"),
            FoundStudy("s2", "p2", "", "Clear.", (image,), "c.xml"),
            FoundStudy("s3", "p3", "", "Clear.", (), "t.csv", 2),
            FoundStudy("s3", "p3", "", "Clear.", (), "t.csv", 3),
        ),
        tmp_path / "s.sqlite",
    )
    staged = Staged(tmp_path / "s.sqlite")
    assert [s.study_id for s in staged.batch(0, 9)] == ["s1", "s3"]
    assert [entry.reason for entry in staged.skipped()] == [
        "study s1 stands in the input twice (first in a.xml)",
        "image i stands in the input twice (first in a.xml)",
        "study s3 stands in the table twice (first in row 2)",
    ]
    staged.close()


def test_rows_of_a_study_may_lie_far_apart(tmp_path):
    rows = [
        FoundStudy(
            f"s{n % 50}", "p", "", f"Report {n % 50}.", (FoundImage(f"i{n}", f"/{n}"),), "t.csv", n + 2
        )
        for n in range(150)
    ]
    stage(_Made(*rows), tmp_path / "s.sqlite")
    staged = Staged(tmp_path / "s.sqlite")
    found = staged.batch(3, 5) + staged.batch(49, 60)
    assert [s.study_id for s in found] == ["s3", "s4", "s49"]
    assert [[i.image_id for i in s.images] for s in found] == [
        [f"i{n + k}" for k in (0, 50, 100)] for n in (3, 4, 49)
    ]
    staged.close()


def test_staging_reports_what_cannot_be_opened(tmp_path):
    (tmp_path / "s.sqlite").write_text("this is no database, and long enough to be told from one" * 20)
    with pytest.raises(OffclipError, match="cannot be used"):
        Staged(tmp_path / "s.sqlite")


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="the Open-I archive is not there")
def test_the_real_open_i_archive(tmp_path):
    summary = label_archive(ARCHIVE, tmp_path / "s.parquet", workers=2)
    assert (summary.studies, summary.skipped) == (3927, 28)
    studies = read_studies(tmp_path / "s.parquet")
    assert studies["study_id"][0] == "CXR1"
    row = studies.row(1, named=True)
    for sentence in row["sentences"]:
        assert row["report"][sentence["start"] : sentence["end"]] == sentence["text"]
        assert sentence["section"] in ("findings", "impression")
    assert 0.3 < (studies["label"] == "normal").mean() < 0.4


def test_the_output_may_lie_among_the_input(tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "BATCH", 2)
    for n in range(8):
        (tmp_path / f"{n}.txt").write_text("Clear lungs.")

    def stop(stage, done, total):
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_archive(tmp_path, tmp_path / "s.parquet", workers=1, on_progress=stop)
    assert label_archive(tmp_path, tmp_path / "s.parquet", workers=1).resumed == 4
    assert label_archive(tmp_path, tmp_path / "s.parquet", workers=1).studies == 8


def test_a_language_model_is_asked_by_one_process(table, tmp_path, monkeypatch):
    monkeypatch.setattr(LabellingConfig, "build", lambda self: RuleLabeller())
    with pytest.raises(ConfigError, match="asked by one process"):
        label_archive(table(4), tmp_path / "s.parquet", LabellingConfig(labeller="llm"), workers=2)
    assert label_archive(table(4), tmp_path / "s.parquet", LabellingConfig(labeller="llm")).studies == 3
