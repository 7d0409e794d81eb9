"""Cores: what the container allows, where it says so."""

import pytest

from offclip import cores


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("150000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", 8), ("", 8), ("0 0 0", 8)],
)
def test_the_quota_of_a_container_counts(tmp_path, monkeypatch, quota, expected):
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cores.available_cores() == expected
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "none")
    assert cores.available_cores() == 8
