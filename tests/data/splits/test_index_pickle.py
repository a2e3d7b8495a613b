"""Index pickles: what Python 2 and 3 and numpy 1 and 2 write is read; what a program would need is named, not run."""

import builtins
import contextlib
import os
import pickle
import random
import struct

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.splits.index_pickle import MOST_BYTES, MOST_INDICES, read_index_pickle

KEYS = ("testInd", "valIndCV", "trainIndCV")
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def read(data: bytes) -> dict[str, list]:
    """As plain lists."""
    found = read_index_pickle(data, "indices.pkl", KEYS)
    return {
        key: value.tolist() if isinstance(value, np.ndarray) else [numbers.tolist() for numbers in value]
        for key, value in found.items()
    }


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
        b"}q\x00(U\x07testIndq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02(cnumpy\nndarray"
        b"\nq\x03(K\x00tq\x04U\x01bq\x05tq\x06Rq\x07(K\x01(K\x02tq\x08cnumpy\ndtype\nq\t(U"
        b"\x02i8q\nK\x00K\x01tq\x0bRq\x0c(K\x03U\x01<q\rNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tq\x0ebI00\nU\x10,\x01\x00\x00\x00\x00\x00\x00'\x00\x00\x00\x00\x00\x00\x00q"
        b"\x0ftq\x10bU\ntrainIndCVq\x11]q\x12(]q\x13(K\x01K\x02e]q\x14(L3L\nK\x04eeU\x08valIn"
        b"dCVq\x15h\x02(h\x03h\x04h\x05tq\x16Rq\x17(K\x01(K\x02tq\x18h\t(U\x02O8q\x19K\x00K"
        b"\x01tq\x1aRq\x1b(K\x03U\x01|q\x1cNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\x1dbI00"
        b"\n]q\x1e(h\x02(h\x03h\x04h\x05tq\x1fRq (K\x01(K\x02tq!h\x0cI00\nU\x10\x01\x00\x00"
        b'\x00\x00\x00\x00\x00\xc8\x00\x00\x00\x00\x00\x00\x00q"tq#bh\x02(h\x03h\x04h\x05tq$R'
        b"q%(K\x01(K\x03tq&h\x0cI00\nU\x18'\x00\x00\x00\x00\x00\x00\x00\\\x00\x00\x00\x00\x00"
        b"\x00\x00\n\x00\x00\x00\x00\x00\x00\x00q'tq(betq)bu."
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
    assert read(data) == {
        "testInd": [300, 39],
        "valIndCV": [[1, 200], [39, 92, 10]],
        "trainIndCV": [[1, 2], [3, 4]],
    }


def test_values_that_a_file_holds_once_and_names_twice_are_shared():
    test = np.array([1, 2])
    assert read(pickle.dumps({"testInd": test, "valIndCV": [test, test]})) == {
        "testInd": [1, 2],
        "valIndCV": [[1, 2], [1, 2]],
    }


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
    "INST": (b"(S'exit 3'\nios\nsystem\n.", "asks for INST 'os system'"),
    "OBJ": (b"(cos\nsystem\nS'exit 3'\no.", r"asks for 'os\.system'"),
    "OBJ of a known name": (b"(cnumpy\nndarray\no.", "asks for OBJ,"),
    "NEWOBJ of a known name": (b"\x80\x02cnumpy\nndarray\n)\x81.", "asks for NEWOBJ,"),
    "NEWOBJ_EX of a known name": (b"\x80\x04cnumpy\nndarray\n)}\x92.", "asks for NEWOBJ_EX,"),
    "a call of a word": (b"cnumpy\nndarray\n)R.", "asks for a call of something that is not one of numpy's"),
    "a call of text": (b"S'os.system'\n(S'exit 3'\ntR.", "asks for a call of something"),
    "state of a list": (b"]}b.", "asks for state of something"),
    "state of a name": (b"cnumpy\ndtype\n}b.", "asks for state of something"),
    "EXT1": (b"\x80\x02\x82\x01.", "asks for EXT1,"),
    "EXT4": (b"\x80\x02\x84\x01\0\0\0.", "asks for EXT4,"),
    "PERSID": (b"Pmine\n.", "asks for PERSID 'mine',"),
    "BINPERSID": (b"]Q.", "asks for BINPERSID,"),
    "a buffer from elsewhere": (b"\x80\x05\x97.", "asks for NEXT_BUFFER,"),
    "a known name with a dot": (b"cnumpy\nndarray.tofile\n.", r"asks for 'numpy\.ndarray\.tofile'"),
    "builtins": (b"cbuiltins\neval\n.", r"asks for 'builtins\.eval'"),
    "a very long name": (b"cos\n" + b"x" * 10**5 + b"\n.", r"asks for 'os\.x{97}',"),
}


@pytest.mark.parametrize(("data", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_what_a_program_would_need_is_named_and_not_run(data, sentence, monkeypatch):
    called = []
    monkeypatch.setattr(os, "system", called.append)
    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", lambda name, *rest: called.append(name))
        with pytest.raises(UserError) as caught:
            read_index_pickle(data, "indices.pkl", KEYS)
    assert called == []
    caught.match(r"^indices\.pkl byte \d+ " if "byte" not in sentence else r"^indices\.pkl ")
    caught.match(sentence)
    caught.match("nothing of it was run")


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
    "nothing": (b"", "it ends too early"),
    "text": (b"image_id,test_fold\n", "it ends too early"),
    "an unknown instruction": (b"\xff", "is no pickle instruction"),
    "a newer protocol": (b"\x80\x06].", "its protocol is 6"),
    "an empty stack": (b".", "it stops in the middle"),
    "two values": (b"]].", "it stops in the middle"),
    "no group": (b"l.", "pop from empty list"),
    "an open group": (b"(.", "it stops in the middle"),
    "a group that an instruction reaches below": (b"](a.", "lacks its operand"),
    "an unknown number of a value": (b"h\x07.", "7"),
    "values in a number": (b"K\x01K\x02a.", "appended to what is no list"),
    "entries of a list": (b"]K\x01K\x02s.", "entered into what is no dictionary"),
    "a key without a value": (b"(K\x01d.", "shorter"),
    "text without quotes": (b"S'abc\n.", "no quotes"),
    "a key that is a list": (b"}]]s.", "neither text nor a number"),
    "deep groups": (b"(" * 65, "nested more than 64 deep"),
    "a huge length": (b"\x8e" + b"\xff" * 7 + b"\x7f.", "remain"),
    "a huge number as text": (b"I" + b"9" * 5000 + b"\n.", "limit"),
    "an escape that repr never writes": (b"S'\\q'\n.", "q"),
    "an array with too few numbers": (array_pickle(b"K\x02\x85", raw=bytes(8)), "of 2 numbers comes with 1"),
    "an array with half a number": (array_pickle(b"K\x01\x85", raw=bytes(7)), "buffer size"),
    "a shape with a negative side": (array_pickle(b"J\xff\xff\xff\xff\x85"), "no shape of one or two sides"),
    "a shape of a billion rows of nothing": (array_pickle(b"J\x00\x00\x00\x40K\x00\x86"), f"more than {MOST_INDICES}"),
    "a shape of three sides": (array_pickle(b"K\x00K\x00K\x00\x87"), "no shape of one or two sides"),
    "an array of text": (array_pickle(b"K\x01\x85", code=b"S8", raw=bytes(8)), "is not one of numbers"),
    "an array in an unknown byte order": (array_pickle(b"K\x01\x85", raw=bytes(8), order=b"i8,"), "is not one of"),
    "objects from bytes": (array_pickle(b"K\x01\x85", code=b"O8", raw=bytes(8)), "another shape than its content"),
    "a codec": (b"\x80\x02c_codecs\nencode\nU\x01aU\x06base64\x86R.", "unknown encoding"),
    "bytes of a number": (b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.", "wrong arguments"),
}


@pytest.mark.parametrize(("data", "sentence"), DAMAGED.values(), ids=DAMAGED)
def test_damage_is_one_sentence_with_its_place(data, sentence):
    with pytest.raises(UserError, match=rf"^indices\.pkl byte \d+ is no whole pickle .*{sentence}"):
        read(data)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([0, 1], "holds no dictionary of index lists"),
        ({"testInd": "ISIC_0024306"}, "testInd is no list of whole numbers, nor one per fold .something else is in it"),
        ({"testInd": ["ISIC_0024306"]}, "something else is in it"),
        ({"testInd": {"a": 1}}, "something else is in it"),
        ({"testInd": None}, "testInd is no list"),
        ({"testInd": [0.0]}, "something else is in it"),
        ({"testInd": [True]}, "something else is in it"),
        ({"testInd": np.ones(2)}, "it holds float64"),
        ({"testInd": [[0], 1]}, "testInd is no list"),
        ({"testInd": [np.zeros((2, 2), int)]}, "a fold is an array of arrays"),
        ({"testInd": [2**70]}, "too (large|big)"),
    ],
)
def test_other_content_is_one_sentence_with_its_key(value, sentence):
    with pytest.raises(UserError, match=rf"^indices\.pkl.*{sentence}"):
        read(pickle.dumps(value))


def test_a_file_that_names_one_list_many_times_is_refused_before_it_grows():
    indices = list(range(2000))
    with pytest.raises(UserError, match=f"more than {MOST_INDICES} indices"):
        read(pickle.dumps({"valIndCV": [indices] * (MOST_INDICES // 2000 + 1)}))
    itself = []
    itself.append(itself)
    with pytest.raises(UserError, match="something else is in it"):
        read(pickle.dumps({"testInd": itself}))
    with pytest.raises(UserError, match="something else is in it"):
        read(pickle.dumps({"testInd": nested_lists(20)}))


def nested_lists(levels: int) -> list:
    """Lists of ten times the same list: 10 ** levels numbers from a short file."""
    value: list = [1]
    for _ in range(levels):
        value = [value] * 10
    return value


def test_a_file_that_is_too_large_is_not_looked_at():
    with pytest.raises(UserError, match=f"has {MOST_BYTES + 1} bytes, more than the {MOST_BYTES}"):
        read(b"(" * (MOST_BYTES + 1))


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
