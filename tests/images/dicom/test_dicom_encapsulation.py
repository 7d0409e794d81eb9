import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_files import DELIMITER, encapsulate, item
from offclip.errors import ImageError
from offclip.images.dicom.encapsulation import frame_codestream, parse_items

END = b"\xff\xd9"
CHUNK = st.binary(min_size=1, max_size=40).map(lambda data: data + b"\1" * (len(data) % 2))


def _reason(*arguments, **keywords) -> str:
    with pytest.raises(ImageError) as error:
        frame_codestream(*arguments, "film.dcm", **keywords)
    return error.value.reason


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(CHUNK, min_size=1, max_size=6), st.integers(1, 5), st.booleans())
def test_what_was_encapsulated_comes_back(codestreams, fragments, table):
    if not table and len(codestreams) > 1:
        fragments = 1  # nothing else could tell the frames apart
    value = encapsulate(codestreams, fragments, table)
    found = [frame_codestream(value, len(codestreams), i, "x") for i in range(len(codestreams))]
    assert found == codestreams


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(CHUNK, min_size=1, max_size=4), st.integers(1, 3), st.data())
def test_each_cut_is_noticed(codestreams, fragments, data):
    value = encapsulate(codestreams, fragments)
    cut = data.draw(st.integers(0, len(value) - 1))
    assert _reason(value[:cut], len(codestreams), 0) == "truncated"


def test_fragments_without_a_table_go_by_end_markers():
    value = encapsulate([b"one1" + END, b"two2two2" + END], fragments=2, table=False)
    assert len(parse_items(value, "x").fragments) == 4
    assert frame_codestream(value, 2, 0, "x").startswith(b"one1" + END)
    assert frame_codestream(value, 2, 1, "x") == b"two2two2" + END


def test_fragments_that_cannot_be_dealt_out_are_contradictory():
    assert _reason(encapsulate([b"aaaabbbbcccc"], fragments=3, table=False), 2, 0) == "contradictory"


def test_frames_that_the_table_denies_are_contradictory():
    assert _reason(encapsulate([b"aa", b"bb"]), 1, 0) == "contradictory"


def test_a_table_that_points_nowhere_is_passed_over():
    frames = item(b"aa") + item(b"bb") + DELIMITER
    for offsets in ((0, 12), (10, 0), (0, 0)):
        value = item(struct.pack("<2I", *offsets)) + frames
        assert frame_codestream(value, 2, 1, "x") == b"bb"


def test_the_extended_offset_table_decides():
    value = item(b"") + item(b"aa") + item(b"bb") + item(b"cc") + DELIMITER
    assert frame_codestream(value, 2, 1, "x", offsets=(0, 20)) == b"cc"
    assert _reason(value, 2, 1) == "contradictory"


def test_a_delimiter_within_a_fragment_is_data():
    inside = b"ab" + DELIMITER + b"cd"
    assert frame_codestream(encapsulate([inside]), 1, 0, "x") == inside


def test_what_follows_the_delimiter_is_not_looked_at():
    assert frame_codestream(encapsulate([b"aa"]) + b"\xfc\xff\xfc\xffrest", 1, 0, "x") == b"aa"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "truncated"),
        (item(b"") + DELIMITER, "no-pixels"),
        (item(b"abc") + DELIMITER, "damaged"),
        (item(b"ab") + item(b"aa") + DELIMITER, "damaged"),
        (item(b"") + b"junkjunk" + item(b"aa") + DELIMITER, "damaged"),
        (item(b"") + item(b"aaa") + DELIMITER, "damaged"),
        (item(b"") + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + b"aa" + DELIMITER, "damaged"),
        (item(b"") + item(b"aa") + struct.pack("<HHI", 0xFFFE, 0xE0DD, 2), "damaged"),
        (item(b"") + item(b"aa"), "truncated"),
        (item(b"") + struct.pack("<HHI", 0xFFFE, 0xE000, 1000) + b"aa" + DELIMITER, "truncated"),
    ],
)
def test_items_that_make_no_sense_are_refused(value, reason):
    assert _reason(value, 1, 0) == reason
