"""Looks through the pickle of a foreign checkpoint before it is loaded. Nothing is imported, built or called.

A pickle is a small program. Here its instructions are followed with stand-ins only. Whatever is not needed
for tensors, plain collections and a configuration object is refused, and the name that it asks for is told.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from offclip.errors import CheckpointError

_ITEM_SIZES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
}
_OMEGACONF = {
    "base": ("ContainerMetadata", "Metadata"),
    "dictconfig": ("DictConfig",),
    "listconfig": ("ListConfig",),
    "nodes": ("AnyNode", "BooleanNode", "BytesNode", "FloatNode", "IntegerNode", "PathNode", "StringNode"),
}
_LIGHTNING = (
    "callbacks.early_stopping.EarlyStopping",
    "callbacks.lr_monitor.LearningRateMonitor",
    "callbacks.model_checkpoint.ModelCheckpoint",
)
#: Mappings that are loaded as a plain ordered dictionary.
MAPPINGS = frozenset(
    {
        "collections.defaultdict",
        "pytorch_lightning.utilities.parsing.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict",
        "lightning.fabric.utilities.data.AttributeDict",
    }
)
#: Names that are loaded as an object without content and without behaviour.
INERT = frozenset(
    {f"omegaconf.{module}.{name}" for module, names in _OMEGACONF.items() for name in names}
    | {f"{package}.{name}" for package in ("pytorch_lightning", "lightning.pytorch") for name in _LIGHTNING}
    | {f"builtins.{name}" for name in ("bool", "bytes", "dict", "float", "int", "list", "str", "tuple")}
    | {f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")}
    | {"numpy.dtype", "numpy.ndarray"}
    | {"argparse.Namespace", "pathlib.PosixPath", "pathlib.WindowsPath", "typing.Any"}
)
_BY_TORCH = frozenset(
    {"collections.OrderedDict", "_codecs.encode"}
    | {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"}
    | {f"torch.{name}" for name in _ITEM_SIZES}
)
_PYTHON_2 = {
    "__builtin__.unicode": "builtins.str",
    "__builtin__.long": "builtins.int",
    "__builtin__.str": "builtins.bytes",
}
_MOST_BYTES = 4 * 2**20
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class _Name:
    path: str


@dataclass(frozen=True, slots=True)
class _Storage:
    elements: int


class _Thing:
    """A list, dictionary, tensor or object, of which only the kind matters."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class _RefusedError(Exception):
    """What is wrong, in words."""


def check_pickle(content: bytes, records: Mapping[str, int], name: str) -> None:
    """Refuses a pickle that does more than hold tensors and plain values.

    Args:
        content: The pickle.
        records: Bytes of each storage of the archive, by key; a tensor that claims more is refused.
        name: Name of the file, for the message.

    Raises:
        CheckpointError: It asks for a function or class that is not needed for weights; these are named. Or
            it is damaged, too large, or claims storages that are not there.
    """
    if len(content) > _MOST_BYTES:
        raise CheckpointError(
            f"{name}: its pickle has {len(content):,} bytes; {_MOST_BYTES:,} are allowed.",
            "Use the published file.",
        )
    try:
        instructions = list(_instructions(content))
        wanted = {_path_of(argument) for what, argument in instructions if what == "GLOBAL"}
        foreign = sorted(path for path in wanted if path not in INERT | MAPPINGS | _BY_TORCH)
        if foreign:
            more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
            raise _RefusedError(f"it asks for {', '.join(foreign[:_SHOWN])}{more}, which weights do not need")
        _Follower(records).follow(instructions)
    except _RefusedError as refused:
        raise CheckpointError(
            f"{name}: refused, {refused}. Nothing of it was executed.",
            "Do not use the file unless you know where it comes from; ask for weights in safetensors.",
        ) from refused
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise CheckpointError(
            f"{name}: its pickle is damaged ({type(error).__name__}: {str(error)[:100]}).",
            "Download the file again.",
        ) from error


def _path_of(argument: str) -> str:
    # pickletools gives "module name"; both parts are data of the file and may be anything.
    path = argument.replace(" ", ".")
    return _PYTHON_2.get(path, path.replace("__builtin__.", "builtins.", 1))[:200]


def _instructions(content: bytes) -> Iterator[tuple[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a strange escape in a name is for us to refuse, not to warn of
        for opcode, argument, position in pickletools.genops(content):
            if opcode.name == "PROTO" and argument != 2:
                raise _RefusedError(f"it is of protocol {argument}, which PyTorch does not write")
            if opcode.name not in _STEPS:
                raise _RefusedError(f"it has the instruction {opcode.name}")
            if opcode.name == "STOP" and position != len(content) - 1:
                raise ValueError("bytes after its end")
            yield opcode.name, argument


@dataclass(slots=True)
class _Follower:
    """The stack machine of a pickle, on stand-ins."""

    records: Mapping[str, int]
    stack: list[Any] = field(default_factory=list)
    marks: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def follow(self, instructions: list[tuple[str, Any]]) -> None:
        for name, argument in instructions:
            _STEPS[name](self, argument)

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def get(self, number: int) -> None:
        self.stack.append(self.memo[number])

    def take(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise IndexError("its stack is empty")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def tuple_of(self, items: list[Any]) -> None:
        self.stack.append(tuple(items))

    def append(self, items: list[Any]) -> None:
        self.expect("list")

    def set_items(self, items: list[Any]) -> None:
        self.expect("dict")
        if len(items) % 2:
            raise ValueError("a key without a value")
        for key in items[::2]:
            # A key of nested tuples takes for ever to hash.
            if not isinstance(key, str | int | float | _Name | None):
                raise _RefusedError("it has a key that is neither text nor number")

    def expect(self, kind: str) -> None:
        if not (isinstance(self.stack[-1], _Thing) and self.stack[-1].kind == kind):
            raise _RefusedError(f"it writes into something that is no {kind}")

    def storage(self, _: Any) -> None:
        match self.stack.pop():
            case ("storage", _Name(path), str(key), str(), int(elements)):
                pass
            case _:
                raise _RefusedError("it has a reference that is no storage")
        kind = path.removeprefix("torch.")
        if kind not in _ITEM_SIZES or self.kinds.setdefault(key, kind) != kind:
            raise _RefusedError(f"storage {key!r} is of two kinds, or of none that is known")
        if self.records.get(key) != elements * _ITEM_SIZES[kind]:
            raise _RefusedError(
                f"storage {key!r} claims {elements} elements, but has {self.records.get(key)} bytes"
            )
        self.stack.append(_Storage(elements))

    def call(self, _: Any) -> None:
        what, arguments = self.take(2)
        path = what.path if isinstance(what, _Name) else ""
        match path, arguments:
            case "torch._utils._rebuild_tensor_v2", (_Storage() as storage, *rest):
                _check_view(storage, rest)
                result = _Thing("tensor")
            case "torch._utils._rebuild_parameter", (_Thing(kind="tensor"), bool(), _Thing(kind="dict")):
                result = _Thing("tensor")
            case "collections.OrderedDict", ():
                result = _Thing("dict")
            case "collections.defaultdict", () | (_Name() | None,):
                result = _Thing("dict")
            case "_codecs.encode", (str(), "latin1"):  # how Python 3 writes bytes for Python 2
                result = _Thing("bytes")
            case _ if path in INERT and isinstance(arguments, tuple):
                result = _Thing("object")
            case _:
                raise _RefusedError(f"it calls {path or 'something that is no function'} in an unknown way")
        self.stack.append(result)

    def make(self, _: Any) -> None:
        what, arguments = self.take(2)
        if not isinstance(what, _Name) or not isinstance(arguments, tuple):
            raise _RefusedError("it makes an object of something that is no class")
        if what.path in INERT:
            self.stack.append(_Thing("object"))
        elif what.path in MAPPINGS and not arguments:
            self.stack.append(_Thing("dict"))
        else:
            raise _RefusedError(f"it makes an object of {what.path}")

    def build(self, _: Any) -> None:
        (state,) = self.take(1)
        target = self.stack[-1]
        kind = target.kind if isinstance(target, _Thing) else ""
        if kind != "object" and not (kind == "dict" and isinstance(state, _Thing) and state.kind == "dict"):
            raise _RefusedError("it sets the state of something that has none")


def _check_view(storage: _Storage, rest: list[Any]) -> None:
    match rest:
        case [int(offset), tuple(size), tuple(stride), bool(), _Thing(kind="dict")]:
            pass
        case _:
            raise _RefusedError("it makes a tensor in an unknown way")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > 16 or any(type(n) is not int or n < 0 for n in numbers):
        raise _RefusedError("it has a tensor of impossible shape")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if prod(size) > storage.elements or (prod(size) and last >= storage.elements):
        raise _RefusedError(f"it has a tensor of shape {size} in a storage of {storage.elements} elements")


_STEPS: dict[str, Any] = {
    "PROTO": lambda self, _: None,
    "STOP": lambda self, _: self.take(1),
    "GLOBAL": lambda self, argument: self.stack.append(_Name(_path_of(argument))),
    "BINPERSID": _Follower.storage,
    "REDUCE": _Follower.call,
    "NEWOBJ": _Follower.make,
    "BUILD": _Follower.build,
    "MARK": _Follower.mark,
    "BINPUT": _Follower.put,
    "LONG_BINPUT": _Follower.put,
    "BINGET": _Follower.get,
    "LONG_BINGET": _Follower.get,
    "EMPTY_DICT": lambda self, _: self.stack.append(_Thing("dict")),
    "EMPTY_LIST": lambda self, _: self.stack.append(_Thing("list")),
    "EMPTY_TUPLE": lambda self, _: self.stack.append(()),
    "TUPLE": lambda self, _: self.tuple_of(self.since_mark()),
    "TUPLE1": lambda self, _: self.tuple_of(self.take(1)),
    "TUPLE2": lambda self, _: self.tuple_of(self.take(2)),
    "TUPLE3": lambda self, _: self.tuple_of(self.take(3)),
    "APPEND": lambda self, _: self.append(self.take(1)),
    "APPENDS": lambda self, _: self.append(self.since_mark()),
    "SETITEM": lambda self, _: self.set_items(self.take(2)),
    "SETITEMS": lambda self, _: self.set_items(self.since_mark()),
    "NONE": lambda self, _: self.stack.append(None),
    "NEWTRUE": lambda self, _: self.stack.append(True),
    "NEWFALSE": lambda self, _: self.stack.append(False),
} | dict.fromkeys(
    ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"),
    lambda self, argument: self.stack.append(argument),
)
