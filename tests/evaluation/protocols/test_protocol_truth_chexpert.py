"""CheXpert: 14 and 5 labels of the test set, and the two ways to 5x200."""

import pytest
from official_trees import CHEXPERT_HEADER, chexpert, column, film, ids, present, read, table

from offclip.errors import DataError
from offclip.evaluation.protocols.truth.chexpert_5x200 import FINDINGS, drawn_records

T1, T2, T3 = (f"test/patient6474{n}/study1/view1_frontal.jpg" for n in (1, 2, 3))
LATERAL = "test/patient64741/study1/view2_lateral.jpg"


@pytest.fixture
def root(tmp_path):
    effusion = {"Pleural Effusion": 1, "Lung Opacity": 1}
    films = {
        T1: effusion,
        LATERAL: effusion,
        T2: {"No Finding": 1, "Support Devices": 1},
        T3: {"No Finding": 1},
    }
    chexpert(tmp_path, "test_labels.csv", films, blank=0)
    valid = {"valid/patient64541/study1/view1_frontal.jpg": {"Edema": 1}}
    return chexpert(tmp_path, "valid.csv", valid, blank="0.0")


def key(path):
    return path.rpartition(".")[0].replace("test/", "").replace("train/", "").replace("/", "_")


def test_14_peer(root):
    data = read("chexpert-14-peer", root)
    shown = present("chexpert-14-peer", data)
    assert shown == {
        key(T1): ["Lung Opacity", "Pleural Effusion"],
        key(LATERAL): ["Lung Opacity", "Pleural Effusion"],
        key(T2): ["No Finding", "Support Devices"],
        key(T3): ["No Finding"],
    }
    assert data.normal.tolist() == [0, 0, 1, 1]
    assert set(data.splits) == {"test"}
    assert data.patient_ids == ("patient64741", "patient64741", "patient64742", "patient64743")


def test_14_clean(root):
    data = read("chexpert-14-clean", root)
    assert ids(data) == [key(T1), key(T2), key(T3)]
    assert ids(data, "validate") == ["patient64541_study1_view1_frontal"]
    assert data.normal.tolist() == [0, 0, 1, 0]  # a device is not normal
    assert data.study_ids[0] == "patient64741_study1"
    assert [s.id for s in data.skipped] == [key(LATERAL)]


def test_clean_without_the_validation_set_says_so(root):
    (root / "valid.csv").unlink()
    data = read("chexpert-14-clean", root)
    assert ids(data, "validate") == []
    assert any("No validation split" in note and "train.csv" in note for note in data.notes)


def test_5(root):
    peer = read("chexpert-5-peer", root)
    assert peer.truth.shape == (4, 5)
    assert column("chexpert-5-peer", peer, "Pleural Effusion") == [1, 1, 0, 0]
    assert peer.normal.tolist() == [0, 0, 0, 1]  # by offclip's own words, where no class says so
    assert read("chexpert-5-clean", root).truth.shape == (4, 6)


def test_a_normal_study_with_a_finding_is_of_unknown_normality(tmp_path):
    chexpert(tmp_path, "test_labels.csv", {T1: {"No Finding": 1, "Edema": 1}, T2: {"Edema": 1}}, blank=0)
    clean = read("chexpert-14-clean", tmp_path)
    assert str(clean.normal.tolist()) == "[nan, 0.0]"
    assert column("chexpert-14-peer", read("chexpert-14-peer", tmp_path), "No Finding") == [1, 0]


def test_a_test_table_that_is_missing_or_broken(root):
    (root / "test_labels.csv").write_text("Path,Edema\nx,1\n")
    with pytest.raises(DataError, match=r"test_labels\.csv: column 'No Finding' is missing"):
        read("chexpert-5-peer", root)
    (root / "test_labels.csv").unlink()
    with pytest.raises(DataError, match=r"test_labels\.csv: no such file"):
        read("chexpert-5-peer", root)


# --------------------------------------------------------------------------------------------------- 5x200


def train_path(patient, view="view1_frontal"):
    return f"train/patient{patient:05}/study1/{view}.jpg"


def test_the_published_list(tmp_path):
    films = {
        train_path(1): {"Edema": 1},
        train_path(2): {"Atelectasis": "1.0"},
    }
    chexpert(tmp_path, "chexpert_5x200.csv", films)
    data = read("chexpert-5x200-peer", tmp_path)
    assert present("chexpert-5x200-peer", data) == {
        key(train_path(1)): ["Edema"],
        key(train_path(2)): ["Atelectasis"],
    }
    assert data.normal.tolist() == [0, 0]
    assert set(data.splits) == {"test"}


def test_the_published_list_with_other_paths_and_bad_rows(tmp_path):
    place = tmp_path / "CheXpert-v1.0" / train_path(1)
    film(place)
    rows = [
        [f"/elsewhere/CheXpert-v1.0/{train_path(1)}", 0, 1, 0, 0, 0],
        ["/elsewhere/film.jpg", 0, 1, 0, 0, 0],
        [train_path(3), 0, 7, 0, 0, 0],
        [T1, 0, 1, 0, 0, 0],
    ]
    table(tmp_path / "chexpert_5x200_newpath.csv", ["Path", *FINDINGS], rows)
    data = read("chexpert-5x200-peer", tmp_path)
    assert [(image.image_id, image.path) for image in data.images] == [(key(train_path(1)), place)]
    assert [s.row for s in data.skipped] == [3, 4, 5]
    (tmp_path / "chexpert_5x200_newpath.csv").unlink()
    with pytest.raises(DataError, match=r"chexpert_5x200\.csv: no such file"):
        read("chexpert-5x200-peer", tmp_path)


@pytest.fixture
def train(tmp_path):
    films = {}
    for patient in range(40):
        films[train_path(patient)] = {FINDINGS[patient % 5]: "1.0", "Fracture": "0.0"}
    films[train_path(0, "view2_frontal")] = {FINDINGS[0]: "1.0"}  # the patient's second
    films[train_path(50, "view1_lateral")] = {FINDINGS[0]: "1.0"}
    films[train_path(51)] = {FINDINGS[0]: "1.0", "Pneumonia": "-1.0"}
    films[train_path(52)] = {FINDINGS[0]: "1.0", FINDINGS[1]: "1.0"}
    films[train_path(53)] = {FINDINGS[0]: "1.0", "Support Devices": "1.0"}
    films[train_path(54)] = {FINDINGS[0]: "-1.0"}
    return chexpert(tmp_path, "train.csv", films)


def test_the_drawn_films_have_one_finding_and_nothing_else(train):
    data = read("chexpert-5x200-clean", train)
    assert len(data.images) == 40
    assert {int(patient.removeprefix("patient")) for patient in data.patient_ids} == set(range(40))
    assert data.truth.sum(axis=1).tolist() == [1] * 40
    assert data.truth.sum(axis=0).tolist() == [8] * 5


def test_the_draw_does_not_depend_on_order_or_on_what_is_on_disk(train):
    from offclip.data.datasets.catalogue import open_set
    from offclip.data.datasets.record import ImageRecord

    def drawn(each=3):
        records = drawn_records(open_set("chexpert", train).read(), train, each)
        return {record.image_id for record in records if isinstance(record, ImageRecord)}

    first = drawn()
    assert len(first) == 15
    assert first < drawn(4)
    lines = (train / "train.csv").read_text().splitlines()
    (train / "train.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    assert drawn() == first
    (train / train_path(1)).unlink()
    assert drawn() == first


def test_a_training_table_without_such_films(tmp_path):
    table(tmp_path / "train.csv", CHEXPERT_HEADER, [])
    with pytest.raises(DataError, match="no film has one of Atelectasis"):
        read("chexpert-5x200-clean", tmp_path)
