"""The pointing game's other rules: tolerance, masks, and what the published code comes to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import ConfigError
from offclip.grounding.pointing import PointingRule, point
from offclip.grounding.regions import Box, Mask
from offclip.images.geometry import Letterbox

SQUARE = Letterbox.of(100, 100, 64)
PEER = PointingRule("peer")


def peak(row: int, column: int, shape=(4, 4)) -> np.ndarray:
    heat = np.zeros(shape)
    heat[row, column] = 1
    return heat


def test_a_tolerance_in_pixels_and_as_a_share_of_the_longer_side():
    box = Box("nodule", 40, 40, 5, 5)
    heat = peak(1, 0)  # its centre is (12.5, 37.5): 27.5 and 2.5 away
    away = float(np.hypot(27.5, 2.5))
    for tolerance, hit in ((0, 0), (away - 0.01, 0), (away + 0.01, 1), (0.2, 0), (0.28, 1)):
        assert point(heat, SQUARE, [box], PointingRule(tolerance=tolerance)).hit == hit
    tall = Letterbox.of(height=2000, width=1000, size=64)
    assert PointingRule(tolerance=0.01).reach(tall) == 20
    assert PointingRule(tolerance=15).reach(tall) == 15
    assert PointingRule(tolerance=1).reach(tall) == 1  # a pixel, not the whole side


def test_the_chance_grows_with_the_tolerance_as_the_hits_do():
    box = Box("nodule", 25, 25, 25, 25)  # the cell (1, 1)
    assert point(peak(3, 3), SQUARE, [box]).chance == 1 / 16
    # A centre beside it is 12.5 away, one across the corner sqrt(2) times that.
    assert point(peak(3, 3), SQUARE, [box], PointingRule(tolerance=13)).chance == 5 / 16
    assert point(peak(3, 3), SQUARE, [box], PointingRule(tolerance=18)).chance == 9 / 16
    constant = point(np.ones((4, 4)), SQUARE, [box], PointingRule(tolerance=18))
    assert constant.hit == constant.chance


def test_a_mask_is_hit_where_it_is_drawn_and_not_in_its_hole():
    covered = np.zeros((100, 100), bool)
    covered[25:75, 25:75] = True
    covered[30:45, 30:45] = False  # around the centre of the cell (1, 1)
    mask = Mask("mass", covered)
    assert point(peak(1, 1), SQUARE, [mask]).hit == 0
    assert point(peak(1, 2), SQUARE, [mask]).hit == 1
    assert point(peak(1, 1), SQUARE, [mask, Box("mass", 30, 30, 15, 15)]).hit == 1
    assert point(peak(1, 1), SQUARE, [mask]).chance == 3 / 16
    assert point(peak(1, 1), SQUARE, [mask], PointingRule(tolerance=8)).hit == 1


def test_the_peers_rule_takes_the_corner_of_the_first_largest_cell():
    box = Box("nodule", 26, 26, 30, 30)  # holds the centre of (1, 1), and the corner of (2, 2)
    assert point(peak(1, 1), SQUARE, [box]).hit == 1
    assert point(peak(1, 1), SQUARE, [box], PEER).hit == 0
    assert point(peak(2, 2), SQUARE, [box]).hit == 0
    assert point(peak(2, 2), SQUARE, [box], PEER).hit == 1
    tied = peak(2, 2) + peak(3, 3)
    assert point(tied, SQUARE, [box], PEER).hit == 1
    assert point(tied + peak(0, 0), SQUARE, [box], PEER).hit == 0
    assert point(np.ones((4, 4)), SQUARE, [box], PEER).hit == 0  # the first cell, whatever the chance


def test_the_peers_rule_looks_at_the_padding_too():
    wide = Letterbox.of(height=100, width=200, size=64)
    heat = peak(1, 1) * 2 + peak(0, 1) * 9
    assert point(heat, wide, [Box("nodule", 0, 0, 200, 100)]).hit == 1
    assert point(heat, wide, [Box("nodule", 0, 0, 200, 100)], PEER).hit == 0


@settings(derandomize=True, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(300, 200), (200, 300), (512, 512), (1000, 700)]),
    st.tuples(st.floats(0, 150), st.floats(0, 150), st.floats(2, 120), st.floats(2, 120)),
)
def test_the_peers_rule_is_the_argmax_of_the_map_repeated_over_their_square(seed, shape, box):
    """As CARZero does it: 14 x 14 values, each repeated 16 x 16 times, boxes scaled, padded and cropped."""
    height, width = shape
    heat = np.random.default_rng(seed).integers(0, 9, (14, 14)).astype(np.float32)
    repeated = heat.repeat(16, axis=0).repeat(16, axis=1)
    row, column = divmod(int(np.argmax(repeated)), 224)
    geometry = Letterbox.carzero(height, width)
    x, y, w, h = box
    scale_x, scale_y = geometry.inner_width / width, geometry.inner_height / height
    left, top = x * scale_x + geometry.pad_left, y * scale_y + geometry.pad_top
    edges = (left, left + w * scale_x, column), (top, top + h * scale_y, row)
    expected = all(low <= at <= high for low, high, at in edges)
    if all(min(abs(low - at), abs(high - at)) > 1e-6 for low, high, at in edges):
        assert point(heat, geometry, [Box("mass", x, y, w, h)], PEER).hit == expected


def test_unknown_rules_and_tolerances_are_refused():
    with pytest.raises(ConfigError, match="Unknown rule 'corner'"):
        PointingRule("corner")
    for tolerance in (-1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="tolerance"):
            PointingRule(tolerance=tolerance)
