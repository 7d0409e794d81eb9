from pathlib import Path

import pytest
from PIL import Image

from offclip.data.datasets.label_map import LabelMap
from offclip.data.datasets.readers.tuberculosis import Montgomery, Shenzhen, shenzhen_reading
from offclip.data.datasets.record import ImageRecord
from offclip.data.files import Skipped
from offclip.errors import DataError


def film(folder: Path, name: str, reading: str | None) -> None:
    for part in ("CXR_png", "ClinicalReadings"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 3)).save(folder / "CXR_png" / f"{name}.png")
    if reading is not None:
        (folder / "ClinicalReadings" / f"{name}.txt").write_bytes(reading.encode("cp1252"))


def read(reader: Montgomery | Shenzhen) -> tuple[list[ImageRecord], list[Skipped]]:
    items = list(reader.read())
    records = [item for item in items if isinstance(item, ImageRecord)]
    return records, [item for item in items if isinstance(item, Skipped)]


def montgomery(root: Path) -> Path:
    folder = root / "MontgomerySet"
    film(folder, "MCUCXR_0001_0", "Patient's Sex: F \r\nPatient's Age: 027Y\r\nnormal \r\n")
    reading = "Patient's Sex: M\nPatient's Age: 061Y\nCavitary infiltrate in RUL.\nPleural effusion\n"
    film(folder, "MCUCXR_0108_1", reading)
    for side in ("leftMask", "rightMask"):
        (folder / "ManualMask" / side).mkdir(parents=True)
        Image.new("1", (4, 3)).save(folder / "ManualMask" / side / "MCUCXR_0001_0.png")
    (folder / "CXR_png" / "Thumbs.db").write_bytes(b"\0")
    return folder


def test_montgomery(tmp_path):
    folder = montgomery(tmp_path)
    reader = Montgomery(tmp_path)
    records, skipped = read(reader)
    assert skipped == []
    assert reader.notes == []
    assert records == [
        ImageRecord(
            "MCUCXR_0001_0",
            "MCUCXR_0001",
            "MCUCXR_0001",
            folder / "CXR_png" / "MCUCXR_0001_0.png",
            view="PA",
            age_years=27,
            sex="F",
            labels={"Tuberculosis": 0, "Normal": 1},
            report="normal",
            source=str(folder / "ClinicalReadings" / "MCUCXR_0001_0.txt"),
        ),
        ImageRecord(
            "MCUCXR_0108_1",
            "MCUCXR_0108",
            "MCUCXR_0108",
            folder / "CXR_png" / "MCUCXR_0108_1.png",
            view="PA",
            age_years=61,
            sex="M",
            labels={"Tuberculosis": 1, "Normal": 0},
            report="Cavitary infiltrate in RUL.\nPleural effusion",
            source=str(folder / "ClinicalReadings" / "MCUCXR_0108_1.txt"),
        ),
    ]
    assert [path.name for path in reader.tables()] == ["MCUCXR_0001_0.txt", "MCUCXR_0108_1.txt"]
    labels = LabelMap("montgomery", records[0].labels)
    assert labels.findings == ("tuberculosis",)
    assert [labels.read(tuple(r.labels.values())).code for r in records] == ["10", "01"]


def test_the_folder_of_the_set_may_be_the_root(tmp_path):
    assert len(read(Montgomery(montgomery(tmp_path)))[0]) == 2


def test_shenzhen(tmp_path):
    folder = tmp_path / "ChinaSet_AllFiles"
    film(folder, "CHNCXR_0001_0", "male 45yrs\nnormal")
    film(folder, "CHNCXR_0335_1", "Female , 24yrs\n\nsecondary PTB  in the right upper field\n")
    (folder / "ClinicalReadings" / "CHNCXR_0336_1.txt").write_text("male 10months \n right PTB")
    records, skipped = read(Shenzhen(tmp_path))
    assert skipped == []
    assert [(r.image_id, r.patient_id, r.age_years, r.sex, r.report) for r in records] == [
        ("CHNCXR_0001_0", "CHNCXR_0001", 45, "M", "normal"),
        ("CHNCXR_0335_1", "CHNCXR_0335", 24, "F", "secondary PTB  in the right upper field"),
        ("CHNCXR_0336_1", "CHNCXR_0336", pytest.approx(10 / 12), "M", "right PTB"),
    ]
    assert [list(r.labels.values()) for r in records] == [[0, 1], [1, 0], [1, 0]]
    assert [r.path.is_file() for r in records] == [True, True, False]
    assert LabelMap("shenzhen", records[0].labels).findings == ("tuberculosis",)


@pytest.mark.parametrize(
    ("line", "sex", "age"),
    [
        ("male 45yrs", "M", 45),
        ("Male,28yr", "M", 28),
        ("femal 32yrs", "F", 32),
        ("female  4 months", "F", 1 / 3),
        ("female 64days", "F", 64 / 365.25),
        ("Female, 28 years.", "F", 28),
        ("male 33", "M", 33),
        ("male45yrs", "M", 45),
        ("female", "F", None),
        ("no header here", "", None),
    ],
)
def test_the_first_lines_of_shenzhen(line, sex, age):
    reading = shenzhen_reading(f"{line}\nnormal")
    assert (reading.sex, reading.age) == (sex, age if age is None else pytest.approx(age))
    assert reading.text.endswith("normal")
    assert shenzhen_reading("").text == ""


def test_odd_files_are_told(tmp_path):
    folder = montgomery(tmp_path)
    film(folder, "MCUCXR_0002_0", "Patient's Sex: F\nPatient's Age: 412Y\nScar in the left upper lobe – old")
    film(folder, "MCUCXR_0003_0", None)
    film(folder, "MCUCXR_0004_2", "normal")
    film(folder, "MCUCXR_0005_0", "\0\0")
    reader = Montgomery(tmp_path)
    records, skipped = read(reader)
    by_id = {r.image_id: r for r in records}
    assert by_id["MCUCXR_0002_0"].age_years is None
    assert by_id["MCUCXR_0002_0"].report.endswith("– old")
    assert by_id["MCUCXR_0003_0"].report == ""
    assert [s.id for s in skipped] == ["MCUCXR_0004_2", "MCUCXR_0005_0"]
    assert "name" in skipped[0].reason
    assert "zero bytes" in skipped[1].reason
    assert len(reader.notes) == 2
    assert reader.notes[0].startswith("1 film(s) have no reading")
    assert reader.notes[1].startswith("1 film(s) have a reading that does not say")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="ChinaSet_AllFiles/CXR_png"):
        Shenzhen(tmp_path)
