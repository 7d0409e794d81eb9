"""Open-I: substrings of automatic terms for the peers, whole terms of the coders in the clean protocol."""

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from official_trees import column, ids, openi, present, read

from offclip.errors import DataError
from offclip.evaluation.protocols.load import load_protocol
from offclip.evaluation.protocols.truth.read import read_protocol_data

REAL = Path(__file__).parents[4] / "shared" / "data" / "openi_reports"
REPORTS = {
    "1": (("normal",), ()),
    "2": (("Calcified Granuloma/lung/base/left",), ("calcified granuloma",)),
    "3": (("No Indexing",), ()),
    "4": (
        ("Pericardial Effusion", "Subcutaneous Emphysema"),
        ("pericardial effusion", "subcutaneous emphysema"),
    ),
    "5": (("Granuloma/lung", "Pleural Effusion/left/small"), ("Granuloma", "Pleural Effusion")),
    "6": (("Aorta/tortuous",), ("tortuous aorta",)),
    "7": (("Thickening/pleura/apex", "Pulmonary Atelectasis/base"), ("pulmonary atelectases", "infiltrates")),
    "8": (("Thickening/bronchi",), ("opacity",)),
}


@pytest.fixture
def root(tmp_path):
    return openi(tmp_path, REPORTS)


def frontal(number):
    return f"CXR{number}_IM-000{number}-1001"


def test_peer_labels_are_substrings(root):
    data = read("openi-peer", root)
    shown = present("openi-peer", data)
    assert len(data.images) == 16  # lateral films count
    assert shown[frontal(2)] == ["Calcified Granuloma", "Granuloma"]
    assert shown[frontal(4)] == ["Effusion", "Emphysema"]
    assert shown[frontal(5)] == ["Effusion", "Granuloma"]
    assert shown[frontal(7)] == ["Atelectasis", "Infiltration"]
    assert shown[frontal(8)] == ["Opacity"]


def test_peer_calls_everything_else_normal(root):
    shown = present("openi-peer", read("openi-peer", root))
    for number in (1, 3, 6):  # coded normal, not coded, and with another finding
        assert shown[frontal(number)] == ["No_Finding"]
    eighteen = read("openi-18-peer", root)
    assert eighteen.truth.shape == (16, 18)
    assert eighteen.normal.tolist() == column("openi-peer", read("openi-peer", root), "No_Finding")


def test_clean_labels_are_whole_terms_of_the_coders(root):
    data = read("openi-clean", root)
    shown = present("openi-clean", data)
    assert shown == {
        frontal(1): ["normal"],
        frontal(2): ["Calcified Granuloma"],
        frontal(4): [],
        frontal(5): ["Effusion", "Granuloma"],
        frontal(6): [],
        frontal(7): ["Atelectasis", "Pleural_Thickening"],
        frontal(8): [],
    }
    assert data.normal.tolist() == [1, 0, 0, 0, 0, 0, 0]
    reasons = Counter(s.reason for s in data.skipped)
    assert reasons == {
        "a lateral film; the protocol takes frontal ones": 8,
        "left out by the protocol (no-label)": 1,
    }
    assert data.study_ids[0] == "CXR1"


def test_a_packed_table_of_projections_is_no_report(root):
    path = root / "indiana_projections.csv"
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert len(read("openi-clean", root).images) == 7


def test_reports_that_are_missing_or_broken(root):
    (root / "ecgen-radiology" / "1.xml").write_text("<eCitation>")
    data = read("openi-clean", root)
    assert frontal(1) not in ids(data)
    assert sum("not well-formed" in s.reason for s in data.skipped) == 1
    with pytest.raises(DataError, match=r"NLMCXR_reports\.tgz: no such file"):
        read("openi-peer", root / "elsewhere")


@pytest.fixture(scope="module")
def real():
    if not (REAL / "NLMCXR_reports.tgz").is_file():
        pytest.skip("the real reports are not there (../shared/data/openi_reports)")
    with pytest.MonkeyPatch.context() as patch:  # the films are not there; the labels are what is tested
        patch.setattr("offclip.data.datasets.preparation.on_disk.FolderListings.has", lambda self, path: True)
        yield {name: read_protocol_data(load_protocol(name), REAL) for name in ("openi-peer", "openi-clean")}


def test_the_real_table_gives_the_counts_of_the_published_rule(real):
    with (REAL / "custom_labels_major_automatic.csv").open(newline="", encoding="utf-8") as file:
        texts = [row["labels_automatic"] or "-1" for row in csv.DictReader(file)]
    synonyms = {
        "Pleural_Thickening": "pleural thickening",
        "Infiltration": "infiltrate",
        "Atelectasis": "atelectases",
    }
    findings = [rule.name for rule in load_protocol("openi-18-peer").classes]
    hits = np.array(
        [
            [name.lower() in text or synonyms.get(name, "nothing") in text for name in findings]
            for text in texts
        ]
    )
    data = real["openi-peer"]
    assert data.truth.shape == (7470, 19)
    assert data.truth.sum(axis=0).tolist() == [*hits.sum(axis=0), (~hits.any(axis=1)).sum()]


def test_the_real_reports_by_the_terms_of_the_coders(real):
    clean = real["openi-clean"]
    with (REAL / "metadata.csv").open(newline="", encoding="utf-8") as file:
        annotated = {row["uid"]: row["abnormal_annotation"] for row in csv.DictReader(file)}
    by_study = dict(zip(clean.study_ids, clean.normal, strict=True))
    assert set(by_study.values()) == {0.0, 1.0}
    assert all(by_study[study] == 1 - int(annotated[study]) for study in by_study)
    granulomas = [column(name, real[name], "Granuloma").count(1) for name in ("openi-peer", "openi-clean")]
    assert granulomas[0] > 7 * granulomas[1]
