"""Architectures by name, and configurations that are refused."""

import pytest

from offclip.errors import ConfigError
from offclip.models import ARCHITECTURES, DualEncoderConfig, architecture


def test_an_architecture_at_another_size():
    assert architecture("compact") is ARCHITECTURES["compact"]
    assert architecture("compact-cross-attention", 128).image_size == 128
    assert architecture("compact-cross-attention", 128).head == "cross-attention"


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ConfigError, match="Unknown model 'resnet'") as caught:
        architecture("resnet")
    assert all(name in caught.value.remedy for name in ARCHITECTURES)


@pytest.mark.parametrize("size", [0, 8, 30, 65, -64])
def test_sizes_off_the_grid_are_refused(size):
    with pytest.raises(ConfigError, match=f"image_size is {size}") as caught:
        architecture("compact", size)
    assert "multiple of 8" in caught.value.remedy


def test_an_unknown_head_is_refused():
    with pytest.raises(ConfigError, match="Unknown head 'dot'") as caught:
        DualEncoderConfig(head="dot")
    assert "cross-attention" in caught.value.remedy
