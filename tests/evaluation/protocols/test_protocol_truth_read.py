"""What is the same for all sets: validation images, missing and doubled films, the fingerprint."""

import dataclasses
import shutil

import pytest
from official_trees import chestxray14, film, ids, read, vindr

from offclip.errors import ConfigError
from offclip.evaluation.protocols.load import load_protocol
from offclip.evaluation.protocols.protocol import OPEN, ClassRule, Validation
from offclip.evaluation.protocols.truth.read import read_protocol_data


@pytest.fixture
def root(tmp_path):
    train = {f"r{n}": {"Edema"} if n % 2 else {"No finding"} for n in range(30)}
    return vindr(tmp_path / "a", {"t1": {"Edema"}, "t2": {"No finding"}}, train)


def limited(images):
    protocol = load_protocol("vindr-cxr-clean")
    return dataclasses.replace(protocol, validation=Validation("vindr-cxr", split="train", images=images))


def test_validation_images_are_drawn_by_a_hash_of_the_patient(root):
    ten = ids(read_protocol_data(limited(10), root), "validate")
    assert len(ten) == 10
    assert ten == [image for image in (f"r{n}" for n in range(30)) if image in ten]  # in the table's order
    assert ten != [f"r{n}" for n in range(10)]
    assert set(ten) < set(ids(read_protocol_data(limited(11), root), "validate"))
    assert len(ids(read_protocol_data(limited(0), root), "validate")) == 30


def test_whole_patients_are_drawn(tmp_path):
    films = {f"000000{p:02}_{n:03}.png": "Mass" for p in range(1, 9) for n in range(3)}
    train = [name for name in films if not name.startswith("00000001")]
    lists = {"test_list.txt": [n for n in films if n not in train], "train_val_list.txt": train}
    root = chestxray14(tmp_path, films, lists)
    protocol = dataclasses.replace(
        load_protocol("chestxray14-clean"), validation=Validation("chestxray14", "official", "train", 4)
    )
    data = read_protocol_data(protocol, root)
    validation = [p for p, s in zip(data.patient_ids, data.splits, strict=True) if s == "validate"]
    assert len(validation) == 6
    assert len(set(validation)) == 2
    assert not set(validation) & {
        p for p, s in zip(data.patient_ids, data.splits, strict=True) if s == "test"
    }


def test_a_film_that_is_not_there_is_listed(root):
    (root / "test" / "t2.dicom").unlink()
    data = read("vindr-cxr-clean", root)
    assert ids(data) == ["t1"]
    assert [(s.id, s.row, s.reason) for s in data.skipped] == [("t2", 3, "the image file is not there")]


def test_rows_that_the_reader_leaves_out_are_listed(root):
    path = root / "annotations" / "image_labels_test.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1], "t9,1"]) + "\n")
    data = read("vindr-cxr-peer", root)
    assert ids(data) == ["t1", "t2"]
    assert [s.row for s in data.skipped] == [4, 5]


def test_the_fingerprint_says_what_is_true_and_nothing_else(root, tmp_path):
    first = read("vindr-cxr-clean", root)
    moved = tmp_path / "b"
    shutil.copytree(root, moved)
    path = moved / "annotations" / "image_labels_test.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2], lines[1]]) + "\n")
    assert read("vindr-cxr-clean", moved).fingerprint == first.fingerprint
    path.write_text("\n".join([*lines[:2], lines[2].replace(",0", ",1", 1)]) + "\n")
    assert read("vindr-cxr-clean", moved).fingerprint != first.fingerprint
    assert read("vindr-cxr-peer", root).fingerprint != first.fingerprint


def test_progress_is_told(root, monkeypatch):
    monkeypatch.setattr("offclip.evaluation.protocols.truth.read._TELL_EVERY", 10)
    told = []
    read("vindr-cxr-clean", root, on_progress=lambda *what: told.append(what))
    assert told == [("reading labels", n, None) for n in (10, 20, 30)]


def test_mistakes_of_a_protocol(root):
    with pytest.raises(ConfigError, match="'open' names no set"):
        read_protocol_data(OPEN, root)
    protocol = dataclasses.replace(load_protocol("vindr-cxr-peer"), classes=(ClassRule("Lump", ("x",)),))
    with pytest.raises(ConfigError, match="class 'Lump' needs the label 'Lump', which the set lacks"):
        read_protocol_data(protocol, root)


def test_films_of_other_formats_are_found_by_name_alone(tmp_path):
    root = vindr(tmp_path, {"t1": {"Edema"}})
    (root / "test" / "t1.dicom").rename(root / "test" / "t1.png")
    film(root / "test" / "t1.dicom")
    assert read("vindr-cxr-peer", root).images[0].path.suffix == ".dicom"
