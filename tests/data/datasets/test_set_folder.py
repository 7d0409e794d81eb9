import csv
from pathlib import Path

import pytest
from PIL import Image

from offclip.data.datasets.label_map import LabelMap
from offclip.data.datasets.readers.folder import ANY_MODALITY, Folder
from offclip.data.datasets.readers.folder_files import image_ids
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.files import Skipped
from offclip.errors import DataError


def png(root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 3)).save(root / name)


def dicom(root: Path, name: str, *, deflated: bool = False, padding: int = 0, **attributes: str) -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = (
        DeflatedExplicitVRLittleEndian if deflated else ExplicitVRLittleEndian
    )
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    if padding:
        dataset.add_new(0x00091001, "OB", bytes(padding))
    dataset.Rows = dataset.Columns = 2
    dataset.BitsAllocated = 16
    dataset.PixelRepresentation = 0
    dataset.PixelData = bytes(8)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(root / name, enforce_file_format=True)


def read(root: Path, option: str = "") -> tuple[dict[str, ImageRecord], list[Skipped], list[str]]:
    reader = Folder(root, option)
    items = list(reader.read())
    records = [item for item in items if isinstance(item, ImageRecord)]
    assert len({r.image_id for r in records}) == len(records)
    skipped = [item for item in items if isinstance(item, Skipped)]
    return {r.image_id: r for r in records}, skipped, reader.notes


def test_without_tables_folders_are_studies_and_patients(tmp_path):
    for name in ("a/1.png", "a/2.JPG", "b/1.png", "top.tif", ".hidden/3.png", "a/.4.png", "__MACOSX/5.png"):
        png(tmp_path, name)
    (tmp_path / "a" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "a" / "README").write_text("no image")
    records, skipped, notes = read(tmp_path)
    assert skipped == []
    assert [(r.image_id, r.study_id, r.patient_id, r.path.name) for r in records.values()] == [
        ("top", "top", "top", "top.tif"),
        ("a__1", "a", "a", "1.png"),
        ("2", "a", "a", "2.JPG"),
        ("b__1", "b", "b", "1.png"),
    ]
    assert all(r.path.is_absolute() and r.path.is_file() and r.labels == {} for r in records.values())
    assert notes == ["3 image(s) have no study id: the folder that they lie in counts as study."]
    assert list(Folder(tmp_path).tables()) == []


def test_ids_are_unique_whatever_the_names():
    names = ["x.png", "x.dcm", "a/x.png", "a__x.png", "a/x", "1.2.3", "1.2.4"]
    ids = image_ids(names)
    assert list(ids) == names
    assert len(set(ids.values())) == len(names)
    assert ids["1.2.4"] == "1.2.4"


def test_headers_say_whose_film_it_is(tmp_path):
    own = {"PatientID": "0007", "PatientAge": "061Y", "PatientSex": "F", "ViewPosition": "PA"}
    dicom(tmp_path, "1.2.3.4", Modality="DX", StudyInstanceUID="1.2", **own)
    dicom(tmp_path, "in/b.dcm", deflated=True, Modality="CR", StudyInstanceUID="1.3", ViewPosition="LL")
    dicom(tmp_path, "in/c.dcm", padding=400_000, Modality="DX", StudyInstanceUID="1.4", PatientID="0009")
    dicom(tmp_path, "in/ct.dcm", Modality="CT", StudyInstanceUID="1.5")
    (tmp_path / "in" / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\0")
    records, skipped, notes = read(tmp_path)
    assert records["1.2.3.4"] == ImageRecord(
        "1.2.3.4",
        "1.2",
        "0007",
        tmp_path / "1.2.3.4",
        view="PA",
        age_years=61,
        sex="F",
        source=str(tmp_path / "1.2.3.4"),
    )
    assert (records["b"].study_id, records["b"].patient_id, records["b"].view) == ("1.3", "1.3", "lateral")
    assert (records["c"].study_id, records["c"].patient_id) == ("1.4", "0009")
    assert [s.id for s in skipped] == ["broken", "ct"]
    assert "modality 'CT'" in skipped[1].reason
    assert notes == []
    assert "ct" in read(tmp_path, ANY_MODALITY)[0]


def test_tables_of_images(tmp_path):
    for name in ("a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        png(tmp_path, name)
    (tmp_path / "images.csv").write_text(
        "path,image_id,study_id,patient_id,view,split,age,sex\n"
        f"a/1.png,film-1,s1,p1,PA,val,63,female\n{tmp_path}/a/2.png,,s1,p1,Lateral,val,,\n./b/3.png,,s2,p2,,,7,m\n"
    )
    (tmp_path / "labels.tsv").write_text(
        "image_id\tPleural_Effusion\tNo Finding\tkVp\tEmpty\nfilm-1\t1\t0.0\thigh\t\n2.png\t\tno\tlow\t\n"
        "3\t-1\tyes\t\t\n9\t0\t\t\t\n"
    )
    (tmp_path / "reports.csv").write_text('study_id,report\ns1,"Effusion, left."\ns2,Clear.\ns7,Nobody.\n')
    (tmp_path / "boxes.csv").write_text(
        "image_id,finding,x,y,width,height\nfilm-1,Pleural_Effusion,1,2,3,4\n2.png,Other,0,0,1,1\nzz,Other,0,0,1,1\n"
    )
    records, skipped, notes = read(tmp_path)
    assert skipped == []
    assert records["film-1"] == ImageRecord(
        "film-1",
        "s1",
        "p1",
        tmp_path / "a" / "1.png",
        split="validate",
        view="PA",
        age_years=63,
        sex="F",
        labels={"pleural effusion": 1, "no finding": 0},
        boxes=(FindingBox("pleural effusion", 1, 2, 3, 4),),
        report="Effusion, left.",
        source=str(tmp_path / "images.csv"),
        row=2,
    )
    assert list(records) == ["film-1", "2", "3", "9"]
    assert (records["2"].view, records["2"].report, records["2"].labels["no finding"]) == (
        "lateral",
        "Effusion, left.",
        0,
    )
    assert records["2"].boxes[0].label == "other"
    assert (records["3"].age_years, records["3"].sex, list(records["3"].labels.values())) == (
        7,
        "M",
        [None, 1],
    )
    assert (records["9"].path, records["9"].study_id, records["9"].row) == (tmp_path / "9", "9", 5)
    assert notes == [
        "labels.tsv: columns without 1 or 0 were passed over: kVp, Empty.",
        "1 image(s) stand in no table and were left out.",
        "1 stud(ies) of the tables have no image.",
        "boxes: 1 image(s) with boxes are not among the images.",
    ]
    assert [p.name for p in Folder(tmp_path).tables()] == [
        "images.csv",
        "labels.tsv",
        "reports.csv",
        "boxes.csv",
    ]
    labels = LabelMap("folder", records["3"].labels)
    assert labels.findings == ("pleural effusion",)
    assert labels.read(tuple(records["film-1"].labels.values())).code == "01"


def test_a_table_of_studies_alone_is_joined_with_the_headers(tmp_path):
    dicom(tmp_path, "x/a.dcm", Modality="DX", StudyInstanceUID="1.2", PatientID="0007", ViewPosition="AP")
    png(tmp_path, "s9/b.png")
    (tmp_path / "reports.csv").write_text(
        "study_id,report,edema,split\n1.2,Edema.,1,test\ns9,Clear.,0,train\n"
    )
    records, skipped, _ = read(tmp_path)
    assert skipped == []
    assert [(r.study_id, r.patient_id, r.view, r.split, r.report, r.labels) for r in records.values()] == [
        ("s9", "s9", "unknown", "train", "Clear.", {"edema": 0}),
        ("1.2", "0007", "AP", "test", "Edema.", {"edema": 1}),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("b,2,train", "column 'edema' is '2' instead of 1, 0 or nothing"),
        ("b,1,fold 3", "unknown split 'fold 3'"),
        (",1,train", "it names no image"),
        ("b,1", "2 cells instead of 3"),
    ],
)
def test_bad_rows_are_left_out_with_their_number(tmp_path, row, reason):
    (tmp_path / "labels.csv").write_text(f"image_id,edema,split\na,1,train\n{row}\n")
    records, skipped, _ = read(tmp_path)
    assert list(records) == ["a"]
    assert [(s.source, s.row, s.id) for s in skipped] == [
        (str(tmp_path / "labels.csv"), 3, row.split(",")[0])
    ]
    assert reason in skipped[0].reason


def test_rows_against_each_other_are_left_out(tmp_path):
    png(tmp_path, "b.png")
    (tmp_path / "images.csv").write_text("image_id,path,sex\na,a.png,F\na,other.png,F\nb,b.png,F\n")
    (tmp_path / "labels.csv").write_text("image_id,sex,edema\nb,M,1\nc,,0\nc,,1\n")
    records, skipped, _ = read(tmp_path)
    assert list(records) == ["a"]
    assert [(s.row, s.id) for s in skipped] == [(3, "a"), (4, "b"), (2 + 1, "c")]
    assert "another path" in skipped[0].reason
    assert skipped[1].reason == "column 'sex' contradicts row 2 of labels.csv"


def test_bad_boxes_are_left_out(tmp_path):
    png(tmp_path, "a.png")
    (tmp_path / "boxes.csv").write_text(
        "image_id,finding,x,y,width,height\na,mass,1,2,3,4\na,mass,1,2,0,4\na,,1,2,3,4\na,mass,1,2,3,\n"
    )
    records, skipped, _ = read(tmp_path)
    assert records["a"].boxes == (FindingBox("mass", 1, 2, 3, 4),)
    assert [s.row for s in skipped] == [3, 4, 5]


def test_broken_tables_are_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        Folder(tmp_path / "none")
    (tmp_path / "labels.csv").write_text("name,edema\na,1\n")
    with pytest.raises(DataError, match=r"labels\.csv: it has no column 'image_id', 'path' or 'study_id'"):
        Folder(tmp_path)
    (tmp_path / "labels.csv").write_text("image_id,Edema,edema_\na,1,0\n")
    with pytest.raises(DataError, match=r"labels\.csv: columns 'Edema' and 'edema_' are one finding"):
        Folder(tmp_path)
    (tmp_path / "labels.csv").write_text("image_id,edema\na,1\n")
    (tmp_path / "boxes.csv").write_text("image_id,x,y,width,height\n")
    with pytest.raises(DataError, match=r"boxes\.csv: column 'finding' is missing"):
        Folder(tmp_path)


def test_a_folder_without_an_image_yields_nothing(tmp_path):
    assert read(tmp_path) == ({}, [], [])


def test_a_table_of_real_films(tmp_path):
    folder = Path(__file__).parents[4] / "shared" / "data" / "nih_chestxray14"
    if not folder.is_dir():
        pytest.skip("the real films are not there (../shared/data/nih_chestxray14)")
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        films = list(csv.DictReader(file))
    with (tmp_path / "images.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "patient_id", "view", "age", "sex", "Cardiomegaly", "Effusion", "source"])
        for film in films:
            findings = film["finding_labels_nih"].split("|")
            has = [int(name in findings) for name in ("Cardiomegaly", "Effusion")]
            path = folder / film["image"]
            writer.writerow([path, *(film[c] for c in ("patient_id", "view", "age", "sex")), *has, "NIH"])
    records, skipped, notes = read(tmp_path)
    assert skipped == []
    assert len(records) == len(films) > 100
    for record, film in zip(records.values(), films, strict=True):
        assert record.path == folder / film["image"]
        assert record.path.is_file()
        assert record.study_id == record.image_id  # not the one folder that holds all patients
        assert (record.patient_id, record.view, record.sex) == (film["patient_id"], film["view"], film["sex"])
        assert record.age_years == float(film["age"])
        assert record.labels["cardiomegaly"] == int("Cardiomegaly" in film["finding_labels_nih"])
    assert notes[0] == "images.csv: columns without 1 or 0 were passed over: source."
