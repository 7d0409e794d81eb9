"""Hostile and broken archives: nothing is unpacked, nothing grows, nothing outside is reached."""

import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from offclip.data.files import Skipped
from offclip.data.sources import limits, open_source
from offclip.data.sources.limits import MAX_FILE_BYTES, ForwardReader
from offclip.data.sources.members import members
from offclip.errors import DataError


def everything(path):
    return list(members(path, lambda name: True))


def tar_of(path, infos: list[tuple[tarfile.TarInfo, bytes]], mode="w"):
    with tarfile.open(path, mode) as archive:
        for info, content in infos:
            info.size = len(content) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(content))
    return path


def test_links_devices_and_odd_names_in_a_tar(tmp_path):
    link, hard, fifo = tarfile.TarInfo("link.txt"), tarfile.TarInfo("hard.txt"), tarfile.TarInfo("fifo.txt")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "good.txt"
    fifo.type = tarfile.FIFOTYPE
    path = tar_of(
        tmp_path / "t.tar",
        [
            (tarfile.TarInfo("good.txt"), b"Clear."),
            (link, b""),
            (hard, b""),
            (fifo, b""),
            (tarfile.TarInfo("n" * 600 + ".txt"), b"Clear."),
            (tarfile.TarInfo("two\nlines.txt"), b"Clear."),
            (tarfile.TarInfo("../../up.txt"), b"Clear."),
        ],
    )
    found = everything(path)
    assert [m.name for m in found if not isinstance(m, Skipped)] == ["good.txt", "../../up.txt"]
    assert ["longer than 500" in m.reason for m in found if isinstance(m, Skipped)] == [True, True]
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_tar_of_many_members_is_read_in_order_whatever_their_sizes(tmp_path):
    contents = [(f"{n}.txt", b"x" * (n * 97 % 2100)) for n in range(400)] + [("last.txt", b"y" * 512)]
    path = tar_of(tmp_path / "t.tgz", [(tarfile.TarInfo(name), text) for name, text in contents], "w:gz")
    assert [(m.name, m.data) for m in everything(path)] == contents


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FREE_BYTES", 2**20)
    path = tar_of(tmp_path / "bomb.tgz", [(tarfile.TarInfo("a.txt"), bytes(100 * 2**20))], "w:gz")
    with pytest.raises(DataError, match="unpacks to more than 100 times its size"):
        everything(path)


def test_a_member_that_is_too_large_is_listed_and_not_read(tmp_path):
    infos = [(tarfile.TarInfo("a.txt"), bytes(MAX_FILE_BYTES + 1)), (tarfile.TarInfo("b.txt"), b"Clear.")]
    large, good = everything(tar_of(tmp_path / "t.tgz", infos, "w:gz"))
    assert "a report has at most" in large.reason
    assert good.data == b"Clear."


def test_a_header_that_claims_gigabytes_is_refused(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2**32
    (tmp_path / "t.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    with pytest.raises(DataError, match="a header in it claims"):
        everything(tmp_path / "t.tar")


@pytest.mark.parametrize("cut", [100, 700, 1536, 2500, 40_000])
def test_a_tar_that_is_cut_short_is_refused_not_read_in_part(tmp_path, cut):
    infos = [(tarfile.TarInfo(f"{n}.txt"), b"Clear lungs." * 80) for n in range(60)]
    whole = tar_of(tmp_path / "t.tar", infos).read_bytes()
    (tmp_path / "t.tar").write_bytes(whole[:cut])
    with pytest.raises(DataError, match=r"t\.tar"):
        everything(tmp_path / "t.tar")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_tgz_that_is_cut_short_is_refused(tmp_path, share):
    infos = [(tarfile.TarInfo(f"{n}.txt"), str(n**50).encode()) for n in range(60)]
    whole = tar_of(tmp_path / "t.tgz", infos, "w:gz").read_bytes()
    (tmp_path / "t.tgz").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"damaged|cannot be read"):
        everything(tmp_path / "t.tgz")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("offclip.data.sources.members.MAX_MEMBERS", 3)
    path = tar_of(tmp_path / "t.tar", [(tarfile.TarInfo(f"{n}.txt"), b"x") for n in range(4)])
    with pytest.raises(DataError, match="more than 3 files"):
        everything(path)
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        for n in range(4):
            archive.writestr(f"{n}.txt", "x")
    with pytest.raises(DataError, match="more than 3 files"):
        everything(tmp_path / "t.zip")


def test_a_zip_with_links_bombs_and_broken_members(tmp_path, monkeypatch):
    path = tmp_path / "t.zip"
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("large.txt", bytes(MAX_FILE_BYTES + 1))
        archive.writestr("good.txt", "Clear lungs.", zipfile.ZIP_STORED)
        archive.writestr("broken.txt", "No effusion at all.", zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"No effusion at all.", b"An effusion at all."))
    found = {m.name if not isinstance(m, Skipped) else m.id: m for m in everything(path)}
    assert found.keys() == {"large.txt", "good.txt", "broken.txt"}
    assert "a report has at most" in found["large.txt"].reason
    assert "cannot be unpacked" in found["broken.txt"].reason
    assert found["good.txt"].data == b"Clear lungs."

    monkeypatch.setattr(limits, "FREE_BYTES", 1000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(20):
            archive.writestr(f"{n}.txt", bytes(2**20))
    with pytest.raises(DataError, match="unpacks to more than 100 times"):
        everything(path)


def test_an_encrypted_member_is_listed(tmp_path):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "Clear.")
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag in the member's own header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(data)
    (entry,) = open_source(path).read()
    assert "encrypted" in entry.reason


def test_the_reader_steps_back_one_byte_and_no_further(tmp_path):
    content = bytes(range(256)) * 40
    for name, data in (("plain", content), ("packed", gzip.compress(content))):
        (tmp_path / name).write_bytes(data)
        reader = ForwardReader(tmp_path / name)
        assert reader.read(100) == content[:100]
        assert reader.seek(99) == 99
        assert reader.read(3) == content[99:102]
        assert reader.seek(5000) == 5000
        assert reader.read(10**4) == content[5000:15000]
        with pytest.raises(DataError, match="damaged"):
            reader.seek(3)
        reader.close()
