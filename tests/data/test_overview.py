import shutil
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from offclip.data.contact_sheet import Tile, contact_sheet
from offclip.data.overview import look
from offclip.errors import DataError


@pytest.fixture
def folder(tmp_path):
    """Six films of two sizes in two folders, a table, a broken film and what systems leave."""
    root = tmp_path / "films"
    for number in range(6):
        path = root / f"{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20 + number, 30), 100, np.uint8)).save(path)
    (root / "labels.csv").write_text("image_id\n")
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "Thumbs.db").write_bytes(b"x")
    return root


def test_folder_is_counted_and_read(folder):
    overview = look(folder, workers=1)
    assert overview.files == Counter({".png": 7, ".csv": 1, ".db": 1})
    assert overview.folders == 3
    assert overview.bytes == sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    assert overview.sampled == 7
    assert overview.facts["format"] == Counter(PNG=6)
    assert overview.size_range() == "20 x 30 to 25 x 30 (median 23 x 30)"
    assert {reason: len(cases) for reason, cases in overview.refused.items()} == {"truncated": 1}
    assert len(overview.tiles) == 6
    assert overview.tiles[0].square.shape == (160, 160)
    assert overview.complete


def test_sample_is_drawn_with_a_seed(folder):
    def names(seed: int) -> list[str]:
        return [tile.lines[0] for tile in look(folder, sample=3, seed=seed, workers=1).tiles]

    drawn = {seed: names(seed) for seed in range(4)}
    assert all(len(found) <= 3 for found in drawn.values())
    assert names(1) == drawn[1]
    assert len({tuple(found) for found in drawn.values()}) > 1


def test_archive_is_read_from_its_beginning(folder, tmp_path):
    archive = tmp_path / "films.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.png")):
            file.write(path, path.name)
    overview = look(archive, sample=2, workers=1)
    assert overview.sampled == 2
    assert not overview.complete
    assert [tile.lines[0] for tile in overview.tiles] == ["0.png", "2.png"]
    whole = look(archive, workers=1)
    assert whole.complete
    assert whole.files.total() == 7


def test_folder_of_archives_shows_the_first(folder, tmp_path):
    boxes = tmp_path / "boxes"
    boxes.mkdir()
    shutil.make_archive(str(boxes / "a"), "gztar", folder)
    overview = look(boxes, workers=1)
    assert overview.files == Counter({".gz": 1})
    assert len(overview.tiles) == 6


def test_study_table_shows_its_images(phantom):
    overview = look(phantom / "studies.parquet", sample=5, workers=1)
    assert set(overview.files) == {".png"}
    assert overview.sampled == len(overview.tiles) == 5


def test_nothing_to_look_at_is_an_error(tmp_path):
    with pytest.raises(DataError, match="holds no file"):
        look(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        look(tmp_path / "nowhere")


def test_contact_sheet_shows_every_film_in_its_place():
    tiles = [Tile(np.full((40, 40), 50 * n, np.uint8), ("x" * 100, "PA")) for n in range(1, 4)]
    sheet = contact_sheet(tiles, columns=2)
    values, counts = np.unique(sheet, return_counts=True)
    found = dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert all(found[50 * n] >= 1600 for n in range(1, 4))
    assert sheet[30, 30] == 50
    assert sheet[30, 80] == 100
    assert sheet[120, 30] == 150
