"""boxes.csv and masks.csv: what is taken, what is left out, and why."""

import numpy as np
import polars as pl
import pytest
from PIL import Image

from offclip.data.files import write_csv
from offclip.errors import DataError
from offclip.evaluation.grounding.tables import MaskFile, open_mask, open_masks, read_grounding_folder

FILM = np.full((20, 30), 128, np.uint8)


@pytest.fixture
def folder(tmp_path, write_film):
    """Three films of two patients, one of them lateral; no boxes and no masks yet."""
    rows = []
    for name, patient, view, split in (
        ("a", "p1", "PA", "test"),
        ("b", "p1", "lateral", "test"),
        ("c", "p2", "AP", "validate"),
    ):
        write_film(tmp_path / f"{name}.png", FILM)
        rows.append((f"s{name}", patient, name, f"{name}.png", view, split, "Clear."))
    columns = ["study_id", "patient_id", "image_id", "image_path", "view", "split", "report"]
    write_csv(pl.DataFrame(rows, schema=columns, orient="row"), tmp_path / "reports.csv")
    return tmp_path


def write_boxes(folder, *rows):
    text = "image_id,finding,x,y,width,height\n" + "\n".join(rows) + "\n"
    (folder / "boxes.csv").write_text(text, encoding="utf-8")


def write_masks(folder, *rows):
    (folder / "masks.csv").write_text("image_id,finding,mask\n" + "\n".join(rows) + "\n", encoding="utf-8")


def write_mask(path, covered, mode="1"):
    Image.fromarray(np.asarray(covered, np.uint8) * 255).convert(mode).save(path)
    return path


def test_boxes_and_masks_join_their_images_by_id(folder):
    write_boxes(folder, "c,Mass,1,2,3,4", "a,Nodule,1,2,3,4", "a,mass,5,6,7,8", "a,nodule,9,9,2,2")
    write_masks(folder, "a,Edema,masks/a.png")
    data = read_grounding_folder(folder)
    assert list(data.images) == ["test", "validate"]
    (image,) = data.images["test"]
    assert (image.ref.image_id, image.patient_id) == ("a", "p1")
    assert image.findings == ("edema", "mass", "nodule")
    assert [box.x for box in image.boxes if box.finding == "nodule"] == [1, 9]
    assert image.masks[0].path == folder / "masks" / "a.png"
    assert not data.skipped


def test_rows_that_cannot_be_used_are_listed(folder):
    write_boxes(folder, "a,mass,1,2,3,4", "a,mass,1,2,x,4", "a,,1,2,3,4", "a,mass,1,2,0,4", "z,mass,1,2,3,4",
                "z,mass,1,2,3,4", "b,mass,1,2,3,4")  # fmt: skip
    write_masks(folder, "a,edema,", "y,edema,y.png")
    data = read_grounding_folder(folder)
    assert len(data.images["test"][0].boxes) == 1
    listed = [(s.row, s.id, s.reason.split(",")[0]) for s in data.skipped]
    assert listed == [
        (3, "a", "x"),
        (4, "a", "no id"),
        (5, "a", "no id"),
        (2, "a", "no id"),
        (0, "z", "no such image in the table"),
        (0, "b", "a lateral view"),
        (0, "y", "no such image in the table"),
    ]


def test_a_folder_without_anything_to_point_at_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match=r"neither boxes\.csv nor masks\.csv"):
        read_grounding_folder(folder)
    with pytest.raises(DataError, match="no such folder"):
        read_grounding_folder(tmp_path / "none")
    write_boxes(folder, "z,mass,1,2,3,4")
    with pytest.raises(DataError, match="no frontal image of the table has a box or a mask"):
        read_grounding_folder(folder)
    (folder / "reports.csv").unlink()
    with pytest.raises(DataError, match=r"neither studies\.parquet nor reports\.csv"):
        read_grounding_folder(folder)
    (folder / "boxes.csv").write_text("image_id,finding\na,mass\n", encoding="utf-8")
    text = "study_id,patient_id,image_path,report\ns,p,a.png,Clear.\n"
    (folder / "reports.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="'x' is missing"):
        read_grounding_folder(folder)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_a_mask_is_where_the_png_is_not_black(tmp_path, mode):
    covered = np.zeros((20, 30), bool)
    covered[3:5, 7:9] = True
    file = MaskFile("mass", write_mask(tmp_path / "m.png", covered, mode), "masks.csv", 2)
    assert (open_mask(file, 20, 30).covered == covered).all()


def test_masks_that_cannot_be_used_are_listed_with_their_row(tmp_path):
    half = np.zeros((20, 30), bool)
    half[:, :15] = True
    write_mask(tmp_path / "good.png", half)
    write_mask(tmp_path / "size.png", half[:10])
    write_mask(tmp_path / "empty.png", half & False)
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30).astype(np.uint8)).save(
        tmp_path / "grey.png"
    )
    Image.fromarray(FILM).save(tmp_path / "jpeg.png", "JPEG")
    (tmp_path / "broken.png").write_bytes((tmp_path / "good.png").read_bytes()[:40])
    names = ["good", "size", "empty", "grey", "jpeg", "broken", "gone"]
    files = [MaskFile("mass", tmp_path / f"{name}.png", "masks.csv", n) for n, name in enumerate(names)]
    masks, skipped = open_masks(files, "a", (20, 30))
    assert len(masks) == 1
    reasons = {s.row: s.reason for s in skipped}
    assert list(reasons) == [1, 2, 3, 4, 5, 6]
    assert "10 x 30 pixels, the image 20 x 30" in reasons[1]
    assert "covers nothing" in reasons[2]
    assert "two grey values" in reasons[3]
    assert "JPEG" in reasons[4]
    assert all(s.id == "a" and s.source == "masks.csv" for s in skipped)


def test_a_mask_that_unpacks_to_too_many_pixels_is_refused_by_its_header(tmp_path):
    Image.new("1", (9000, 9000), 1).save(tmp_path / "bomb.png")
    masks, skipped = open_masks([MaskFile("mass", tmp_path / "bomb.png", "m", 2)], "a", (9000, 9000))
    assert not masks
    assert "pixels" in skipped[0].reason
