"""tools/convert_index_pickle.py: what Python 2 and 3 and numpy 1 and 2 write is read; no program in a file is run."""

import builtins
import contextlib
import os
import pickle
import random
import struct
import sys

import convert_index_pickle
import numpy as np
import pytest
from convert_index_pickle import MOST_BYTES, convert, index_lists, load

from skinjax.core.arguments import exit_status
from skinjax.core.errors import UserError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
IDS = ["i3", "i1", "i2", "i5", "i4", "i6"]


def read(data: bytes) -> dict[str, list]:
    return index_lists(data, "indices.pkl", 1000)


def converted(lists: object) -> str:
    return convert(pickle.dumps(lists), "indices.pkl", IDS)


# From lists to the table


@pytest.mark.parametrize(
    "lists",
    [
        {"testInd": [0], "valIndCV": [[2], [3]], "trainIndCV": [[3, 4], [2, 4]]},
        {"testInd": np.array([0]), "valIndCV": np.array([[2], [3]]), "trainIndCV": np.array([[3, 4], [4, 2]])},
        {
            "testInd": np.array([0]),
            "valIndCV": np.array([np.array([2]), np.array([3])], dtype=object),
            "trainIndCV": [np.array([3, 4]), np.array([2, 4])],
            "exclude_inds": np.zeros(6, bool),
        },
    ],
)
def test_positions_count_in_the_images_sorted_by_id(lists):
    assert converted(lists).splitlines() == [
        "image_id,fold1,fold2",
        "i1,test,test",
        "i3,validation,train",
        "i4,train,validation",
        "i5,train,train",
    ]


def test_a_file_without_folds_has_one_and_may_lack_validation_or_test():
    assert converted({"testInd": [1], "trainInd": [0, 2]}) == "image_id,fold1\ni1,train\ni2,test\ni3,train\n"
    assert converted({"valIndCV": [[1], [0]], "trainIndCV": [[0], [1]]}) == (
        "image_id,fold1,fold2\ni1,train,validation\ni2,validation,train\n"
    )


@pytest.mark.parametrize(
    ("lists", "sentence"),
    [
        ([0, 1], "holds no dictionary of index lists"),
        ({"test": [1]}, r"has no index lists: it needs trainIndCV or trainInd and others"),
        ({"trainInd": [1]}, "has trainInd: it needs trainIndCV or trainInd and others"),
        ({"testInd": [1], "valIndCV": [[2]]}, "has valIndCV, testInd: it needs trainIndCV"),
        ({"testInd": [6], "trainInd": [0]}, "testInd holds the position 6, and there are 6 images"),
        ({"testInd": [-1], "trainInd": [0]}, "testInd holds the position -1"),
        ({"testInd": [0], "trainInd": [1, 0]}, "testInd holds the position 0, which train holds already"),
        ({"testInd": [0], "trainIndCV": [[1], [2, 0]]}, "testInd holds the position 0, which train holds already"),
        ({"testInd": [2, 0, 2], "trainInd": [1]}, "testInd holds the position 2, which test holds already"),
        ({"testInd": [0], "trainIndCV": [[1], [2]]}, "has i2 in some folds, and in no part of fold 2"),
        ({"valIndCV": [[0]], "trainIndCV": [[1], [2]]}, r"other numbers of folds \(.*trainIndCV.: 2, .valIndCV.: 1"),
        ({"valIndCV": [[0]] * 1001, "trainIndCV": [[1]]}, "valIndCV is no list .* more than 1000 entries"),
        ({"testInd": "i1"}, "testInd is no list of whole numbers, nor one per fold .something else is in it"),
        ({"testInd": ["i1"]}, "something else is in it"),
        ({"testInd": None}, "something else is in it"),
        ({"testInd": [0.0]}, "something else is in it"),
        ({"testInd": [True]}, "something else is in it"),
        ({"testInd": np.ones(2)}, "something else is in it"),
        ({"testInd": [[0], 1]}, "something else is in it"),
        ({"testInd": [np.zeros((2, 2), int)]}, "something else is in it"),
    ],
)
def test_lists_that_are_no_split_are_one_sentence(lists, sentence):
    with pytest.raises(UserError, match=rf"^indices\.pkl.*{sentence}") as caught:
        converted(lists)
    assert "\n" not in str(caught.value)


def test_a_file_that_names_one_list_many_times_is_refused_before_it_grows():
    with pytest.raises(UserError, match="more than 1000 entries"):
        read(pickle.dumps({"valIndCV": [list(range(2000))] * 900}))
    itself, nested = [], [1]
    itself.append(itself)
    for _ in range(20):
        nested = [nested] * 10  # 10 ** 20 numbers from a short file
    for value in (itself, nested):
        with pytest.raises(UserError, match="something else is in it"):
            read(pickle.dumps({"testInd": value}))


def test_the_program_writes_a_new_file(tmp_path, capsys, monkeypatch):
    source, images, target = tmp_path / "indices.pkl", tmp_path / "images.csv", tmp_path / "split.csv"
    source.write_bytes(pickle.dumps({"testInd": [1], "trainInd": [0]}))
    images.write_text("dx,image_id\nnv,i2\nmel,i1\n")
    monkeypatch.setattr(sys, "argv", ["convert_index_pickle.py", str(source), str(images), str(target)])
    assert exit_status(convert_index_pickle.main) == 0
    assert target.read_text() == "image_id,fold1\ni1,train\ni2,test\n"
    assert exit_status(convert_index_pickle.main) == 1
    output, errors = capsys.readouterr()
    assert output == f"{target} has the parts of 2 images\n"
    assert errors == f"error: {target} is there already: give another name, or remove it\n"


# From a file to lists


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([300, 1], [300, 1]),
        ((300, 1), [300, 1]),
        ([], []),
        ([2**40], [2**40]),
        (np.array([300, 1]), [300, 1]),
        (np.array([300, 1], dtype=">i4"), [300, 1]),
        (np.array([200, 1], dtype=np.uint8), [200, 1]),
        (np.array([], dtype=int), []),
        (np.arange(10)[::3], [0, 3, 6, 9]),
        ([np.int64(300), np.int32(1)], [300, 1]),
        ([[300], [1, 2]], [[300], [1, 2]]),
        ([np.array([300]), np.array([1, 2])], [[300], [1, 2]]),
        (np.array([np.array([300]), np.array([1, 2])], dtype=object), [[300], [1, 2]]),
        (np.array([[300, 1], [2, 3]]), [[300, 1], [2, 3]]),
        (np.asfortranarray(np.array([[300, 1], [2, 3]])), [[300, 1], [2, 3]]),
        (np.array([[300, 1], [2, 3]], dtype=object), [[300, 1], [2, 3]]),
    ],
)
def test_lists_and_arrays_are_read_in_every_protocol(value, expected, protocol):
    beside = {
        "names": ["a", "b"],
        "fraction": 0.5,
        "none": None,
        "flag": True,
        "raw": b"\xff",
        "mask": np.ones(2, bool),
    }
    data = pickle.dumps({"testInd": value, **beside}, protocol=protocol)
    assert read(data) == {"testInd": expected}
    # numpy 1 has `core` where numpy 2 has `_core`; as text, lines end the names, else their length stands before.
    if protocol in (0, 1, 2, 3):
        assert read(data.replace(b"numpy._core.", b"numpy.core.")) == {"testInd": expected}


def test_the_names_of_numpy_1_are_known_in_protocols_4_and_5():
    array = np.array([300, 1])
    for protocol, name in ((4, "multiarray"), (5, "numeric")):
        data = pickle.dumps({"testInd": array}, protocol=protocol)
        new, old = (f"numpy.{core}.{name}".encode() for core in ("_core", "core"))
        data = data.replace(bytes([len(new)]) + new, bytes([len(old)]) + old)
        assert old in data
        assert read(data) == {"testInd": [300, 1]}


PYTHON_2 = [
    (
        b"(dp0\nS'testInd'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np"
        b"3\n(I0\ntp4\nS'b'\np5\ntp6\nRp7\n(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'i8'\np10\nI0"
        b"\nI1\ntp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\ntp14\nbI00\nS\",\\x01\\x00\\x00"
        b"\\x00\\x00\\x00\\x00'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\"\np15\ntp16\nbsS'trainIn"
        b"dCV'\np17\n(lp18\n(lp19\nI1\naI2\naa(lp20\nL3L\naI4\naasS'valIndCV'\np21\ng2\n(g3\n"
        b"g4\ng5\ntp22\nRp23\n(I1\n(I2\ntp24\ng9\n(S'O8'\np25\nI0\nI1\ntp26\nRp27\n(I3\nS'|'"
        b"\np28\nNNNI-1\nI-1\nI63\ntp29\nbI00\n(lp30\ng2\n(g3\ng4\ng5\ntp31\nRp32\n(I1\n(I2\n"
        b"tp33\ng12\nI00\nS'\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xc8\\x00\\x00\\x00\\x00"
        b"\\x00\\x00\\x00'\np34\ntp35\nbag2\n(g3\ng4\ng5\ntp36\nRp37\n(I1\n(I3\ntp38\ng12\nI0"
        b"0\nS\"'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\\\\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\"
        b'n\\x00\\x00\\x00\\x00\\x00\\x00\\x00"\np39\ntp40\nbatp41\nbs.'
    ),
    (
        b"\x80\x02}q\x00(U\x07testIndq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\n"
        b"ndarray\nq\x03K\x00\x85q\x04U\x01bq\x05\x87q\x06Rq\x07(K\x01K\x02\x85q\x08cnumpy\nd"
        b"type\nq\tU\x02i8q\nK\x00K\x01\x87q\x0bRq\x0c(K\x03U\x01<q\rNNNJ\xff\xff\xff\xffJ"
        b"\xff\xff\xff\xffK\x00tq\x0eb\x89U\x10,\x01\x00\x00\x00\x00\x00\x00'\x00\x00\x00\x00"
        b"\x00\x00\x00q\x0ftq\x10bU\ntrainIndCVq\x11]q\x12(]q\x13(K\x01K\x02e]q\x14(\x8a\x01"
        b"\x03K\x04eeU\x08valIndCVq\x15h\x02h\x03h\x04h\x05\x87q\x16Rq\x17(K\x01K\x02\x85q"
        b"\x18h\tU\x02O8q\x19K\x00K\x01\x87q\x1aRq\x1b(K\x03U\x01|q\x1cNNNJ\xff\xff\xff\xffJ"
        b"\xff\xff\xff\xffK?tq\x1db\x89]q\x1e(h\x02h\x03h\x04h\x05\x87q\x1fRq (K\x01K\x02\x85"
        b'q!h\x0c\x89U\x10\x01\x00\x00\x00\x00\x00\x00\x00\xc8\x00\x00\x00\x00\x00\x00\x00q"t'
        b"q#bh\x02h\x03h\x04h\x05\x87q$Rq%(K\x01K\x03\x85q&h\x0c\x89U\x18'\x00\x00\x00\x00"
        b"\x00\x00\x00\\\x00\x00\x00\x00\x00\x00\x00\n\x00\x00\x00\x00\x00\x00\x00q'tq(betq)b"
        b"u."
    ),
]


@pytest.mark.parametrize("data", PYTHON_2)
def test_what_python_2_wrote_is_read(data):
    assert read(data) == {"testInd": [300, 39], "valIndCV": [[1, 200], [39, 92, 10]], "trainIndCV": [[1, 2], [3, 4]]}


class Call:
    """Pickles as a call of os.system."""

    def __reduce__(self):
        return os.system, ("exit 3",)


class State:
    """Pickles as an object whose state is restored by its own __setstate__."""

    def __getstate__(self):
        return {"command": "exit 3"}

    def __setstate__(self, state):
        os.system(state["command"])


HOSTILE = {
    **{
        f"REDUCE, protocol {p}": (pickle.dumps({"testInd": Call()}, p), r"asks for '(posix|nt).system'")
        for p in PROTOCOLS
    },
    **{
        f"BUILD, protocol {p}": (pickle.dumps([State()], p), r"asks for '(copy_?reg\._reconst|.*State)")
        for p in PROTOCOLS
    },
    "GLOBAL": (b"cos\nsystem\n.", r"byte 0 asks for 'os\.system'"),
    "STACK_GLOBAL": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", r"byte 14 asks for 'os\.system'"),
    "INST": (b"(S'exit 3'\nios\nsystem\n.", "asks for INST,"),
    "OBJ of a known name": (b"(cnumpy\nndarray\no.", "asks for OBJ,"),
    "NEWOBJ of a known name": (b"\x80\x02cnumpy\nndarray\n)\x81.", "asks for NEWOBJ,"),
    "a call of a word": (b"cnumpy\nndarray\n)R.", "asks for a call of something that is not one of numpy's"),
    "a call of text": (b"S'os.system'\n(S'exit 3'\ntR.", "asks for a call of something"),
    "state of a list": (b"]}b.", "asks for state of something"),
    "EXT1": (b"\x80\x02\x82\x01.", "asks for EXT1,"),
    "PERSID": (b"Pmine\n.", "asks for PERSID,"),
    "a known name with a dot": (b"cnumpy\nndarray.tofile\n.", r"asks for 'numpy\.ndarray\.tofile'"),
    "builtins": (b"cbuiltins\neval\n.", r"asks for 'builtins\.eval'"),
}


@pytest.mark.parametrize(("data", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_what_a_program_would_need_is_named_and_not_run(data, sentence, monkeypatch):
    called = []
    monkeypatch.setattr(os, "system", called.append)
    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", lambda name, *rest: called.append(name))
        with pytest.raises(UserError) as caught:
            load(data, "indices.pkl")
    assert called == []
    caught.match(rf"^indices\.pkl .*{sentence}.* nothing of it was run")


def test_the_hostile_files_would_run_with_pickle(monkeypatch):
    called = []
    monkeypatch.setattr(os, "system", called.append)
    for name in ("INST", "BUILD, protocol 2"):
        pickle.loads(HOSTILE[name][0])
    assert called == ["exit 3", "exit 3"]


def array_pickle(shape: bytes, code: bytes = b"i8", raw: bytes = b"", order: bytes = b"<") -> bytes:
    """A numpy array as protocol 2 has it, with any shape, type and content."""
    dtype = b"cnumpy\ndtype\nU" + bytes([len(code)]) + code + b"\x85R(K\x03U" + bytes([len(order)]) + order + b"tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n)R"
    return (
        b"\x80\x02}U\x07testInd"
        + empty
        + b"(K\x01"
        + shape
        + dtype
        + b"\x89T"
        + struct.pack("<i", len(raw))
        + raw
        + b"tbs."
    )


DAMAGED = {
    "nothing": b"",
    "text": b"image_id,test_fold\n",
    "two values": b"]].",
    "no group": b"l.",
    "an open group": b"(.",
    "a group that an instruction reaches below": b"](a.",
    "an unknown number of a value": b"h\x07.",
    "values in a number": b"K\x01K\x02a.",
    "entries of a list": b"]K\x01K\x02s.",
    "a key without a value": b"(K\x01d.",
    "text without quotes": b"S'abc\n.",
    "text that is an expression": b"S'a'*9**9**9+'a'\n.",
    "a key that is a list": b"}]]s.",
    "a huge length": b"\x8e" + b"\xff" * 7 + b"\x7f.",
    "a huge number as text": b"I" + b"9" * 5000 + b"\n.",
    "an array with too few numbers": array_pickle(b"K\x02\x85", raw=bytes(8)),
    "an array with half a number": array_pickle(b"K\x01\x85", raw=bytes(7)),
    "a shape with a negative side": array_pickle(b"J\xff\xff\xff\xff\x85"),
    "a shape of three sides": array_pickle(b"K\x00K\x00K\x00\x87"),
    "an array of text": array_pickle(b"K\x01\x85", code=b"S8", raw=bytes(8)),
    "an array in an unknown byte order": array_pickle(b"K\x01\x85", raw=bytes(8), order=b"i8,"),
    "objects from bytes": array_pickle(b"K\x01\x85", code=b"O8", raw=bytes(8)),
    "a codec": b"\x80\x02c_codecs\nencode\nU\x01aU\x06base64\x86R.",
    "bytes of a number": b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.",
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damage_is_one_sentence_with_its_place(data):
    with pytest.raises(UserError, match=r"^indices\.pkl byte \d+ is no whole pickle \(\w+.*\): fetch the file again$"):
        read(data)


def test_a_file_that_is_too_large_and_rows_without_columns_take_no_memory():
    with pytest.raises(UserError, match=f"has {MOST_BYTES + 1} bytes, more than the {MOST_BYTES}"):
        read(b"(" * (MOST_BYTES + 1))
    with pytest.raises(UserError, match="more than 1000 entries"):
        read(array_pickle(b"J\x00\x00\x00\x40K\x00\x86"))


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_file_cut_anywhere_or_changed_in_one_byte_gives_lists_or_one_sentence(protocol):
    folds = np.array([np.array([300]), np.array([1, 2])], dtype=object)
    data = pickle.dumps({"testInd": [300, 1], "valIndCV": folds, "trainIndCV": [np.arange(2)]}, protocol=protocol)
    for length in range(len(data)):
        with pytest.raises(UserError, match=r"^indices\.pkl byte \d+ is no whole pickle"):
            read(data[:length])
    generator = random.Random(protocol)
    for position in range(len(data)):
        for byte in generator.sample(range(256), 20):
            changed = bytearray(data)
            changed[position] = byte
            with contextlib.suppress(UserError):
                read(bytes(changed))
