"""Scores and truth of any kind, with and without ties, for properties."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def scored(draw, both_classes: bool = True):
    """Up to 60 scores and which of them are positive: one at least, and one negative if `both_classes`."""
    n = draw(st.integers(2 if both_classes else 1, 60))
    values = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 3.0]) if draw(st.booleans()) else st.floats(-1e6, 1e6)
    scores = np.array(draw(st.lists(values, min_size=n, max_size=n)))
    positive = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    if both_classes:
        positive[0], positive[1] = True, False
    else:
        positive[draw(st.integers(0, n - 1))] = True
    return scores, positive
