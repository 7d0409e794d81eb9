"""Open-I: a tree in the official layout, and the real reports where they are there."""

import csv
import io
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.readers.openi import FINDINGS
from offclip.data.files import Skipped
from offclip.errors import DataError

REAL = Path(__file__).parents[4] / "shared" / "data" / "openi_reports"


def xml(study="CXR1", major=("normal",), automatic=(), images=(), findings="Clear lungs."):
    terms = "".join(f"\n <major>{term}</major>" for term in major)
    terms += "".join(f"\n <automatic>{term}</automatic>" for term in automatic)
    films = "".join(
        f'<parentImage id="{image}"><caption>Xray Chest PA</caption></parentImage>' for image in images
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><eCitation><meta type="rr"/><uId id="{study}"/>'
        f"<ccLicense>byncnd</ccLicense><Abstract>"
        f'<AbstractText Label="INDICATION">Cough &amp; fever</AbstractText>'
        f'<AbstractText Label="FINDINGS">{findings}</AbstractText>'
        f'<AbstractText Label="IMPRESSION"/></Abstract>'
        f"<MeSH>{terms}\n</MeSH>{films}</eCitation>"
    )


@pytest.fixture
def root(tmp_path, write_film):
    folder = tmp_path / "ecgen-radiology"
    folder.mkdir()
    (folder / "1.xml").write_text(xml(images=("CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001")))
    terms = ("Cardiomegaly/borderline", "Thickening/pleura/apex", "Calcified Granuloma/lung/base/left")
    (folder / "2.xml").write_text(
        xml("CXR2", terms, ("pulmonary atelectases", "Infiltrate"), ("CXR2_IM-0652-1001",))
    )
    (folder / "3.xml").write_text(
        xml("CXR3", ("No Indexing",), ("opacity",), ("CXR3_IM-1384-1001",), findings="")
    )
    (folder / "4.xml").write_text(xml("CXR4"))
    quality = "Technical Quality of Image Unsatisfactory "
    (folder / "5.xml").write_text(xml("CXR5", (quality,), (), ("CXR5_IM-1",)))
    (folder / "6.xml").write_text(xml("CXR6", (quality, "Nodule"), (), ("CXR6_IM-1",)))
    write_film(tmp_path / "NLMCXR_png" / "CXR1_1_IM-0001-3001.png")
    return tmp_path


def read(root, option=""):
    reader = open_set("openi", root, option)
    return reader, list(reader.read())


def films_of(found):
    return [film for film in found if not isinstance(film, Skipped)]


def test_every_field_of_a_film(root):
    reader, found = read(root)
    pa, lateral, second, third, *_ = films_of(found)
    assert (pa.image_id, pa.study_id, pa.patient_id) == ("CXR1_1_IM-0001-3001", "CXR1", "CXR1")
    assert pa.path == root / "NLMCXR_png" / "CXR1_1_IM-0001-3001.png"
    assert (pa.path.is_file(), lateral.path.is_file()) == (True, False)
    assert pa.report == lateral.report == "INDICATION: Cough & fever\nFINDINGS: Clear lungs."
    assert third.report == ""  # an indication alone is no report
    assert (pa.split, pa.view, pa.age_years, pa.sex, pa.boxes) == ("", "unknown", None, "", ())
    assert (pa.source, pa.row) == (str(root / "ecgen-radiology" / "1.xml"), 0)
    assert second.study_id == "CXR2"
    (skipped,) = [item for item in found if isinstance(item, Skipped)]
    assert (skipped.id, skipped.reason) == ("CXR4", "the report names no image")
    assert reader.notes == [
        "1 report(s) have neither findings nor impression.",
        "No indiana_projections.csv: every view is 'unknown'.",
    ]
    assert len(list(reader.tables())) == 6


def test_labels_of_the_coders(root):
    _, found = read(root)
    normal, _, second, uncoded, unreadable, nodule = films_of(found)
    assert list(normal.labels) == [*FINDINGS, "normal"]
    assert normal.labels["normal"] == 1
    assert {normal.labels[finding] for finding in FINDINGS} == {0}
    assert [label for label, value in second.labels.items() if value] == [
        "Cardiomegaly",
        "Pleural_Thickening",
        "Calcified Granuloma",
        "Granuloma",
    ]
    assert second.labels["normal"] == 0
    assert set(uncoded.labels.values()) == set(unreadable.labels.values()) == {None}
    assert (nodule.labels["Nodule"], nodule.labels["normal"]) == (1, 0)


def test_labels_of_the_published_evaluations(root):
    _, found = read(root, "automatic")
    normal, _, second, uncoded, unreadable, _ = films_of(found)
    assert list(normal.labels) == [*FINDINGS, "No_Finding"]
    assert normal.labels["No_Finding"] == unreadable.labels["No_Finding"] == 1
    assert [label for label, value in second.labels.items() if value] == ["Atelectasis", "Infiltration"]
    assert [label for label, value in uncoded.labels.items() if value] == ["Opacity"]


def test_views_and_films_as_kaggle_offers_them(root, write_film):
    film = write_film(root / "images" / "images_normalized" / "2_IM-0652-1001.dcm.png")
    with (root / "indiana_projections.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["uid", "filename", "projection"],
                ["1", "1_IM-0001-4001.dcm.png", "Lateral"],
                ["1", "1_IM-0001-3001.dcm.png", "Frontal"],
                ["2", "2_IM-0652-1001.dcm.png", "Frontal"],
            ]
        )
    reader, found = read(root)
    views = {item.image_id: item.view for item in films_of(found)}
    assert views["CXR1_1_IM-0001-3001"] == "frontal"
    assert views["CXR1_1_IM-0001-4001"] == "lateral"
    assert views["CXR3_IM-1384-1001"] == "unknown"
    assert films_of(found)[2].path == film
    assert len(list(reader.tables())) == 7


def test_the_archive_gives_what_the_folder_gives(root):
    _, of_folder = read(root)
    with tarfile.open(root / "NLMCXR_reports.tgz", "w:gz") as archive:
        archive.add(root / "ecgen-radiology", "ecgen-radiology")
    reader, of_archive = read(root)
    assert list(reader.tables()) == [root / "NLMCXR_reports.tgz"]
    pairs = zip(
        films_of(of_folder), sorted(films_of(of_archive), key=lambda film: film.image_id), strict=True
    )
    for one, other in pairs:
        assert (one.image_id, one.path, one.labels, one.report) == (
            other.image_id,
            other.path,
            other.labels,
            other.report,
        )


def test_files_that_cannot_be_used_are_listed(root):
    folder = root / "ecgen-radiology"
    (folder / "1.xml").write_text(xml(images=("../secret", "ok")))
    (folder / "2.xml").write_text("<eCitation>")
    (folder / "3.xml").write_bytes(xml("CXR3", ("Größe",)).encode("latin-1"))
    reader, found = read(root)
    secret, ok, broken, *_ = found
    assert secret.reason == "the image id is no name of a file"
    assert ok.image_id == "ok"
    assert "not well-formed XML" in broken.reason
    assert any("not UTF-8" in note for note in reader.notes)


def test_what_must_be_there(root, tmp_path):
    with pytest.raises(DataError, match=r"NLMCXR_reports.tgz: no such file"):
        open_set("openi", tmp_path / "elsewhere")
    (root / "indiana_projections.csv").write_text("uid,filename,view\n")
    with pytest.raises(DataError, match=r"indiana_projections.csv: column 'projection' is missing"):
        open_set("openi", root)


@pytest.fixture(scope="module")
def real():
    if not (REAL / "NLMCXR_reports.tgz").is_file():
        pytest.skip("the real reports are not there (../shared/data/openi_reports)")
    return read(REAL), read(REAL, "automatic")


def test_the_real_reports_give_the_published_counts(real):
    (reader, found), _ = real
    films = films_of(found)
    assert len({film.image_id for film in films}) == len(films) == reader.card.published["images"]
    without = [item for item in found if isinstance(item, Skipped)]
    assert {item.reason for item in without} == {"the report names no image"}
    assert len({film.study_id for film in films} | {item.id for item in without}) == 3955
    studies = {film.study_id: film.labels["normal"] for film in films}
    assert len(without) == 104
    assert "28 report(s) have neither findings nor impression." in reader.notes
    assert Counter(studies.values()).total() == 3955 - 104


def test_the_real_labels_agree_with_the_human_coding(real):
    (_, found), (_, automatic) = real
    with (REAL / "metadata.csv").open(newline="", encoding="utf-8") as file:
        truth = {row["uid"]: row["abnormal_annotation"] for row in csv.DictReader(file)}
    studies = {film.study_id: film.labels for film in films_of(found)}
    expected = {"0": 1, "1": 0, "": None}
    differ = [study for study, labels in studies.items() if labels["normal"] != expected[truth[study]]]
    assert len(differ) <= 6  # the reports that are coded for their quality alone
    assert all(studies[study]["normal"] is None for study in differ)

    with (REAL / "negbio_openi_gld_std14.csv").open(newline="", encoding="utf-8") as file:
        gold = {row["filename"]: row for row in csv.DictReader(file)}
    shared = set(gold) & set(studies)
    for finding in (
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Edema",
    ):
        wrong = [study for study in shared if studies[study][finding] != int(gold[study][finding])]
        uncoded = [study for study in wrong if studies[study]["normal"] is None]
        assert len(wrong) == len(uncoded), finding

    by_program = {film.study_id: film.labels for film in films_of(automatic)}
    false = sum(by_program[study]["Effusion"] == 1 and gold[study]["Effusion"] == "0" for study in shared)
    missed = sum(
        by_program[study]["Cardiomegaly"] == 0 and gold[study]["Cardiomegaly"] == "1" for study in shared
    )
    assert false > 20
    assert missed > 50


def test_the_published_rule_gives_the_published_labels(real):
    _, (_, automatic) = real
    by_study = {film.study_id: film.labels for film in films_of(automatic)}
    words = {
        "Pleural_Thickening": ["pleural thickening"],
        "Infiltration": ["infiltrate"],
        "Atelectasis": ["atelectases"],
    }
    with (REAL / "custom_labels_major_automatic.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7470
    for row in rows:
        text = row["labels_automatic"] or "-1"
        expected = {f: int(any(w in text for w in (f.lower(), *words.get(f, [])))) for f in FINDINGS}
        expected["No_Finding"] = int(not any(expected.values()))
        assert by_study[row["uid"]] == expected


def test_an_archive_that_is_cut_short(root):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(root / "ecgen-radiology", "ecgen-radiology")
    (root / "NLMCXR_reports.tgz").write_bytes(buffer.getvalue()[:-40])
    with pytest.raises(DataError, match=r"NLMCXR_reports.tgz"):
        read(root)
