"""Foreign checkpoints: what is read, what is refused, and that nothing is ever executed."""

import collections
import io
import os
import pathlib
import pickle
import sys
import types
import typing
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from offclip.errors import CheckpointError
from offclip.models.carzero import archive
from offclip.models.carzero.archive import read_archive
from offclip.models.carzero.pickles import check_pickle


class Hostile:
    """Runs a command when a plain unpickler meets it."""

    def __init__(self, canary, call=os.system):
        self.call, self.argument = call, f"touch '{canary}'"

    def __reduce__(self):
        return self.call, (self.argument,)


@pytest.fixture
def canary(tmp_path):
    """A file that must not exist after a test."""
    place = tmp_path / "executed"
    yield place
    assert not place.exists()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "weights.pt"


def refused(file, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        read_archive(file)
    assert caught.value.remedy
    assert str(file) in caught.value.message
    return caught.value.message


def write_archive(file, content, storages=None, compression=zipfile.ZIP_STORED):
    """An archive as torch.save writes it, around a pickle of the test's own making."""
    with zipfile.ZipFile(file, "w", compression) as out:
        out.writestr("archive/data.pkl", content)
        out.writestr("archive/byteorder", "little")
        for key, data in (storages or {}).items():
            out.writestr(f"archive/data/{key}", data)
        out.writestr("archive/version", "3\n")


def rewritten(file, change):
    """The archive of `file` with the pickle changed."""
    with zipfile.ZipFile(file) as old:
        entries = {entry.filename: old.read(entry) for entry in old.infolist()}
    root = next(name for name in entries if name.endswith("data.pkl")).removesuffix("data.pkl")
    content = entries.pop(f"{root}data.pkl")
    assert change(content) != content
    storages = {n.rpartition("/")[2]: data for n, data in entries.items() if n.startswith(f"{root}data/")}
    write_archive(file, change(content), storages)


def saved(file, value):
    torch.save(value, file)
    return file


def test_the_canary_sings_in_a_plain_unpickler(tmp_path):
    pickle.loads(pickle.dumps(Hostile(tmp_path / "sung")))  # noqa: S301 - to show that the pickle is a real one
    assert (tmp_path / "sung").exists()


@pytest.mark.parametrize("place", ["top", "hyper_parameters", "key", "list", "callbacks"])
def test_a_call_of_the_system_is_refused_and_named(file, canary, place):
    bad = Hostile(canary)
    content = {
        "top": bad,
        "hyper_parameters": {"state_dict": {"a": torch.zeros(2)}, "hyper_parameters": {"deep": [{"x": bad}]}},
        "key": {bad: torch.zeros(2)},
        "list": [torch.zeros(2), bad],
        "callbacks": {"model_state_dict": {}, "callbacks": {"c": {"best": (bad, 1)}}},
    }[place]
    message = refused(saved(file, content), "system, which weights do not need")
    assert "Nothing of it was executed" in message


def test_eval_and_getattr_and_torch_itself_are_refused(file, canary):
    for call in (eval, exec, getattr, torch.load, torch.hub.load, pickle.loads):
        message = refused(saved(file, {"a": Hostile(canary, call)}), "which weights do not need")
        assert f".{call.__name__.lstrip('_')}" in message


class _Evil(torch.Tensor):
    def __reduce_ex__(self, protocol):
        return Hostile(type(self).canary).__reduce__()


def test_a_tensor_subclass_that_calls(file, canary):
    _Evil.canary = canary
    refused(saved(file, {"state_dict": {"a": torch.zeros(2).as_subclass(_Evil)}}), "system")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00a\x85R.", "os.system"),
        (b"\x80\x02(X\x01\x00\x00\x00aios\nsystem\n.", "instruction INST"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "protocol 4"),
        (b"\x80\x02X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93.", "instruction STACK_GLOBAL"),
        (b"\x80\x02comegaconf.base\nMeta\\data\n.", "which weights do not need"),
        (b"\x80\x02comegaconf.base\nMeta\\x64ata\n.", "PyTorch refuses it"),
        (b"\x80\x02\x82\x01.", "instruction EXT1"),
        (b"\x80\x02ccollections\nOrderedDict\n(]t R.", "damaged"),
        (b"\x80\x02ccollections\nOrderedDict\n](K\x01K\x02\x86e\x85R.", "calls collections.OrderedDict"),
        (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.", "calls _codecs.encode"),
        (b"\x80\x02ctorch\nFloatStorage\nK\x05\x85R.", "calls torch.FloatStorage"),
        (b"\x80\x02ctorch\nFloatStorage\n)\x81.", "makes an object of torch.FloatStorage"),
        (b"\x80\x02comegaconf.dictconfig\nDictConfig\n)\x81K\x01K\x01s.", "no dict"),
        (b"\x80\x02K\x01K\x02a.", "no list"),
        (b"\x80\x02]}b.", "no list|state of something"),
        (b"\x80\x02}K\x01\x85K\x01s.", "neither text nor number"),
        (b"\x80\x02}(K\x01u.", "key without a value"),
        (b"\x80\x02K\x01Q.", "no storage"),
        (b"\x80\x02h\x07.", "damaged"),
        (b"\x80\x02\x86.", "damaged"),
        (b"\x80\x02e.", "damaged"),
        (b"\x80\x02}", "damaged"),
        (b"", "damaged"),
        (b"\x80\x02}.}.", "damaged"),
        (b"\x80\x02I12345\n.", "instruction INT"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "damaged"),
    ],
)
def test_instructions_that_weights_do_not_need(file, content, match):
    write_archive(file, content)
    refused(file, match)


def test_a_bomb_of_nested_tuples_is_refused_at_once(file):
    # 2^60 tuples in 300 bytes, as a key: whoever hashes it never comes back.
    nested = b")q\x00" + b"".join(b"h%c\x86q%c" % (n, n + 1) for n in range(60))
    write_archive(file, b"\x80\x02}" + nested + b"K\x01s.")
    refused(file, "neither text nor number")
    # As a value it is small, because it is shared; so it is of no harm.
    write_archive(file, b"\x80\x02}K\x01" + nested + b"s.")
    assert list(read_archive(file)) == ["1"]


def test_a_very_deep_nest_does_no_harm(file):
    write_archive(file, b"\x80\x02}K\x01)" + b"\x85" * 200_000 + b"s.")
    assert list(read_archive(file)) == ["1"]


def test_a_storage_that_claims_more_than_there_is(file):
    saved(file, {"a": torch.zeros(300)})
    rewritten(file, lambda content: content.replace(b"M\x2c\x01", b"M\x2c\x7f"))
    refused(file, r"storage '0' claims 32556 elements, but has 1200 bytes")


def test_a_tensor_that_is_larger_than_its_storage(file):
    for tensor in (torch.zeros(1).expand(10**12), torch.zeros(2, 1).expand(2, 3)):
        refused(saved(file, {"a": tensor}), "in a storage of")
    saved(file, {"a": torch.zeros(7)})
    rewritten(file, lambda content: content.replace(b"K\x00K\x07\x85", b"K\x03K\x07\x85"))  # its offset
    refused(file, r"shape \(7,\) in a storage of 7 elements")


def test_a_zip_bomb(file):
    write_archive(file, b"\x80\x02}.", {"0": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 200_000
    refused(file, "compressed, overlap or are there twice")


def test_two_pickles_or_none(file):
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("a/other", "x")
    refused(file, "0 pickles")
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("a/data.pkl", "x")
        out.writestr("b/data.pkl", "x")
    refused(file, "2 pickles")


def test_a_pickle_that_is_far_too_large():
    with pytest.raises(CheckpointError, match="4,194,304 are allowed"):
        check_pickle(bytes(5 * 2**20), {}, "x.pt")


@pytest.mark.parametrize("keep", [0.0, 0.2, 0.9, 0.999])
def test_a_truncated_file(file, keep):
    whole = saved(file, {"a": torch.zeros(5000)}).read_bytes()
    file.write_bytes(whole[: int(len(whole) * keep)])
    refused(file, "damaged or cut off|neither a PyTorch archive")


def test_no_checkpoint_at_all(file, tmp_path):
    for content in (b"", b"\x89PNG\r\n\x1a\n", b"<html>", bytes(100)):
        file.write_bytes(content)
        refused(file, "neither a PyTorch archive nor safetensors")
    refused(tmp_path / "none.pt", "cannot be read")
    refused(tmp_path, "cannot be read")
    refused(saved(file, [torch.zeros(1)]), "holds a list, no dictionary")


def test_the_forms_before_pytorch_1_6_and_bare_pickles(file, canary):
    torch.save({"a": torch.zeros(2)}, file, _use_new_zipfile_serialization=False)
    refused(file, "the form that PyTorch wrote before 1.6")
    for protocol in (0, 2, 5):
        file.write_bytes(pickle.dumps(Hostile(canary), protocol=protocol))
        refused(file, "a bare pickle")


def test_a_file_above_the_limit_is_not_opened(file):
    saved(file, {"a": torch.zeros(5000)})
    with pytest.raises(CheckpointError, match="GiB are read"):
        read_archive(file, most_bytes=10_000)


def test_a_pytorch_whose_safe_reader_had_holes(file, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    refused(saved(file, {"a": torch.zeros(2)}), r"PyTorch 2\.9\.1\+cpu cannot read a foreign pickle safely")


def test_safetensors_are_read_and_damaged_ones_refused(file):
    save_file({"a": torch.arange(3.0)}, file)
    assert read_archive(file)["a"].tolist() == [0, 1, 2]
    content = file.read_bytes()
    for broken in (content[:-2], content[:30], content[:8] + b"{" * (len(content) - 8)):
        file.write_bytes(broken)
        refused(file, "damaged safetensors")


def test_an_archive_that_shows_two_readers_two_contents(file, monkeypatch):
    saved(file, {"a": torch.zeros(2)})
    real = zipfile.ZipFile.read
    monkeypatch.setattr(
        zipfile.ZipFile, "read", lambda self, entry, *_: real(self, entry).replace(b"\x80\x02", b"\x80\x02N0")
    )
    refused(file, "ambiguous")


def pretend(module, name, base=object):
    """A class under the name of a package that is not installed."""
    made = type(name, (base,), {"__module__": module})
    setattr(sys.modules.setdefault(module, types.ModuleType(module)), name, made)
    return made


@pytest.fixture
def lightning_file(file):
    """A file as Lightning and OmegaConf write it, made with classes of the same names."""
    names = ["omegaconf", "pytorch_lightning", "pytorch_lightning.utilities", "pytorch_lightning.callbacks"]
    before = set(sys.modules)
    for name in names:
        sys.modules.setdefault(name, types.ModuleType(name))
    config, node = pretend("omegaconf.dictconfig", "DictConfig")(), pretend("omegaconf.nodes", "AnyNode")()
    metadata = pretend("omegaconf.base", "ContainerMetadata")()
    metadata.__dict__.update(
        ref_type=typing.Any,
        object_type=dict,
        key_type=str,
        element_type=int,
        resolver_cache=collections.defaultdict(dict),
    )
    node.__dict__.update(_val=0.5, _parent=config)
    config.__dict__.update(
        _metadata=metadata, _parent=None, _content={"lr": node, "p": pathlib.PosixPath("/d")}
    )
    settings = pretend("pytorch_lightning.utilities.parsing", "AttributeDict", dict)(a=1)
    callback = pretend("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
    state = collections.OrderedDict(
        {"CARZero.a": torch.arange(3.0), "CARZero.p": torch.nn.Parameter(torch.ones(2))}
    )
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    content = {
        "state_dict": state,
        "hyper_parameters": config,
        "more": settings,
        "callbacks": {
            callback: {
                "best": torch.tensor(0.5),
                "mean": np.float64(3),
                "all": np.arange(3),
                "bytes": b"\x00\xff",
            }
        },
        "optimizer_states": [
            {"state": {0: {"step": 5}}, "param_groups": [{"betas": (0.9, 0.99), "n": 2**40}]}
        ],
        "flags": [True, False, None],
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    for name in set(sys.modules) - before:
        del sys.modules[name]
    file.write_bytes(buffer.getvalue())
    return file


def test_lightning_and_omegaconf_are_read_without_them(lightning_file):
    read = read_archive(lightning_file)
    assert read["state_dict"]["CARZero.a"].tolist() == [0, 1, 2]
    assert read["state_dict"]["CARZero.p"].tolist() == [1, 1]
    assert type(read["hyper_parameters"]).__name__ == "Inert"
    assert not hasattr(read["hyper_parameters"], "__dict__")
    assert dict(read["more"]) == {"a": 1}
    assert not {name for name in sys.modules if name.startswith(("omegaconf", "pytorch_lightning"))}
    with pytest.raises(pickle.UnpicklingError):  # and PyTorch's list of safe names is as before
        torch.load(lightning_file, weights_only=True)


def test_hostile_content_in_a_configuration_object(lightning_file, canary):
    # The node's value is replaced by a call; the rest of the file is as published.
    call = b"cposix\nsystem\nX%c\x00\x00\x00%s\x85R" % (len(f"touch {canary}"), f"touch {canary}".encode())
    rewritten(lightning_file, lambda content: content.replace(b"G\x3f\xe0\x00\x00\x00\x00\x00\x00", call, 1))
    refused(lightning_file, "posix.system")


@pytest.fixture(scope="module")
def published_pickle():
    buffer = io.BytesIO()
    content = {"state_dict": collections.OrderedDict(a=torch.arange(3.0), b=torch.zeros(2, 2)), "epoch": 300}
    torch.save(content | {"lr": [0.1, None, (True, "x")], "mean": np.float64(3)}, buffer)
    with zipfile.ZipFile(buffer) as read:
        return next(read.read(name) for name in read.namelist() if name.endswith("data.pkl"))


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_change_of_the_pickle_is_read_or_refused_and_never_crashes(file, published_pickle, data):
    content = bytearray(published_pickle)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(st.binary(min_size=0, max_size=2))
        content[place : place + data.draw(st.integers(0, 2))] = new
        content = content or bytearray(b".")
    write_archive(file, bytes(content), {"0": bytes(12), "1": bytes(16)})
    try:
        read = read_archive(file)
    except CheckpointError:
        return
    assert all(isinstance(name, str) for name in read)


def test_the_unchanged_pickle_is_read(file, published_pickle):
    write_archive(file, published_pickle, {"0": bytes(12), "1": bytes(16)})
    assert list(read_archive(file)) == ["state_dict", "epoch", "lr", "mean"]


def test_methods_that_a_file_puts_over_a_dictionary_are_not_asked(file):
    state = collections.OrderedDict({"a": torch.zeros(2)})
    state.itemz = state.keyz = 3
    saved(file, state)
    rewritten(file, lambda content: content.replace(b"itemz", b"items").replace(b"keyz", b"keys"))
    assert list(read_archive(file)) == ["a"]


def test_the_second_wall_stands_without_the_first(file, canary, monkeypatch):
    monkeypatch.setattr(archive, "check_pickle", lambda *_: None)
    refused(saved(file, {"a": Hostile(canary)}), "PyTorch refuses it")
