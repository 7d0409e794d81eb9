"""Archives and folders made to do harm: each member is a film or listed, or the archive is an error."""

import gzip
import io
import os
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from hostile_fates import peak_mb
from hostile_specimens import specimens

from offclip.data.files import Skipped
from offclip.data.image_files import image_files, read_many
from offclip.errors import DataError
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.reasons import Reason

LIMITED = ReadOptions(limits=Limits(max_file_bytes=4 * 2**20, seconds=20))
PNG = specimens()["file-png"].data


def told(entries):
    """Names of the films, and word of the reason by name of what was skipped."""
    films, skipped = [], {}
    for entry in entries:
        if isinstance(entry, Skipped):
            skipped[entry.id] = entry.reason.split(":")[0]
            assert skipped[entry.id] in set(Reason), entry
        else:
            films.append(entry.file.name)
    return films, skipped


def zip_of(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tar_member(archive, name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    archive.addfile(info, io.BytesIO(data))


def test_members_that_unpack_to_much_are_listed_and_the_rest_is_read(tmp_path):
    path = zip_of(tmp_path / "bomb.zip", {"a.png": PNG, "bomb.dcm": bytes(120 * 2**20), "z.png": PNG})
    assert path.stat().st_size < 2**20
    found = []
    assert peak_mb(lambda: found.extend(read_many(path, LIMITED, workers=1))) < 100
    assert told(found) == (["a.png", "z.png"], {"bomb.dcm": "file-too-large"})


def test_a_zip_whose_directory_lies_about_a_size(tmp_path):
    path = zip_of(tmp_path / "lie.zip", {"bomb.dcm": bytes(64 * 2**20), "z.png": PNG})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    struct.pack_into("<L", data, at + 24, 1000)  # says 1,000 bytes in the directory
    path.write_bytes(data)
    found = []
    assert peak_mb(lambda: found.extend(read_many(path, LIMITED, workers=1))) < 40
    films, skipped = told(found)
    assert films == ["z.png"]
    assert skipped["bomb.dcm"] in ("damaged", "file-too-large", "not-an-image")


def test_members_that_lie_over_each_other(tmp_path):
    # A thousand entries of the directory for the same packed megabyte.
    path = zip_of(tmp_path / "one.zip", {"0000.dcm": bytes(3 * 2**20)})
    data = path.read_bytes()
    begin = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    entry = data[begin:end]
    entries = b"".join(entry.replace(b"0000.dcm", b"%04d.dcm" % i) for i in range(1000))
    tail = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 1000, 1000, len(entries), begin, 0)
    path.write_bytes(data[:begin] + entries + tail)
    try:
        films, skipped = told(read_many(path, LIMITED, workers=1))
    except DataError:
        pass  # a bomb
    else:
        assert films == []
        assert set(skipped.values()) <= {"damaged", "not-an-image"}


@pytest.mark.parametrize("kind", ["w:gz", "w"])
def test_a_tar_that_unpacks_to_much(tmp_path, kind):
    path = tmp_path / ("bomb.tgz" if kind == "w:gz" else "bomb.tar")
    with tarfile.open(path, kind, **({"compresslevel": 9} if kind == "w:gz" else {})) as archive:
        tar_member(archive, "a.png", PNG)
        tar_member(archive, "bomb.dcm", bytes(50 * 2**20))
        tar_member(archive, "z.png", PNG)
    found = []
    assert peak_mb(lambda: found.extend(read_many(path, LIMITED, workers=1))) < 40
    assert told(found) == (["a.png", "z.png"], {"bomb.dcm": "file-too-large"})


def test_a_sparse_member_of_a_tar_that_says_it_is_huge(tmp_path):
    path = tmp_path / "sparse.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        headers = {
            "GNU.sparse.size": str(2**40),
            "GNU.sparse.numblocks": "1",
            "GNU.sparse.map": f"{2**40 - 1},1",
        }
        tar_member(archive, "huge.dcm", b"x", pax_headers=headers)
        tar_member(archive, "z.png", PNG)
    found = []
    assert peak_mb(lambda: found.extend(read_many(path, LIMITED, workers=1))) < 40
    films, skipped = told(found)
    assert films == ["z.png"]
    assert skipped == {"huge.dcm": "file-too-large"}


@pytest.mark.parametrize(
    "size", [b"\x80" + bytes(10) + b"\xff", b"\xff" * 12, b"77777777777\0", b"notanumber\0\0"]
)
def test_a_tar_whose_sizes_lie(tmp_path, size):
    path = tmp_path / "lie.tar"
    with tarfile.open(path, "w") as archive:
        tar_member(archive, "a.png", PNG)
        tar_member(archive, "b.png", PNG)
    data = bytearray(path.read_bytes())
    at = data.index(b"b.png")
    data[at + 124 : at + 136] = size
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    path.write_bytes(data)
    films = []
    try:
        films, skipped = told(read_many(path, LIMITED, workers=1))
        assert set(skipped) <= {"b.png"}
    except DataError:
        pass  # a tar cannot be read beyond a broken header
    assert films in ([], ["a.png"])


def test_links_devices_and_ways_out_of_an_archive(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG)
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / "t.tar", "w") as archive:
        for name, kind in (("link.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE)):
            tar_member(archive, name, type=kind, linkname=str(secret))
        tar_member(archive, "pipe.png", type=tarfile.FIFOTYPE)
        tar_member(archive, "zero.png", type=tarfile.CHRTYPE, devmajor=1, devminor=5)
        tar_member(archive, "../../outside.png", PNG)
        tar_member(archive, "/etc/absolute.png", PNG)
    zip_of(root / "z.zip", {"../../outside.png": PNG, "/etc/absolute.png": PNG, "c:\\windows\\x.png": PNG})
    before = sorted(tmp_path.rglob("*"))
    films, skipped = told(read_many(root, LIMITED, workers=1))
    assert sorted(tmp_path.rglob("*")) == before  # nothing is written
    assert not skipped
    assert len(films) == 5
    assert not any("link" in name or "hard" in name or "zero" in name for name in films)


def test_archives_within_archives_are_not_opened(tmp_path):
    inner = zip_of(tmp_path / "i.zip", {"x.png": PNG}).read_bytes()
    for _ in range(5):
        inner = zip_of(tmp_path / "i.zip", {"i.zip": inner, "a.tgz": b"x"}).read_bytes()
    films, skipped = told(read_many(tmp_path / "i.zip", LIMITED, workers=1))
    assert films == []
    assert skipped == {"i.zip": "unsupported-format", "a.tgz": "unsupported-format"}


def test_a_hundred_thousand_empty_members(tmp_path):
    # Written by hand: zipfile itself needs longer for it than the reader may.
    local = b"".join(
        struct.pack("<4sHHHHHLLLHH", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 9, 0) + b"%05d.dcm" % i
        for i in range(100_000)
    )
    central = b"".join(
        struct.pack("<4sHHHHHHLLLHHHHHLL", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 9, 0, 0, 0, 0, 0, 39 * i)
        + b"%05d.dcm" % i
        for i in range(100_000)
    )
    zip64 = struct.pack(
        "<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 100_000, 100_000, len(central), len(local)
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(local) + len(central), 1)
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 65535, 65535, len(central), len(local), 0)
    path = tmp_path / "many.zip"
    path.write_bytes(local + central + zip64 + locator + end)
    # Were it a square in their number, this would not come to an end.
    assert sum(1 for _ in image_files(path, LIMITED)) == 100_000


def test_empty_members_are_refused_one_by_one(tmp_path):
    path = zip_of(tmp_path / "empty.zip", {f"{i}.dcm": b"" for i in range(50)})
    films, skipped = told(read_many(path, LIMITED, workers=1))
    assert films == []
    assert set(skipped.values()) == {"empty"}
    assert len(skipped) == 50


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_names_that_are_not_utf_8(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    odd = os.fsencode(root) + b"/gr\xf6sse.png"
    try:
        with open(odd, "wb") as file:  # noqa: PTH123  (a name of bytes)
            file.write(PNG)
    except OSError:
        pytest.skip("this file system takes no such name")
    with tarfile.open(root / "t.tar", "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as archive:
        tar_member(archive, "gr\xf6sse.png", PNG)
    path = zip_of(root / "z.zip", {"gr_sse.png": PNG})
    path.write_bytes(path.read_bytes().replace(b"gr_sse", b"gr\xf6sse"))
    films, skipped = told(read_many(root, LIMITED, workers=1))
    assert len(films) + len(skipped) == 3
    for name in (*films, *skipped):
        assert name.isprintable() or "\udcf6" in name
    assert "z.zip/gr" in "".join(films)


def test_an_encrypted_member_and_an_unknown_method(tmp_path):
    path = zip_of(tmp_path / "x.zip", {"a.png": PNG, "b.png": PNG, "z.png": PNG})
    data = bytearray(path.read_bytes())
    for name, offset, value in ((b"a.png", 8, 1), (b"b.png", 10, 99)):
        at = data.rindex(name) - 46
        struct.pack_into("<H", data, at + offset, value)
        at = data.index(name) - 30
        struct.pack_into("<H", data, at + offset - 2, value)
    path.write_bytes(data)
    films, skipped = told(read_many(path, LIMITED, workers=1))
    assert (films, skipped) == (["z.png"], {"a.png": "damaged", "b.png": "damaged"})


@pytest.mark.parametrize("ending", ["zip", "tgz", "tar"])
def test_archives_with_flipped_bits_and_cut_ends(tmp_path, ending):
    rng = np.random.default_rng(5)
    path = tmp_path / f"x.{ending}"
    if ending == "zip":
        zip_of(path, {f"{i}.png": PNG for i in range(4)})
    else:
        with tarfile.open(path, "w:gz" if ending == "tgz" else "w") as archive:
            for i in range(4):
                tar_member(archive, f"{i}.png", PNG)
    sound = path.read_bytes()
    errors = 0
    for _ in range(150):
        changed = bytearray(sound)
        if rng.random() < 0.3:
            changed = changed[: rng.integers(1, len(changed))]
        for _ in range(rng.integers(1, 4)):
            changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        films = []
        try:
            films += [entry.data for entry in image_files(path, LIMITED) if not isinstance(entry, Skipped)]
            # The check sum of a tgz stands behind its end: a damaged member may come before the error.
            assert ending == "tar" or set(films) <= {PNG}
        except DataError:
            errors += 1
        assert ending != "zip" or set(films) <= {PNG}
    assert errors > 10


def test_a_gzip_that_becomes_a_thousand_times_as_much_takes_no_memory(tmp_path):
    # Whether it is refused as a bomb, tests/data says; here it is within what is allowed for a small file.
    path = tmp_path / "zeros.tgz"
    path.write_bytes(gzip.compress(bytes(128 * 2**20), 9))
    found = []
    assert peak_mb(lambda: found.extend(image_files(path, LIMITED))) < 40
    assert found == []


def test_folders_that_form_a_circle(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(PNG)
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    films, skipped = told(read_many(tmp_path, LIMITED, workers=1))
    assert films == ["a/x.png"]
    assert set(skipped.values()) <= {"not-a-file"}
