"""Convert a published split, a pickle of positions (paper 003's `indices_*.pkl`), to the CSV that skinjax reads.

    python tools/convert_index_pickle.py indices_tbe.pkl HAM10000_metadata.csv indices_tbe.csv

The positions count, from 0, in the images sorted by id; the second file is any table with a column `image_id` that has
all of them. The pickle holds a dictionary of `testInd`, `valIndCV` and `trainIndCV`, the latter with a list per fold,
or of `testInd`, `valInd` and `trainInd`; it may lack validation or test.

`pickle` calls whatever a file tells it to. Here the same instructions, as the standard library's `pickletools` lists
them, build numbers, text, lists, tuples, dictionaries and numpy's arrays of numbers, as Python 2 and 3 and numpy 1 and
2 write them. Nothing that a file names is imported or called: a few known names stand for functions of this program,
and every other name or instruction is refused.
"""

import ast
import io
import math
import pickletools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skinjax.core.arguments import Parser, exit_status
from skinjax.core.errors import UserError
from skinjax.core.files import write_atomically
from skinjax.core.tables import csv_text, read_file, read_table_file

MOST_BYTES = 2**23  # ISIC 2019's 25,331 images in five folds take 1.2 MB; each byte may become 70 in memory
MOST_FOLDS = 1000
# For each part: one list per fold ("CV"), else one for all.
INDEX_KEYS = {
    "train": ("trainIndCV", "trainInd"),
    "validation": ("valIndCV", "valInd"),
    "test": ("testIndCV", "testInd"),
}


def convert(data: bytes, name: str, image_ids: Sequence[str]) -> str:
    """The CSV image_id,fold1,... of a pickle's bytes; name: what errors call it."""
    ids = sorted(image_ids)
    folds = parts_of_folds(index_lists(data, name, len(ids)), name, len(ids))
    rows = []
    for position, image_id in enumerate(ids):
        parts = [fold.get(position, "") for fold in folds]
        if any(parts):
            if not all(parts):
                raise UserError(f"{name} has {image_id} in some folds, and in no part of fold {parts.index('') + 1}")
            rows.append((image_id, *parts))
    return csv_text(["image_id", *(f"fold{number + 1}" for number in range(len(folds)))], rows)


def parts_of_folds(lists: dict[str, list[Any]], name: str, images: int) -> list[dict[int, str]]:
    """For each fold, the part of each position."""
    chosen = {part: key for part, keys in INDEX_KEYS.items() for key in reversed(keys) if key in lists}
    if "train" not in chosen or len(chosen) < 2:
        raise UserError(
            f"{name} has {', '.join(lists) or 'no index lists'}: it needs trainIndCV or trainInd and others"
        )
    per_fold = {key: len(lists[key]) for key in chosen.values() if lists[key] and isinstance(lists[key][0], list)}
    if len(set(per_fold.values())) > 1:
        raise UserError(f"{name} has lists for other numbers of folds ({per_fold}): it is no whole split")
    folds: list[dict[int, str]] = [{} for _ in range(max(per_fold.values(), default=1))]
    for number, fold in enumerate(folds):
        for part, key in chosen.items():
            for position in lists[key][number] if key in per_fold else lists[key]:
                if not 0 <= position < images:
                    raise UserError(f"{name}: {key} holds the position {position}, and there are {images} images")
                if position in fold:
                    raise UserError(
                        f"{name}: {key} holds the position {position}, which {fold[position]} holds already"
                    )
                fold[position] = part
    return folds


def index_lists(data: bytes, name: str, images: int) -> dict[str, list[Any]]:
    """The lists under those of `INDEX_KEYS` that a pickle has: of whole numbers, or one of these per fold."""
    if len(data) > MOST_BYTES:
        raise UserError(f"{name} has {len(data)} bytes, more than the {MOST_BYTES} that an index file may have")
    content = load(data, name)
    if not isinstance(content, dict):
        raise UserError(f"{name} holds no dictionary of index lists, with keys like testInd and trainIndCV")
    found = {}
    for key in (key for keys in INDEX_KEYS.values() for key in keys if key in content):
        try:
            entries = _as_list(content[key], max(images, MOST_FOLDS))
            if any(isinstance(entry, list | tuple | np.ndarray | Array) for entry in entries):
                if len(entries) > MOST_FOLDS:
                    raise ValueError(f"it has more than {MOST_FOLDS} folds")
                entries = [_as_list(entry, images) for entry in entries]
            if not all(
                type(index) is int for entry in entries for index in (entry if type(entry) is list else [entry])
            ):
                raise ValueError("something else is in it")
            found[key] = entries
        except (ValueError, TypeError) as error:
            raise UserError(f"{name}: {key} is no list of whole numbers, nor one per fold ({error})") from error
    return found


def _as_list(value: Any, most: int) -> list[Any]:
    value = value.content if isinstance(value, Array) else value
    if not isinstance(value, list | tuple | np.ndarray):
        raise ValueError("something else is in it")
    if len(value) > most:  # a short file may name one list many times
        raise ValueError(f"it has more than {most} entries")
    return value.tolist() if isinstance(value, np.ndarray) else list(value)


def load(data: bytes, name: str) -> Any:
    """The one object that a pickle's instructions build."""
    stream, stack = io.BytesIO(data), Stack()
    while True:
        position = stream.tell()
        try:
            instruction = INSTRUCTIONS[stream.read(1)]
            argument = _argument(instruction, stream)
            if instruction.name == "STOP":
                return stack.only()
            if instruction.name not in STEPS:
                raise Refusal(instruction.name)
            STEPS[instruction.name](stack, argument)
        except Refusal as refusal:
            raise UserError(
                f"{name} byte {position} asks for {refusal}, which index lists do not need: nothing of it was run; "
                "load this file with nothing else, and ask for the split as a CSV"
            ) from None
        except Exception as error:  # hostile bytes raise anything
            reason = f"{type(error).__name__} {str(error)[:200]}"
            raise UserError(f"{name} byte {position} is no whole pickle ({reason}): fetch the file again") from error


def _argument(instruction: pickletools.OpcodeInfo, stream: io.BytesIO) -> Any:
    if instruction.name == "STRING":  # pickletools takes ASCII only, and Python 2 wrote arrays as such text
        line = stream.readline()
        if line[:1] not in (b"'", b'"') or line[-2:-1] != line[:1]:
            raise ValueError("text has no quotes")
        return ast.literal_eval(f"b{line.decode()}").decode("latin-1")
    return None if instruction.arg is None else instruction.arg.reader(stream)


class Refusal(Exception):  # noqa: N818
    """Something that only a program would need."""


class Stack:
    """The values built so far, where groups of them began, and the numbered values that a file refers back to."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def top(self) -> Any:
        if len(self.values) <= (self.marks[-1] if self.marks else 0):
            raise IndexError("an instruction lacks its operand")
        return self.values[-1]

    def pop(self) -> Any:
        self.top()
        return self.values.pop()

    def last(self, count: int) -> list[Any]:
        return [self.pop() for _ in range(count)][::-1]

    def group(self) -> list[Any]:
        start = self.marks.pop()
        group = self.values[start:]
        del self.values[start:]
        return group

    def only(self) -> Any:
        if len(self.values) != 1 or self.marks:
            raise ValueError("it stops in the middle")
        return self.values[0]


# What stands for the names that index files use


class Dtype:
    """The type of an array's numbers; `build` tells it the byte order."""

    def __init__(self, code: str, *_flags: Any) -> None:
        if code not in NUMBER_TYPES and code not in OBJECT_TYPES:
            raise ValueError("an array is not one of numbers")
        self.code, self.order = code, "|"

    def build(self, state: Any) -> None:
        self.order = state[1]

    def numbers(self, raw: Any) -> np.ndarray:
        """The numbers that `raw` encodes: [n]."""
        if self.code in OBJECT_TYPES or self.order not in ("|", "=", "<", ">"):
            raise ValueError("an array is not one of numbers")
        return np.frombuffer(raw.encode("latin-1") if isinstance(raw, str) else raw, np.dtype(self.order + self.code))


class Array:
    """An array of numbers, or (where one says "object") a list of values; `build` fills it."""

    def __init__(self, *_type_shape_and_code: Any) -> None:
        self.content: np.ndarray | list[Any] = []

    def build(self, state: Any) -> None:
        _, shape, dtype, by_column, raw = state
        if type(shape) is not tuple or len(shape) > 2 or not all(type(side) is int and side >= 0 for side in shape):
            raise ValueError("an array has no shape of one or two sides")
        if not isinstance(dtype, Dtype):
            raise ValueError("an array has no type")
        values = raw if dtype.code in OBJECT_TYPES else dtype.numbers(raw)
        if not isinstance(values, list | np.ndarray) or len(values) != math.prod(shape):
            raise ValueError("an array has another shape than its content")
        if isinstance(values, np.ndarray):
            self.content = values.reshape(shape, order="F" if by_column else "C")
        elif len(shape) == 1:
            self.content = values
        elif by_column:
            raise ValueError("an array of objects lies by column")
        else:
            self.content = [values[row : row + shape[1]] for row in range(0, len(values), shape[1])]


def _array_from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.build((1, shape, dtype, order == "F", raw))
    return array


def _encoded(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes are in an unknown encoding")
    return text.encode("latin-1")


class Name:
    """A known name of a file, with the function that stands for it (None: a mere word)."""

    def __init__(self, function: Callable[..., Any] | None) -> None:
        self.function = function


NUMBER_TYPES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
OBJECT_TYPES = ("O4", "O8")
NAMES = {
    "numpy ndarray": Name(None),
    "numpy dtype": Name(Dtype),
    "_codecs encode": Name(_encoded),
    "builtins bytes": Name(lambda: b""),
    "__builtin__ bytes": Name(lambda: b""),
}
for core in ("core", "_core"):
    NAMES[f"numpy.{core}.multiarray _reconstruct"] = Name(Array)
    NAMES[f"numpy.{core}.multiarray scalar"] = Name(lambda dtype, raw: dtype.numbers(raw).item())
    NAMES[f"numpy.{core}.numeric _frombuffer"] = Name(_array_from_buffer)


# One step per instruction; what is not here is refused


def _name(stack: Stack, name: str) -> None:
    if name not in NAMES:
        raise Refusal(repr(name.replace(" ", ".", 1)[:100]))
    stack.values.append(NAMES[name])


def _reduce(stack: Stack, _argument: None) -> None:
    name, arguments = stack.last(2)
    if not isinstance(name, Name) or name.function is None:
        raise Refusal("a call of something that is not one of numpy's")
    if type(arguments) is not tuple:
        raise ValueError("a call has no arguments")
    stack.values.append(name.function(*arguments))


def _build(stack: Stack, _argument: None) -> None:
    state, target = stack.pop(), stack.top()
    if not isinstance(target, Dtype | Array):
        raise Refusal("state of something that is not one of numpy's")
    target.build(state)


def _extend(stack: Stack, values: list[Any]) -> None:
    if type(stack.top()) is not list:
        raise TypeError("something is appended to what is no list")
    stack.top().extend(values)


def _update(stack: Stack, group: list[Any]) -> None:
    if type(stack.top()) is not dict:
        raise TypeError("something is entered into what is no dictionary")
    stack.top().update(_pairs(group))


def _pairs(group: list[Any]) -> dict[Any, Any]:
    if not all(type(key) in (str, bytes, int) for key in group[::2]):
        raise TypeError("a dictionary has a key that is neither text nor a number")
    return dict(zip(group[::2], group[1::2], strict=True))


def _remember(stack: Stack, number: int | None) -> None:
    stack.memo[len(stack.memo) if number is None else number] = stack.top()


def _pushing(value: Callable[[Stack, Any], Any]) -> Callable[[Stack, Any], None]:
    return lambda stack, argument: stack.values.append(value(stack, argument))


ARGUMENT_ITSELF = """INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING
BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8"""
INSTRUCTIONS = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
STEPS: dict[str, Callable[[Stack, Any], None]] = {
    **dict.fromkeys(ARGUMENT_ITSELF.split(), _pushing(lambda _, argument: argument)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _pushing(lambda stack, number: stack.memo[number])),
    **dict.fromkeys(("PROTO", "FRAME"), lambda stack, _: None),
    "NONE": _pushing(lambda *_: None),
    "NEWTRUE": _pushing(lambda *_: True),
    "NEWFALSE": _pushing(lambda *_: False),
    "MARK": lambda stack, _: stack.marks.append(len(stack.values)),
    "EMPTY_LIST": _pushing(lambda *_: []),
    "EMPTY_TUPLE": _pushing(lambda *_: ()),
    "EMPTY_DICT": _pushing(lambda *_: {}),
    "LIST": _pushing(lambda stack, _: stack.group()),
    "TUPLE": _pushing(lambda stack, _: tuple(stack.group())),
    "TUPLE1": _pushing(lambda stack, _: tuple(stack.last(1))),
    "TUPLE2": _pushing(lambda stack, _: tuple(stack.last(2))),
    "TUPLE3": _pushing(lambda stack, _: tuple(stack.last(3))),
    "DICT": _pushing(lambda stack, _: _pairs(stack.group())),
    "APPEND": lambda stack, _: _extend(stack, stack.last(1)),
    "APPENDS": lambda stack, _: _extend(stack, stack.group()),
    "SETITEM": lambda stack, _: _update(stack, stack.last(2)),
    "SETITEMS": lambda stack, _: _update(stack, stack.group()),
    "GLOBAL": _name,
    "STACK_GLOBAL": lambda stack, _: _name(stack, " ".join(stack.last(2))),
    "REDUCE": _reduce,
    "BUILD": _build,
}


def main() -> int:
    parser = Parser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("pickle", type=Path, metavar="INDICES.pkl", help="the published split")
    parser.add_argument("images", type=Path, metavar="IMAGES.csv", help="a table with all images in a column image_id")
    parser.add_argument("target", type=Path, metavar="SPLIT.csv", help="what to write")
    options = parser.parse_args()
    image_ids = list(read_table_file(options.images, ["image_id"]).unique("image_id"))
    text = convert(read_file(options.pickle), str(options.pickle), image_ids)
    if options.target.exists():
        raise UserError(f"{options.target} is there already: give another name, or remove it")
    try:
        write_atomically(options.target, text)
    except OSError as error:
        raise UserError(f"cannot write {options.target}: {error.strerror or error}") from error
    print(f"{options.target} has the parts of {len(text.splitlines()) - 1:,} images")
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
