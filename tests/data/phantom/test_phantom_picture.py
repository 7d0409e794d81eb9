"""The picture: determinism, sizes, boxes, and that every finding is there to be seen."""

import cv2
import numpy as np
import pytest

from offclip.data.phantom import FINDINGS, Finding, phantom_case
from offclip.data.phantom.findings import KINDS
from offclip.data.phantom.render import render


def one(name: str, side: str = "left", zone: str = "mid", severity: float = 0.6) -> Finding:
    kind = KINDS[FINDINGS.index(name)]
    return Finding(
        name, side if kind.left_share is not None else None, zone if kind.zones else None, severity
    )  # type: ignore[arg-type]


def same_view_pair(name: str, severity: float = 0.6, **where: str):
    """Two pictures of a patient that differ in the finding alone."""
    for index in range(1, 60):
        finding = one(name, severity=severity, **where)
        sick, well = render(4, index, 128, (finding,)), render(4, index, 128, ())
        if sick.view == well.view:
            yield sick, well


def test_same_seed_and_index_give_the_same_case():
    first, second = phantom_case(7, 11, 96), phantom_case(7, 11, 96)
    assert np.array_equal(first.image, second.image)
    assert first.boxes == second.boxes
    assert first.report == second.report


def test_another_seed_or_index_gives_another_picture():
    image = phantom_case(0, 0, 64).image
    assert not np.array_equal(image, phantom_case(1, 0, 64).image)
    assert not np.array_equal(image, phantom_case(0, 1, 64).image)


def test_the_order_of_calls_does_not_matter():
    forwards = [phantom_case(3, index, 64).image for index in range(5)]
    backwards = [phantom_case(3, index, 64).image for index in reversed(range(5))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forwards, backwards, strict=True))


def test_the_style_of_the_report_does_not_touch_the_picture():
    icu, neutral = phantom_case(0, 8, 64, "icu"), phantom_case(0, 8, 64, "neutral")
    assert np.array_equal(icu.image, neutral.image)
    assert icu.findings == neutral.findings


@pytest.mark.parametrize("small", [64, 128])
def test_a_smaller_picture_shows_the_same_patient(small):
    for index in range(12):
        large, little = phantom_case(2, index, 256), phantom_case(2, index, small)
        assert large.findings == little.findings
        assert large.view == little.view
        shrunk = cv2.resize(large.image, (small, small), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(shrunk.ravel(), little.image.ravel())[0, 1] > 0.99
        ratio = 256 / small
        for a, b in zip(large.boxes, little.boxes, strict=True):
            scaled = np.array([b.x, b.y, b.width, b.height]) * ratio
            assert np.allclose([a.x, a.y, a.width, a.height], scaled, atol=1.0)


@pytest.mark.parametrize("size", [32, 100, 300])
def test_any_size_is_drawn(size):
    case = phantom_case(0, 1, size)
    assert case.image.shape == (size, size)
    assert case.image.dtype == np.uint8
    assert case.image.max() > 150
    assert case.image.min() < 40


def test_boxes_lie_in_the_picture():
    boxes = [box for index in range(300) for box in phantom_case(5, index, 64).boxes]
    assert len(boxes) > 150
    for box in boxes:
        assert box.width >= 1
        assert box.height >= 1
        assert 0 <= box.x <= box.x + box.width <= 64
        assert 0 <= box.y <= box.y + box.height <= 64


@pytest.mark.parametrize("name", FINDINGS)
def test_a_box_lies_over_what_the_finding_changed(name):
    """The mean change inside the box is several times that outside."""
    ratios = []
    for sick, well in same_view_pair(name):
        change = np.abs(sick.image.astype(float) - well.image.astype(float))
        (box,) = sick.boxes
        inside = np.zeros(change.shape, bool)
        inside[
            int(box.y) : int(np.ceil(box.y + box.height)), int(box.x) : int(np.ceil(box.x + box.width))
        ] = True
        ratios.append(change[inside].mean() / (change[~inside].mean() + 1e-6))
        if len(ratios) == 8:
            break
    assert np.median(ratios) > (2.5 if name == "cardiomegaly" else 4.0)


@pytest.mark.parametrize("name", FINDINGS)
def test_every_finding_can_be_seen_but_does_not_shout(name):
    """Inside its box a moderate finding changes the grey by more than a little and less than all."""
    changes = []
    for sick, well in same_view_pair(name):
        (box,) = sick.boxes
        rows = slice(int(box.y), int(np.ceil(box.y + box.height)))
        columns = slice(int(box.x), int(np.ceil(box.x + box.width)))
        difference = sick.image[rows, columns].astype(float) - well.image[rows, columns]
        changes.append(np.abs(difference).mean())
        if len(changes) == 8:
            break
    assert 4.0 < np.median(changes) < 110.0


@pytest.mark.parametrize(
    "name", ["pleural effusion", "pneumothorax", "consolidation", "nodule", "mass", "edema"]
)
def test_a_severer_finding_changes_more(name):
    def change(severity: float) -> float:
        total = []
        for sick, well in same_view_pair(name, severity):
            total.append(np.abs(sick.image.astype(float) - well.image.astype(float)).mean())
            if len(total) == 6:
                break
        return float(np.mean(total))

    assert change(0.95) > 1.25 * change(0.05)


@pytest.mark.parametrize("name", [kind.name for kind in KINDS if kind.left_share is not None])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_patients_left_is_on_the_right_of_the_film(name, side):
    centres = []
    for sick, _ in same_view_pair(name, side=side):
        (box,) = sick.boxes
        centres.append((box.x + box.width / 2) / 128)
        if len(centres) == 6:
            break
    assert (np.array(centres) > 0.5).all() if side == "left" else (np.array(centres) < 0.5).all()


@pytest.mark.parametrize("name", ["consolidation", "nodule", "mass"])
def test_zones_go_from_top_to_bottom(name):
    heights = {}
    for zone in ("upper", "mid", "lower"):
        boxes = [render(4, index, 64, (one(name, zone=zone),)).boxes[0] for index in range(8)]
        heights[zone] = np.mean([box.y + box.height / 2 for box in boxes])
    assert heights["upper"] + 5 < heights["mid"] < heights["lower"] - 3


def change_in_box(name: str):
    sick, well = next(same_view_pair(name, severity=0.8))
    (box,) = sick.boxes
    rows = slice(int(box.y), int(box.y + box.height))
    columns = slice(int(box.x), int(box.x + box.width))
    return sick.image[rows, columns].astype(float) - well.image[rows, columns]


@pytest.mark.parametrize("name", ["pleural effusion", "consolidation", "nodule", "mass", "pacemaker"])
def test_opacities_brighten(name):
    assert change_in_box(name).mean() > 5


def test_free_air_darkens_and_the_lung_beside_it_does_not():
    change = change_in_box("pneumothorax")
    assert np.percentile(change, 10) < -5
    assert np.percentile(change, 90) > 0


def test_a_film_looks_like_a_chest():
    """Lungs dark, mediastinum and abdomen bright, on the average of many normal films."""
    films = [render(9, index, 64, ()).image for index in range(40)]
    mean = np.mean(films, axis=0)
    lungs = (mean[20:36, 15:22].mean() + mean[20:36, 42:49].mean()) / 2
    assert mean[30:44, 30:36].mean() > lungs + 60
    assert mean[56:62, 24:40].mean() > lungs + 60
    assert mean[:6, :6].mean() < 60


def test_normal_films_differ_from_each_other():
    films = np.stack([render(9, index, 64, ()).image for index in range(40)]).astype(float)
    assert films.std(axis=0).mean() > 12
    assert len({patient.tobytes() for patient in films}) == 40
