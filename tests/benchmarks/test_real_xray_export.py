from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from xray_modules import DATA, load

from offclip.data.exports import studies_from_export
from offclip.data.files import write_csv
from offclip.data.study import write_studies
from offclip.evaluation.truth import read_evaluation_folder
from offclip.zeroshot.prompts import NORMAL_PROMPTS

text, export, script = load("real_xray_text"), load("real_xray_export"), load("real_xray")
runs = load("real_xray_runs")

BANK = text.make_bank(
    [
        ("FINDINGS: Clear lungs. No pneumothorax.", False),
        ("FINDINGS: Small left pleural effusion. No pneumothorax.", True),
        ("FINDINGS: Right lower lobe pneumonia. The heart is normal.", True),
    ]
)


def make_data(root: Path) -> Path:
    """Forty made-up films of fifteen patients in the layout of the two NIH folders; one film is in both."""
    rng = np.random.default_rng(0)
    large, small = [], []
    for number in range(40):
        name = f"{number % 15:08d}_{number:03d}.png"
        abnormal = number % 2
        row = {
            "image": f"images/{name}",
            "nih_image_index": name,
            "patient_id": str(number % 15),
            "finding_labels_nih": "Effusion|Pneumonia" if abnormal else "No Finding",
            "view": "PA" if number % 3 else "AP",
        }
        dev = number % 15 < 3
        read = {"rsna_class": "", "abnormal_radiologist": "", "split_suggested": "dev" if dev else "train"}
        if dev and number < 30:
            read |= {"rsna_class": "Normal", "abnormal_radiologist": "0"}
        if number <= 25:
            large.append(row | read)
        if number >= 25:
            small.append(row | {"patient_in_nih_dev": str(int(dev))})
    for folder, rows in ((export.LARGE, large), (export.SMALL, small)):
        (root / folder / "images").mkdir(parents=True)
        for row in rows:
            Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(root / folder / row["image"])
        pl.DataFrame(rows).write_csv(root / folder / "metadata.csv")
    box = {"image": large[1]["image"], "label": "Lung Opacity", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}
    pl.DataFrame([box]).write_csv(root / export.LARGE / "boxes.csv")
    return root


@pytest.mark.parametrize("protocol", ["labels", "radiologist"])
def test_export_is_usable_and_splits_patients(tmp_path: Path, protocol: str) -> None:
    images = export.read_nih(make_data(tmp_path / "data"))
    assert len({image.image_id for image in images}) == len(images) == 40
    rows = export.PROTOCOLS[protocol](images)
    out = tmp_path / "export"
    export.write_export(out, rows, images, BANK)
    studies, skipped = studies_from_export(out / "reports.csv")
    assert not skipped
    assert len(studies) == len(rows)
    splits = defaultdict(set)
    for patient, split in studies.select("patient_id", "split").iter_rows():
        splits[patient].add(split)
    assert all(len(found) == 1 for found in splits.values())
    data = read_evaluation_folder(out)
    assert not data.skipped
    assert [box.finding for boxes in data.boxes.values() for box in boxes] == ["opacity"]
    assert set(pl.read_csv(out / "reports.csv")["pairing"]) == {"weak pairing"}


def test_export_is_deterministic(tmp_path: Path) -> None:
    images = export.read_nih(make_data(tmp_path / "data"))
    for out in ("one", "two"):
        export.write_export(tmp_path / out, export.protocol_a(images), images, BANK)
    for name in ("reports.csv", "labels.csv", "boxes.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_protocol_b_keeps_dev_patients_apart(tmp_path: Path) -> None:
    images = export.read_nih(make_data(tmp_path / "data"))
    rows = export.protocol_b(images)
    dev = {image.patient_id for image in images if image.evaluation}
    for row in rows:
        assert (row["split"] == "test") == (row["patient_id"] in dev)
        assert row["split"] != "test" or export.LARGE in row["image_path"]
        assert row["normal"] != "1" or row["pleural effusion"] == "0"  # radiologists outrank the NIH label
    test = [row for row in rows if row["split"] == "test"]
    assert {row["normal"] for row in test} == {"1"}  # everyone who was read was called normal here


def test_missing_data_is_a_message_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["real_xray.py", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert script.main() == 2
    assert "there is no nih_chestxray14" in capsys.readouterr().err


def test_export_of_the_real_images(tmp_path: Path) -> None:
    if not (DATA / export.LARGE).is_dir():
        pytest.skip(f"{DATA} is not there")
    images = export.read_nih(DATA)
    assert len(images) == 1760  # 823 + 939, two of them in both folders
    for protocol, count in (("labels", 1760), ("radiologist", 1734)):
        folder = script.export(DATA, tmp_path, protocol)
        data = read_evaluation_folder(folder)
        assert sum(map(len, data.images.values())) == count
        assert not data.skipped
    test = data.labels.select([ref.image_id for ref in data.images["test"]])
    assert (int((test.normal == 1).sum()), int((test.normal == 0).sum()), len(test.normal)) == (38, 87, 184)
    assert len({ref.image_id for ref in data.images["test"]} & set(data.boxes)) == 81


def test_views_leave_unknown_and_too_few_out(tmp_path: Path) -> None:
    images = export.read_nih(make_data(tmp_path / "data"))
    out = tmp_path / "export"
    rows = export.protocol_b(images)
    export.write_export(out, rows, images, BANK)
    studies, _ = studies_from_export(out / "reports.csv")
    write_studies(studies, out / "studies.parquet")
    few = [row for row in rows if row["view"] == "AP"][:6]
    scored = [row for row in rows if row["view"] == "PA"] + few
    scores = {"image_id": [row["image_id"] for row in scored]}
    values = [float(row["normal"] == "1") for row in scored]
    write_csv(pl.DataFrame(scores | dict.fromkeys(NORMAL_PROMPTS, values)), tmp_path / "scores.csv")
    found = runs.by_view(out, tmp_path)
    known = [row for row in scored if row["normal"]]
    assert found["PA_normals"] == sum(row["view"] == "PA" and row["normal"] == "1" for row in known)
    assert found["PA_worst_prompt_normal_auc"] == 1.0
    assert min(found["AP_normals"], found["AP_abnormals"]) < 5
    assert found["AP_normal_auc"] is None
