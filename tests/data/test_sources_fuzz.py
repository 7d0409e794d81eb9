"""Whatever stands in a file, reading it gives studies, reasons, or one clear error."""

import csv
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offclip.data.sources import FoundStudy, open_source
from offclip.data.sources.members import decode_text, members
from offclip.data.sources.openi import parse_openi
from offclip.data.sources.rows import clean
from offclip.errors import DataError

FUZZ = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def outcome(read):
    """What is read, and the error that ends it; any other kind of error fails the test."""
    try:
        return list(read()), None
    except DataError as error:
        return [], error


@FUZZ
@given(rows=st.lists(st.tuples(CELL, CELL, CELL), max_size=8), tabs=st.booleans())
def test_what_a_csv_writer_writes_is_read_back(tmp_path, rows, tabs):
    path = tmp_path / ("t.tsv" if tabs else "t.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if tabs else ",")
        writer.writerow(("study_id", "patient_id", "report"))
        writer.writerows(rows)
    found, error = outcome(lambda: open_source(path).read())
    if error:  # a zero byte near the beginning
        assert "\0" in path.read_text(encoding="utf-8")
        return
    assert len(found) == len(rows)
    for number, (entry, row) in enumerate(zip(found, rows, strict=True), start=2):
        cells = tuple(clean(cell) for cell in row)
        assert entry.row == number
        if isinstance(entry, FoundStudy):
            assert (entry.study_id, entry.patient_id, entry.report) == cells
        else:
            assert not all(cells)


@FUZZ
@given(st.binary(max_size=300))
def test_any_bytes_behind_a_header_are_a_table_or_a_clear_error(tmp_path, data):
    path = tmp_path / "t.csv"
    path.write_bytes(b"study_id,patient_id,report\n" + data)
    found, error = outcome(lambda: open_source(path).read())
    assert all(entry.row > 1 for entry in found)
    assert error is None or (str(path) in error.message and error.remedy)


@FUZZ
@given(st.binary(max_size=200), st.text(max_size=100))
def test_any_bytes_are_a_text_and_any_xml_is_a_report_or_refused(data, text):
    assert isinstance(decode_text(data)[0], str)
    pieces = f'<e><uId id="C1"/><AbstractText Label="FINDINGS">{text}</AbstractText></e>'.encode(
        errors="replace"
    )
    for candidate in (data, pieces, pieces[:-5] + data):
        found, error = outcome(lambda candidate=candidate: [parse_openi(candidate)])
        assert error or found[0].study_id


@pytest.fixture(scope="module")
def archives() -> dict[str, bytes]:
    texts = {f"{n}.txt": b"Clear lungs. " * n for n in range(8)}
    tar, packed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, content in texts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in texts.items():
            archive.writestr(name, content)
    return {".tar": tar.getvalue(), ".zip": packed.getvalue()}


@pytest.mark.parametrize("ending", [".tar", ".zip"])
@FUZZ
@given(edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6))
def test_an_archive_with_wrong_bytes_is_read_listed_or_refused(tmp_path, archives, ending, edits):
    data = bytearray(archives[ending])
    for place, value in edits:
        data[int(place * len(data))] = value
    path = Path(tmp_path, f"a{ending}")
    path.write_bytes(data)
    found, error = outcome(lambda: members(path, lambda name: True))
    assert len(found) <= 9
    assert error is None or (str(path) in error.message and error.remedy)
