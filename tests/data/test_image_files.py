"""Folders and archives of images: what is handed on, what is passed over, what is listed."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from offclip.data.files import Skipped
from offclip.data.image_files import ReadFile, image_files, read_many
from offclip.errors import DataError
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.preprocess import Preprocess

LIMITED = ReadOptions(limits=Limits(max_file_bytes=5000))


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 30), grey, np.uint8)).save(file, "PNG")
    return file.getvalue()


def zip_of(path, members: dict[str, bytes]):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tar_of(path, members: dict[str, bytes], mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def tree(tmp_path):
    """A folder with films, archives of films, and what systems leave behind."""
    root = tmp_path / "tree"
    for name, data in {
        "b/2.png": png(20),
        "a.dcm": b"no DICOM",
        "b/.hidden.png": png(1),
        ".git/3.png": png(1),
        "b/Thumbs.db": b"x",
        ".DS_Store": b"x",
        "DICOMDIR": b"x",
        "notes.txt": b"a report",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    inner = zip_of(tmp_path / "inner.zip", {"x.png": png(9)}).read_bytes()
    members = {"s/1.png": png(30), "__MACOSX/s/._1.png": b"x", "inner.ZIP": inner, "big.png": bytes(6000)}
    zip_of(root / "c/films.zip", members | {"s/.2.png": b"x", "s/2.png": png(40)})
    tar_of(root / "d.tgz", {"1.png": png(50), "more.tar.gz": b"x"})
    return root


def test_a_folder_is_walked_with_its_archives(tree):
    found = list(image_files(tree, LIMITED))
    names = [entry.id if isinstance(entry, Skipped) else entry.name for entry in found]
    assert names == [
        "a.dcm",
        "d.tgz/1.png",
        "d.tgz/more.tar.gz",
        "notes.txt",
        "b/2.png",
        "c/films.zip/s/1.png",
        "c/films.zip/inner.ZIP",
        "c/films.zip/big.png",
        "c/films.zip/s/2.png",
    ]
    skipped = {entry.id: entry for entry in found if isinstance(entry, Skipped)}
    assert skipped["c/films.zip/inner.ZIP"].reason.startswith("unsupported-format: an archive inside")
    assert skipped["d.tgz/more.tar.gz"].source == f"{tree}/d.tgz/more.tar.gz"
    assert skipped["c/films.zip/big.png"].reason == "file-too-large: 6,000 bytes; an image has at most 5,000"
    files = {entry.name: entry for entry in found if not isinstance(entry, Skipped)}
    assert files["c/films.zip/s/2.png"].data == png(40)
    assert (files["b/2.png"].data, files["b/2.png"].path) == (None, tree / "b" / "2.png")
    assert sorted(path.name for path in tree.parent.iterdir()) == ["inner.zip", "tree"]  # nothing is unpacked


def test_a_file_an_archive_and_a_name_that_is_not_there(tree, tmp_path):
    assert [file.name for file in image_files(tree / "a.dcm")] == ["a.dcm"]
    assert [
        file.name for file in image_files(tree / "c" / "films.zip", LIMITED) if not isinstance(file, Skipped)
    ] == [
        "s/1.png",
        "s/2.png",
    ]
    with pytest.raises(DataError, match="no such file"):
        list(image_files(tmp_path / "none"))
    hidden = tmp_path / ".cache" / "tree"
    hidden.mkdir(parents=True)
    (hidden / "1.png").write_bytes(png(1))
    assert [file.name for file in image_files(hidden)] == ["1.png"]  # only what lies inside counts as hidden


@pytest.mark.parametrize("name", ["broken.zip", "broken.tar", "broken.tgz"])
def test_a_broken_archive_is_an_error_by_itself_and_an_entry_in_a_folder(tree, name):
    (tree / name).write_bytes(b"\x1f\x8b no archive")
    with pytest.raises(DataError, match="archive"):
        list(image_files(tree / name))
    found = list(image_files(tree))
    (entry,) = [entry for entry in found if isinstance(entry, Skipped) and entry.id == name]
    assert entry.reason.startswith("damaged: ")
    assert any(not isinstance(entry, Skipped) and entry.name == "b/2.png" for entry in found)


def test_a_tar_with_members_beyond_what_a_report_may_have(tmp_path):
    large = np.random.default_rng(0).bytes(20 * 2**20)
    for name, mode in (("a.tar", "w"), ("a.tgz", "w:gz")):
        path = tar_of(tmp_path / name, {"1.dcm": large, "2.dcm": b"x" * 700}, mode)
        first, second = image_files(path)
        assert first.data == large
        assert second.data == b"x" * 700


def test_links_and_odd_names_of_an_archive_reach_nothing(tmp_path):
    path = tmp_path / "t.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("passwd.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("../up.png"))
        archive.addfile(tarfile.TarInfo("two\nlines.png"))
    up, odd = image_files(path)
    assert (up.name, up.data) == ("../up.png", b"")
    assert odd.reason.startswith("not-a-file: its name")


def test_everything_is_read_in_order_or_listed(tree):
    results = list(read_many(tree, LIMITED, workers=1))
    names = [entry.id if isinstance(entry, Skipped) else entry.file.name for entry in results]
    assert names == [
        entry.id if isinstance(entry, Skipped) else entry.name for entry in image_files(tree, LIMITED)
    ]
    films = {entry.file.name: entry for entry in results if isinstance(entry, ReadFile)}
    greys = {name: int(entry.film.pixels[0, 0]) for name, entry in films.items()}
    assert greys == {"d.tgz/1.png": 50, "b/2.png": 20, "c/films.zip/s/1.png": 30, "c/films.zip/s/2.png": 40}
    assert all(entry.geometry is None and entry.file.data is None for entry in films.values())
    reasons = {entry.id: entry.reason.split(":")[0] for entry in results if isinstance(entry, Skipped)}
    assert reasons["notes.txt"] == "not-an-image"
    assert reasons["c/films.zip/big.png"] == "file-too-large"
    assert {entry.id: entry.source for entry in results if isinstance(entry, Skipped)}["a.dcm"] == str(
        tree / "a.dcm"
    )


def test_squares_come_with_their_geometry(tree):
    (only,) = read_many(tree / "b" / "2.png", preprocess=Preprocess(10), workers=1)
    assert only.film.pixels.shape == (10, 10)
    assert (only.geometry.height, only.geometry.width, only.geometry.size) == (20, 30, 10)
    assert (only.film.grid.height, only.film.grid.width) == (20, 30)
