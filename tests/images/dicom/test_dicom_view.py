"""The view by the words of the header; whom a film belongs to; the shape of its pixels."""

import pytest
from film_bytes import dataset_of, gradient
from pydicom.dataset import Dataset

from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.grid import grid_of
from offclip.images.dicom.identity import age_in_years, identity_of
from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.dicom.view import view_in_text, view_of_header


def attributes_of(**attributes) -> Attributes:
    return Attributes(dataset_of(gradient(12), **attributes), "film.dcm")


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("PA", "PA"),
        ("AP", "AP"),
        ("pa", "PA"),
        ("LL", "lateral"),
        ("RL", "lateral"),
        ("LATERAL", "lateral"),
        ("XTABLE LATERAL", "lateral"),
        ("AP AXIAL", "AP"),
        ("AP LLD", "AP"),
        ("PA RLD", "PA"),
        ("LLD", "unknown"),
        ("LLO", "unknown"),
        ("LAO", "unknown"),
        ("SWIMMERS", "unknown"),
        ("", "unknown"),
        ("YES", "unknown"),
    ],
)
def test_values_of_view_position(text, view):
    assert view_in_text(text, coded=True) == view


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("Chest PA", "PA"),
        ("CHEST_PA", "PA"),
        ("W033 Chest P.A.", "PA"),
        ("Thorax p.a.", "PA"),
        ("CHEST (PORTABLE AP)", "AP"),
        ("postero-anterior", "PA"),
        ("Tórax anteroposterior", "AP"),
        ("CHEST (PA AND LAT)", "unknown"),
        ("Chest PA/LAT", "unknown"),
        ("CHEST PA AP", "frontal"),
        ("chest frontal", "frontal"),
        ("Lateral", "lateral"),
        ("Chest LAT", "lateral"),
        ("left lateral", "lateral"),
        ("Thorax perfil", "lateral"),
        ("Chest left lateral decubitus", "unknown"),
        ("Chest AP lateral decub", "AP"),
        ("Chest oblique PA", "unknown"),
        ("LL", "unknown"),
        ("PAEDIATRIC CHEST", "unknown"),
        ("APEX", "unknown"),
        ("CAP study", "unknown"),
        ("chest, flat plate", "unknown"),
    ],
)
def test_views_in_a_description(text, view):
    assert view_in_text(text) == view


def code(meaning: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "SCT", meaning
    return [item]


@pytest.mark.parametrize(
    ("attributes", "view", "source"),
    [
        ({}, "unknown", ""),
        ({"ViewPosition": "PA", "SeriesDescription": "Chest"}, "PA", "ViewPosition"),
        ({"ViewPosition": "", "SeriesDescription": "Chest LAT"}, "lateral", "SeriesDescription"),
        ({"ViewCodeSequence": code("postero-anterior")}, "PA", "ViewCodeSequence"),
        ({"ProtocolName": "Chest AP"}, "AP", "ProtocolName"),
        (
            {"AcquisitionDeviceProcessingDescription": "CHEST LATERAL"},
            "lateral",
            "AcquisitionDeviceProcessingDescription",
        ),
        ({"StudyDescription": "CHEST (PA AND LAT)"}, "unknown", ""),
        ({"StudyDescription": "CHEST (PA AND LAT)", "ViewPosition": "LL"}, "lateral", "ViewPosition"),
        ({"SeriesDescription": "frontal", "StudyDescription": "Chest PA"}, "PA", "StudyDescription"),
        ({"PatientOrientation": ["L", "F"]}, "frontal", "PatientOrientation"),
        ({"PatientOrientation": ["A", "F"]}, "lateral", "PatientOrientation"),
        ({"PatientOrientation": ["P", "FL"]}, "lateral", "PatientOrientation"),
        ({"PatientOrientation": ["L", "P"]}, "unknown", ""),
        ({"PatientOrientation": ["L", "F"], "ViewPosition": "LL"}, "lateral", "ViewPosition"),
        ({"ViewPosition": "PA", "SeriesDescription": "Chest LAT"}, "unknown", ""),
        ({"ViewPosition": "PA", "SeriesDescription": "Chest AP"}, "frontal", "ViewPosition"),
    ],
)
def test_which_attribute_tells_the_view(attributes, view, source):
    found = view_of_header(attributes_of(**attributes))
    assert (found.name, found.source) == (view, source)


def test_a_contradiction_is_noted_without_its_words():
    found = view_of_header(attributes_of(ViewPosition="PA", SeriesDescription="Secret LAT"))
    assert found.notes == ("ViewPosition and SeriesDescription name different views.",)


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("045Y", 45.0),
        ("45Y", 45.0),
        ("006M", 0.5),
        ("026W", 26 * 7 / 365.25),
        ("010D", 10 / 365.25),
        ("000D", 0.0),
        ("045", None),
        ("", None),
        ("Y045", None),
        ("999Y", None),
        ("-01Y", None),
        ("04.5Y", None),
    ],
)
def test_ages(text, years):
    assert age_in_years(text) == (None if years is None else pytest.approx(years))


def test_identity_and_its_silence():
    identity = identity_of(
        attributes_of(StudyInstanceUID="1.2.5", SeriesInstanceUID="1.2.6", PatientSex="F", PatientAge="045Y")
    )
    assert (identity.patient_id, identity.study_uid, identity.series_uid) == ("hidden-17", "1.2.5", "1.2.6")
    assert (identity.instance_uid, identity.age_years, identity.sex) == ("1.2.3.4", 45.0, "F")
    assert "hidden" not in repr(identity)
    assert identity_of(attributes_of(PatientSex="Z")).sex == ""


@pytest.mark.parametrize(
    ("attributes", "years"),
    [
        ({"PatientBirthDate": "19800101", "StudyDate": "20200101"}, 14610 / 365.25),
        ({"PatientBirthDate": "19800101", "StudyDate": "20200101", "PatientAge": "007M"}, 7 / 12),
        ({"PatientBirthDate": "19800101"}, None),
        ({"PatientBirthDate": "20200102", "StudyDate": "20200101"}, None),
        ({"PatientBirthDate": "17000101", "StudyDate": "20200101"}, None),
    ],
)
def test_the_age_comes_from_dates_where_it_is_not_given(attributes, years):
    assert identity_of(attributes_of(**attributes)).age_years == years


def test_broken_dates_are_no_age():
    dataset = dataset_of(gradient(12), StudyDate="20200101")
    dataset.add_new(0x00100030, "LO", "19801399")
    assert identity_of(Attributes(dataset, "film.dcm")).age_years is None


HEADER = PixelHeader("1.2.840.10008.1.2.1", rows=24, columns=31)


@pytest.mark.parametrize(
    ("attributes", "aspect", "spacing", "noted"),
    [
        ({}, 1.0, None, 0),
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.5, 0.5]}, 2.0, (0.2, 0.1), 0),
        ({"ImagerPixelSpacing": [0.14, 0.14]}, 1.0, (0.14, 0.14), 0),
        ({"NominalScannedPixelSpacing": [0.1, 0.2]}, 0.5, (0.1, 0.2), 0),
        ({"PixelAspectRatio": [4, 3]}, 4 / 3, None, 0),
        ({"PixelAspectRatio": [2, 1], "PixelSpacing": [0.2, 0.1]}, 2.0, (0.2, 0.1), 0),
        ({"PixelAspectRatio": [2, 1], "PixelSpacing": [0.1, 0.1]}, 2.0, (0.1, 0.1), 1),
        ({"PixelAspectRatio": [0, 1]}, 1.0, None, 1),
        ({"PixelAspectRatio": [1, 500]}, 1.0, None, 1),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.3, 0.3]}, 1.0, (0.3, 0.3), 1),
        ({"PixelSpacing": [-0.1, 0.1]}, 1.0, None, 1),
    ],
)
def test_the_shape_of_the_pixels(attributes, aspect, spacing, noted):
    notes: list[str] = []
    grid = grid_of(attributes_of(**attributes), HEADER, notes)
    assert (grid.height, grid.width) == (24, 31)
    assert (grid.aspect, grid.spacing_mm, len(notes)) == (aspect, spacing, noted)


@pytest.mark.parametrize("value", ["0.1", "a\\b", "nan\\0.1"])
def test_a_spacing_that_is_no_pair_of_numbers_is_ignored(value):
    dataset = dataset_of(gradient(12))
    dataset.add_new(0x00280030, "LO", value)
    notes: list[str] = []
    assert grid_of(Attributes(dataset, "film.dcm"), HEADER, notes).spacing_mm is None
    assert notes == ["PixelSpacing makes no sense and is ignored."]
