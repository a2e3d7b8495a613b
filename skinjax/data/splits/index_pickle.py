"""Index files of published splits (paper 003's `indices_*.pkl`): pickles that are read without running anything.

`pickle` calls whatever a file tells it to. Here the same instructions, as the standard library's `pickletools` lists
them, build numbers, text, lists, tuples, dictionaries and numpy's arrays of numbers, as Python 2 and 3 and numpy 1 and
2 write them. Nothing that a file names is imported or called: eight known names stand for eight functions of this
module, and every other name or instruction is refused.
"""

import io
import math
import pickletools
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from skinjax.core.errors import UserError

MOST_BYTES = 2**23  # ISIC 2019's 25,331 images in five folds take 1.2 MB; each byte may become 70 in memory
MOST_INDICES = 2**22
DEEPEST = 64
NEWEST_PROTOCOL = 5


def read_index_pickle(data: bytes, name: str, keys: Sequence[str]) -> dict[str, np.ndarray | list[np.ndarray]]:
    """What a pickled dictionary holds under those of `keys` that it has.

    Each is int64 [n], or a list of these where the file has one list per fold. Other keys are not looked at.

    Args:
      data: the file's bytes; name: what errors call it.

    >>> read_index_pickle(pickle.dumps({"testInd": [4, 2]}), "indices.pkl", ["testInd"])  # doctest: +SKIP
    {'testInd': array([4, 2])}
    """
    if len(data) > MOST_BYTES:
        raise UserError(f"{name} has {len(data)} bytes, more than the {MOST_BYTES} that an index file may have")
    content = _load(data, name)
    if not isinstance(content, dict):
        raise UserError(f"{name} holds no dictionary of index lists: give a file with keys like {', '.join(keys)}")
    found = {}
    for key in keys:
        if key in content:
            try:
                found[key] = _index_lists(content[key])
            except (ValueError, TypeError, OverflowError) as error:
                raise UserError(f"{name}: {key} is no list of whole numbers, nor one per fold ({error})") from error
    return found


def _load(data: bytes, name: str) -> Any:
    """The one object that the instructions build."""
    stream, stack = io.BytesIO(data), _Stack()
    while True:
        position = stream.tell()
        code = stream.read(1)
        try:
            if code not in INSTRUCTIONS:
                raise ValueError(f"{code!r} is no pickle instruction" if code else "it ends too early")
            instruction = INSTRUCTIONS[code]
            argument = _argument(instruction, stream)
            if instruction.name == "STOP":
                return stack.only()
            if instruction.name not in STEPS:
                _refuse(f"{instruction.name} {argument!r:.100}" if isinstance(argument, str) else instruction.name)
            STEPS[instruction.name](stack, argument)
        except _RefusedError as refusal:
            raise UserError(
                f"{name} byte {position} asks for {refusal}, which index lists do not need: nothing of it was run; "
                "load this file with nothing else, and ask for the split as a CSV"
            ) from None
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
            reason = str(error)[:200] or type(error).__name__
            raise UserError(f"{name} byte {position} is no whole pickle ({reason}): fetch the file again") from error


def _argument(instruction: pickletools.OpcodeInfo, stream: io.BytesIO) -> Any:
    # The lines of text are read here: pickletools reads ASCII only, where Python 2 wrote arrays as such text.
    if instruction.name in ("STRING", "GLOBAL", "INST", "PERSID"):
        lines = [_line(stream) for _ in range(2 if instruction.name in ("GLOBAL", "INST") else 1)]
        return _unquoted(lines[0]) if instruction.name == "STRING" else " ".join(line.decode() for line in lines)
    return None if instruction.arg is None else instruction.arg.reader(stream)


def _line(stream: io.BytesIO) -> bytes:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise ValueError("it ends too early")
    return line[:-1]


def _unquoted(text: bytes) -> str:
    """Text that Python 2 wrote with `repr`, one character per byte."""
    if len(text) < 2 or text[:1] not in (b"'", b'"') or text[-1:] != text[:1]:
        raise ValueError("text has no quotes")
    escapes = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b"'": b"'", b'"': b'"'}

    def character(match: re.Match[bytes]) -> bytes:
        escape = match.group(1)
        return bytes([int(escape[1:], 16)]) if len(escape) == 3 else escapes[escape]

    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.?)", character, text[1:-1]).decode("latin-1")


class _RefusedError(Exception):
    """Something that only a program would need."""


def _refuse(what: str) -> NoReturn:
    raise _RefusedError(what)


class _Stack:
    """The values built so far, where groups of them began, and the numbered values that a file refers back to."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.values.append(value)

    def top(self) -> Any:
        if len(self.values) <= (self.marks[-1] if self.marks else 0):
            raise IndexError("an instruction lacks its operand")
        return self.values[-1]

    def pop(self) -> Any:
        self.top()
        return self.values.pop()

    def mark(self) -> None:
        if len(self.marks) == DEEPEST:
            raise ValueError(f"lists are nested more than {DEEPEST} deep")
        self.marks.append(len(self.values))

    def pop_group(self) -> list[Any]:
        start = self.marks.pop()
        group = self.values[start:]
        del self.values[start:]
        return group

    def only(self) -> Any:
        if len(self.values) != 1 or self.marks:
            raise ValueError("it stops in the middle")
        return self.values[0]


class _Dtype:
    """The type of an array's numbers; `build` tells it the byte order."""

    def __init__(self, code: str, *_flags: Any) -> None:
        if code not in NUMBER_TYPES and code not in OBJECT_TYPES:
            raise ValueError("an array is not one of numbers")
        self.code, self.order = code, "|"

    def build(self, state: Any) -> None:
        self.order = state[1]

    def numbers(self, raw: Any) -> np.ndarray:
        """The numbers that `raw` encodes: [n], not a copy."""
        if self.code in OBJECT_TYPES or self.order not in ("|", "=", "<", ">"):
            raise ValueError("an array is not one of numbers")
        return np.frombuffer(raw.encode("latin-1") if isinstance(raw, str) else raw, np.dtype(self.order + self.code))


class _Array:
    """An array of numbers, or (where one says "object") a list of values; `build` fills it."""

    def __init__(self) -> None:
        self.content: np.ndarray | list[Any] = []

    def build(self, state: Any) -> None:
        _, shape, dtype, by_column, raw = state
        self.fill(raw, dtype, shape, by_column)

    def fill(self, raw: Any, dtype: Any, shape: Any, by_column: bool) -> None:
        size = _size(shape)
        if not isinstance(dtype, _Dtype):
            raise ValueError("an array has no type")
        if dtype.code not in OBJECT_TYPES:
            numbers = dtype.numbers(raw)
            if len(numbers) != size:
                raise ValueError(f"an array of {size} numbers comes with {len(numbers)}")
            self.content = numbers.reshape(shape, order="F" if by_column else "C")
        elif type(raw) is not list or len(raw) != size or not 1 <= len(shape) <= 2 or (by_column and len(shape) == 2):
            raise ValueError("an array of objects has another shape than its content")
        else:
            self.content = raw if len(shape) == 1 else [raw[row : row + shape[1]] for row in range(0, size, shape[1])]


def _size(shape: Any) -> int:
    if type(shape) is not tuple or len(shape) > 2 or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("an array has no shape of one or two sides")
    if math.prod(max(side, 1) for side in shape) > MOST_INDICES:  # rows without columns take memory too
        raise ValueError(f"an array has more than {MOST_INDICES} numbers")
    return math.prod(shape)


# The names that index files use, and what is done in their place


class _Name:
    """A known name of a file, with the function of this module that stands for it (None: a mere word)."""

    def __init__(self, function: Callable[..., Any] | None) -> None:
        self.function = function


def _empty_array(*_type_shape_and_code: Any) -> _Array:
    return _Array()


def _array_from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.fill(raw, dtype, shape, by_column=order == "F")
    return array


def _number(dtype: _Dtype, raw: Any) -> int | float | bool:
    return dtype.numbers(raw).item()


def _encoded(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes are in an unknown encoding")
    return text.encode("latin-1")


NUMBER_TYPES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
OBJECT_TYPES = ("O4", "O8")
NAMES = {
    ("numpy", "ndarray"): _Name(None),
    ("numpy", "dtype"): _Name(_Dtype),
    ("_codecs", "encode"): _Name(_encoded),
    **{(module, "bytes"): _Name(bytes) for module in ("builtins", "__builtin__")},
    **{
        (f"numpy.{core}.{module}", name): _Name(function)
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", _empty_array),
            ("multiarray", "scalar", _number),
            ("numeric", "_frombuffer", _array_from_buffer),
        )
    },
}


# One step per instruction; what is not here is refused


def _known_name(stack: _Stack, module: Any, name: Any) -> None:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ValueError("a name is not text")
    if (module, name) not in NAMES:
        _refuse(repr(f"{module}.{name}"[:100]))
    stack.push(NAMES[module, name])


def _global(stack: _Stack, argument: str) -> None:
    module, _, name = argument.partition(" ")
    _known_name(stack, module, name)


def _stack_global(stack: _Stack, _argument: None) -> None:
    name, module = stack.pop(), stack.pop()
    _known_name(stack, module, name)


def _reduce(stack: _Stack, _argument: None) -> None:
    arguments, name = stack.pop(), stack.pop()
    if not isinstance(name, _Name) or name.function is None:
        _refuse("a call of something that is not one of numpy's")
    if type(arguments) is not tuple or (name.function is bytes and arguments):
        raise ValueError("a call has the wrong arguments")
    stack.push(name.function(*arguments))


def _build(stack: _Stack, _argument: None) -> None:
    state, target = stack.pop(), stack.top()
    if not isinstance(target, _Dtype | _Array):
        _refuse("state of something that is not one of numpy's")
    if type(state) is not tuple:
        raise ValueError("an array has no state")
    target.build(state)


def _append(stack: _Stack, values: list[Any]) -> None:
    target = stack.top()
    if type(target) is not list:
        raise TypeError("something is appended to what is no list")
    target.extend(values)


def _set(stack: _Stack, group: list[Any]) -> None:
    target = stack.top()
    if type(target) is not dict:
        raise TypeError("something is entered into what is no dictionary")
    target.update(_pairs(group))


def _pairs(group: list[Any]) -> dict[Any, Any]:
    keys, values = group[::2], group[1::2]
    if not all(type(key) in (str, bytes, int) for key in keys):
        raise TypeError("a dictionary has a key that is neither text nor a number")
    return dict(zip(keys, values, strict=True))


def _last(stack: _Stack, count: int) -> list[Any]:
    return [stack.pop() for _ in range(count)][::-1]


def _protocol(_stack: _Stack, version: int) -> None:
    if version > NEWEST_PROTOCOL:
        raise ValueError(f"its protocol is {version}; {NEWEST_PROTOCOL} is the newest known")


def _remember(stack: _Stack, number: int | None) -> None:
    stack.memo[len(stack.memo) if number is None else number] = stack.top()


ARGUMENT_ITSELF = """INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING
BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8"""
INSTRUCTIONS = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
STEPS: dict[str, Callable[[_Stack, Any], None]] = {
    **dict.fromkeys(ARGUMENT_ITSELF.split(), _Stack.push),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda stack, number: stack.push(stack.memo[number])),
    "PROTO": _protocol,
    "FRAME": lambda stack, _: None,
    "NONE": lambda stack, _: stack.push(None),
    "NEWTRUE": lambda stack, _: stack.push(True),
    "NEWFALSE": lambda stack, _: stack.push(False),
    "MARK": lambda stack, _: stack.mark(),
    "EMPTY_LIST": lambda stack, _: stack.push([]),
    "EMPTY_TUPLE": lambda stack, _: stack.push(()),
    "EMPTY_DICT": lambda stack, _: stack.push({}),
    "LIST": lambda stack, _: stack.push(stack.pop_group()),
    "TUPLE": lambda stack, _: stack.push(tuple(stack.pop_group())),
    "TUPLE1": lambda stack, _: stack.push(tuple(_last(stack, 1))),
    "TUPLE2": lambda stack, _: stack.push(tuple(_last(stack, 2))),
    "TUPLE3": lambda stack, _: stack.push(tuple(_last(stack, 3))),
    "DICT": lambda stack, _: stack.push(_pairs(stack.pop_group())),
    "APPEND": lambda stack, _: _append(stack, _last(stack, 1)),
    "APPENDS": lambda stack, _: _append(stack, stack.pop_group()),
    "SETITEM": lambda stack, _: _set(stack, _last(stack, 2)),
    "SETITEMS": lambda stack, _: _set(stack, stack.pop_group()),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
}


# From what a file holds to index lists


def _index_lists(value: Any) -> np.ndarray | list[np.ndarray]:
    value = _content(value)
    if isinstance(value, np.ndarray):
        numbers = _whole_numbers(value)
        return list(numbers) if numbers.ndim == 2 else numbers
    if not any(isinstance(_content(entry), list | tuple | np.ndarray) for entry in value):
        return _whole_numbers(value)
    lists = [_content(entry) for entry in value]
    # Many folds may share one list, so the file's size does not bound the sum.
    if sum(map(len, lists)) > MOST_INDICES:
        raise ValueError(f"it has more than {MOST_INDICES} indices")
    return [_one_list(_whole_numbers(entry)) for entry in lists]


def _content(value: Any) -> Any:
    if isinstance(value, _Array):
        value = value.content
    return value


def _one_list(numbers: np.ndarray) -> np.ndarray:
    if numbers.ndim != 1:
        raise ValueError("a fold is an array of arrays")
    return numbers


def _whole_numbers(value: Any) -> np.ndarray:
    """int64 [n] of a list, [n] or [n, m] of an array."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "iu":
            raise ValueError(f"it holds {value.dtype}")
        return value.astype(np.int64)
    if not isinstance(value, list | tuple) or not all(type(entry) is int for entry in value):
        raise ValueError("something else is in it")
    return np.array(value, np.int64)
