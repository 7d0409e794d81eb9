"""A Lightning module with our loss."""

from __future__ import annotations

import pytest

pytest.importorskip("lightning", reason="needs lightning>=2.6.6")


@pytest.mark.slow
def test_it_learns(run_example, learns, marked):
    learns(run_example("lightning_module.py", "--steps", 120, "--data", marked))
