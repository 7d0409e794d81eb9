from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offclip.data.loader import ImageRef
from offclip.evaluation.ablation import ABLATION, Variant
from offclip.evaluation.report.gallery import maximum, overlay
from offclip.evaluation.report.palette import colours
from offclip.evaluation.report.probe import choose_cases, choose_normals
from offclip.evaluation.report.projection import principal_plane
from offclip.evaluation.truth import EvaluationData, Labels
from offclip.grounding.pointing import Box
from offclip.images.geometry import Letterbox


def truth(present: list[list[float]], boxes: dict[str, list[Box]]) -> EvaluationData:
    ids = tuple(f"i{number}" for number in range(len(present)))
    flags = np.array(present, float)
    labels = Labels(ids, ("Mass", "edema"), flags, (flags == 0).all(axis=1).astype(float))
    films = [ImageRef(i, Path(f"{i}.png")) for i in reversed(ids)]
    return EvaluationData({"test": films}, labels, boxes, {}, [])


def test_cases_are_the_first_by_id_that_show_the_finding_alone():
    box = {name: Box(name, 0, 0, 8, 8) for name in ("mass", "edema")}
    boxes = {
        "i1": [box["mass"], box["edema"]],
        "i2": [box["mass"]],
        "i3": [box["mass"]],
        "i5": [box["edema"]],
    }
    data = truth([[0, 0], [1, 1], [1, 0], [1, 0], [0, 0], [1, 1]], boxes)
    assert [(c.image.image_id, c.finding, c.boxes) for c in choose_cases(data, "test")] == [
        ("i2", "Mass", (box["mass"],)),
        ("i1", "edema", (box["edema"],)),
    ]
    assert [c.image.image_id for c in choose_normals(data, "test")] == ["i0", "i4"]


def test_the_maximum_is_never_taken_from_the_padding():
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0], heat[1, 2] = 2, 1
    geometry = Letterbox.of(height=50, width=100, size=64)
    assert maximum(heat, geometry) == (62.5, 12.5)


@pytest.mark.parametrize(
    ("box", "hit"), [(Box("mass", 40, 0, 24, 24), True), (Box("mass", 0, 40, 8, 8), False)]
)
def test_an_overlay_says_whether_the_maximum_hits(box: Box, hit: bool):
    heat = np.zeros((4, 4), np.float32)
    heat[0, 3] = 1
    geometry = Letterbox.of(height=64, width=64, size=64)
    made = overlay(np.full((128, 128), 90, np.uint8), heat, geometry, [box])
    assert (made.x, made.y, made.hit) == (56.0, 8.0, hit)


def test_a_constant_map_is_neither_hit_nor_miss():
    geometry = Letterbox.of(height=64, width=64, size=64)
    film = np.full((64, 64), 90, np.uint8)
    made = overlay(film, np.ones((4, 4), np.float32), geometry, [Box("mass", 0, 0, 32, 32)])
    assert made.hit is None


def test_the_plane_keeps_distances_and_puts_normals_to_the_upper_right():
    rng = np.random.default_rng(0)
    normal = np.arange(60) < 30
    flat = rng.normal(size=(60, 2)) * (3, 1) + normal[:, None] * (4, 3)
    turned = flat @ np.linalg.qr(rng.normal(size=(5, 5)))[0][:2]
    points, share = principal_plane(turned, normal)
    assert share.sum() == pytest.approx(1)
    distances = [np.linalg.norm(p[:1] - p, axis=1) for p in (points, flat)]
    np.testing.assert_allclose(*distances, atol=1e-9)
    assert (points[normal].mean(axis=0) > points[~normal].mean(axis=0)).all()


def test_every_variant_has_its_own_colour_whatever_stands_beside_it():
    others = [Variant(f"mine {n}", f"mine-{n}", False) for n in range(3)]
    together = colours([*others, *ABLATION])
    assert len(set(together.values())) == len(together)
    assert colours([ABLATION[3]])[ABLATION[3]] == together[ABLATION[3]]
