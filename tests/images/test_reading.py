"""The door: what is a file, what is an image, and which reason a refusal carries."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from offclip import images
from offclip.errors import ImageError
from offclip.images import Limits, ReadOptions, Reason, read
from offclip.images.formats.sniff import sniff

GREY = np.random.default_rng(0).integers(0, 256, (24, 36), np.uint8)


def encoded(file_format, image=None, **options):
    buffer = io.BytesIO()
    (image or Image.fromarray(GREY)).save(buffer, file_format, **options)
    return buffer.getvalue()


def refused(source, options=ReadOptions()):
    with pytest.raises(ImageError) as caught:
        read(source, options)
    assert caught.value.remedy
    return caught.value.reason, caught.value.message


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "BMP"])
def test_a_path_and_its_content_give_the_same_film(tmp_path, file_format):
    content = encoded(file_format)
    assert sniff(content) == file_format
    (tmp_path / "film.dcm").write_bytes(content)  # the name does not decide the format
    one, other = read(tmp_path / "film.dcm"), read(content)
    assert np.array_equal(one.pixels, other.pixels)
    assert one.metadata == other.metadata
    assert one.metadata.format == file_format
    assert (one.grid.height, one.grid.width, one.grid.aspect) == (24, 36, 1.0)


def test_a_path_may_be_text_and_messages_take_the_name_that_is_given(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    assert read(str(tmp_path / "a.png")).pixels.shape == (24, 36)
    assert refused(str(tmp_path / "no.png")) == (
        "missing",
        f"{tmp_path / 'no.png'}: the file does not exist.",
    )
    with pytest.raises(ImageError, match=r"^member of a tar: the file is empty"):
        read(b"", name="member of a tar")


def test_missing_files_folders_and_impossible_names(tmp_path):
    for path, reason, message in (
        (tmp_path / "none.png", Reason.MISSING, "does not exist"),
        (tmp_path, Reason.NOT_A_FILE, "is a folder"),
        (tmp_path / ("a" * 300), Reason.NOT_A_FILE, "cannot be opened"),
        ("a\0b.png", Reason.NOT_A_FILE, "cannot be opened"),
    ):
        found, words = refused(path)
        assert found == reason
        assert message in words


def test_a_pipe_and_a_device_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert refused(tmp_path / "pipe.png")[0] == "not-a-file"
    assert refused("/dev/zero")[0] == "not-a-file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    (tmp_path / "a.png").chmod(0)
    assert refused(tmp_path / "a.png")[0] == "not-a-file"


def test_the_size_of_a_file_is_checked_before_it_is_read(tmp_path):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(2**40)  # sparse: takes no room, and would not fit into memory
    reason, message = refused(tmp_path / "a.png")
    assert reason == "file-too-large"
    assert "1,099,511,627,776 bytes are more than" in message
    assert refused(encoded("PNG"), ReadOptions(limits=Limits(max_file_bytes=100)))[0] == "file-too-large"
    (tmp_path / "b.png").touch()
    assert refused(tmp_path / "b.png")[0] == "empty"


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        (b"GIF89a" + bytes(30), "unsupported-format", "a GIF image"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "unsupported-format", "a WebP image"),
        (b"%PDF-1.7\n", "unsupported-format", "a PDF document"),
        (b"PK\x03\x04" + bytes(30), "unsupported-format", "a zip archive"),
        (b"\x1f\x8b\x08" + bytes(30), "unsupported-format", "a gzip file"),
        (bytes(257) + b"ustar\x0000", "unsupported-format", "a tar archive"),
        ((348).to_bytes(4, "little") + bytes(340) + b"n+1\0", "unsupported-format", "a NIfTI volume"),
        (b"\0\0\0\x20ftypheic", "unsupported-format", "HEIF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), "unsupported-format", "JPEG 2000"),
        (b"\xff\xd8\xff\xf7\0\x0b" + bytes(9), "unsupported-format", "lossless JPEG"),
        (b"\n<!DOCTYPE html><title>403 Forbidden", "not-an-image", "web page"),
        (b'<?xml version="1.0"?><Error>', "not-an-image", "XML"),
        (b"FINDINGS: The lungs are clear.", "not-an-image", "text"),
        (bytes(5000), "not-an-image", "zeros"),
        (b"\x80\x04\x95" + bytes(30), "not-an-image", "not an image"),
        (b"\xff", "not-an-image", "not an image"),
        (b"BM", "not-an-image", "text"),
    ],
)
def test_what_is_no_film_is_named(content, reason, words):
    found, message = refused(content)
    assert found == reason
    assert words in message


def test_a_data_set_without_preamble_is_dicom_and_a_dual_file_too():
    assert sniff(b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + bytes(20)) == "DICOM"
    assert sniff(b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100" + bytes(20)) == "DICOM"
    assert sniff(b"II*\0".ljust(128, b"\0") + b"DICM") == "DICOM"
    assert sniff(b"\x08\0\x05\0\xff\xff\xff\x7fISO_IR 100") is None


def test_the_package_exports_lazily():
    assert images.read is read
    assert {"read", "Film", "ReadOptions", "Limits", "Reason"} <= set(dir(images))
    with pytest.raises(AttributeError, match="no attribute 'reed'"):
        images.reed  # noqa: B018
