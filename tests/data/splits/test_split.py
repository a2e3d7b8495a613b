"""Splits: groups stay whole, every class is everywhere, shares are met, leaks are found, files come back as written."""

import json
from dataclasses import replace

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.splits.split import (
    Split,
    check,
    image_stratified,
    leaks,
    lesion_grouped,
    read_split,
    remarks,
    with_leak_percent,
    with_validation,
    write_split,
)

HAM10000 = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
PROTOCOLS = [lesion_grouped, image_stratified]


def small_set(seed: int) -> tuple[list[str], list[str], list[str]]:
    """Some 1,100 images in lesions of 1-6 photographs; the smallest class has 9 lesions and 9-20 images."""
    generator = np.random.default_rng(seed)
    groups, labels = [], []
    for label, lesions in {"nv": 450, "mel": 90, "bkl": 80, "bcc": 40, "akiec": 24, "vasc": 13, "df": 9}.items():
        for lesion in range(lesions):
            photographs = int(generator.choice([1, 1, 1, 2, 2, 3, 6], p=[0.25, 0.2, 0.2, 0.15, 0.1, 0.08, 0.02]))
            groups += [f"{label}_{lesion}"] * photographs
            labels += [label] * photographs
    return [f"image_{n}" for n in range(len(groups))], groups, labels


def table(rows: list[tuple[str, str]], name: str, folds: list[int] | None = None) -> Split:
    """A split from (group, part) rows."""
    groups, parts = (np.array(column) for column in zip(*rows, strict=True))
    ids = np.array([f"i{n}" for n in range(len(rows))])
    folds_ = np.full(len(rows), -1) if folds is None else np.array(folds)
    return Split(ids, groups, np.full(len(rows), "nv"), folds_, parts, {"name": name})


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("request_", "shares"),
    [
        ({"test": 0.15, "validation": 0.15}, {"train": 0.7, "validation": 0.15, "test": 0.15}),
        ({"test": 0.1, "validation": 0.1}, {"train": 0.8, "validation": 0.1, "test": 0.1}),
        ({"test": 0.3}, {"train": 0.7, "validation": 0, "test": 0.3}),
        ({"validation": 0.2}, {"train": 0.8, "validation": 0.2, "test": 0}),
        ({}, {"train": 1, "validation": 0, "test": 0}),
        ({"test": 0.25, "folds": 3, "fold": 2}, {"train": 0.5, "validation": 0.25, "test": 0.25}),
        ({"folds": 5, "fold": 3}, {"train": 0.8, "validation": 0, "test": 0.2}),
        ({"folds": 5, "fold": 1, "validation": 0.1}, {"train": 0.7, "validation": 0.1, "test": 0.2}),
    ],
)
def test_groups_stay_whole_and_every_class_meets_its_shares_within_a_lesion(request_, shares, seed):
    ids, groups, labels = small_set(seed)
    split = lesion_grouped(ids, groups, labels, seed=seed, **request_)
    check(split)
    assert all(leak.groups == () and leak.share == 0 for leak in leaks(split).values())
    for label in set(labels):
        of_class = split.labels == label
        largest = np.unique(split.groups[of_class], return_counts=True)[1].max()
        for part, share in shares.items():
            count = np.sum(of_class & (split.parts == part))
            assert abs(count - share * of_class.sum()) <= largest
            assert (count > 0) == (share > 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_folds_partition_the_images_and_do_not_depend_on_the_fold(protocol):
    ids, groups, labels = small_set(0)
    splits = [protocol(ids, groups, labels, seed=7, test=0.2, folds=3, fold=fold) for fold in range(3)]
    for fold, split in enumerate(splits):
        np.testing.assert_array_equal(split.folds, splits[0].folds)
        np.testing.assert_array_equal(split.parts == "validation", split.folds == fold)
        np.testing.assert_array_equal(split.parts == "test", split.folds == -1)
    assert sorted(set(splits[0].folds.tolist())) == [-1, 0, 1, 2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_a_test_part_the_fold_is_the_test_part_and_validation_comes_from_the_others(protocol):
    ids, groups, labels = small_set(1)
    split = protocol(ids, groups, labels, seed=7, folds=5, fold=4, validation=0.1)
    plain = protocol(ids, groups, labels, seed=7, folds=5, fold=0)
    np.testing.assert_array_equal(split.folds, plain.folds)
    np.testing.assert_array_equal(split.parts == "test", split.folds == 4)
    assert set(split.parts[split.folds != 4]) == {"train", "validation"}
    assert set(plain.parts[plain.folds != 0]) == {"train"}


def test_with_one_fold_the_validation_part_is_fold_0_and_the_rest_is_never_held_out_by_a_fold():
    split = lesion_grouped(*small_set(0), seed=0, test=0.2, validation=0.2)
    np.testing.assert_array_equal(split.folds, np.where(split.parts == "validation", 0, -1))
    assert split.rows("validation").tolist() == [n for n, part in enumerate(split.parts) if part == "validation"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_same_seed_gives_the_same_split_whatever_the_order_of_the_images(protocol):
    ids, groups, labels = (np.array(column) for column in small_set(2))
    order = np.random.default_rng(0).permutation(len(ids))
    request = {"test": 0.15, "validation": 0.15}
    first = protocol(ids, groups, labels, seed=3, **request)
    shuffled = protocol(ids[order], groups[order], labels[order], seed=3, **request)
    other = protocol(ids, groups, labels, seed=4, **request)
    np.testing.assert_array_equal(shuffled.parts, first.parts[order])
    assert (other.parts != first.parts).any()


def test_large_and_small_lesions_are_in_every_part():
    groups = [f"g{n}" for n in range(60) for _ in range(1 + n % 3)]
    split = lesion_grouped(np.arange(len(groups)), groups, ["nv"] * len(groups), seed=0, test=0.2, validation=0.2)
    sizes = dict(zip(*np.unique(groups, return_counts=True), strict=True))
    for part, lesions in {"train": 12, "validation": 4, "test": 4}.items():
        of_size = np.bincount([sizes[group] for group in set(split.groups[split.parts == part])], minlength=4)
        np.testing.assert_allclose(of_size[1:], lesions, atol=1)


def test_image_stratified_gives_the_counts_of_papers_000_and_001():
    labels = [label for label, count in HAM10000.items() for _ in range(count)]
    ids = np.arange(len(labels))
    split = image_stratified(ids, ids, labels, seed=0, test=0.2)
    held_out = dict(zip(*np.unique(split.labels[split.rows("test")], return_counts=True), strict=True))
    assert held_out == {"akiec": 65, "bcc": 103, "bkl": 220, "df": 23, "mel": 223, "nv": 1341, "vasc": 28}
    folds = image_stratified(ids, ids, labels, seed=0, folds=5).folds
    for label, count in HAM10000.items():
        in_fold = np.bincount(folds[split.labels == label])
        assert set(in_fold.tolist()) <= {count // 5, -(-count // 5)}


def test_image_stratified_records_the_leak_it_makes():
    ids, groups = list("abcdefgh"), ["x"] * 8
    split = image_stratified(ids, groups, ["nv"] * 8, seed=0, test=0.25)
    assert split.protocol == {
        "name": "image_stratified",
        "seed": 0,
        "test": 0.25,
        "validation": 0.0,
        "folds": 1,
        "fold": 0,
        "leak_percent": {"test": 100.0},
    }
    check(split)
    assert image_stratified(ids, ids, ["nv"] * 8, seed=0, test=0.25).protocol["leak_percent"] == {"test": 0.0}


def test_leaks_names_the_shared_groups_of_each_pair_of_parts():
    split = table(
        [("a", "train"), ("a", "test"), ("a", "test"), ("b", "test"), ("c", "validation"), ("c", "train")], "file"
    )
    found = leaks(split)
    assert found["test", "train"] == (("a",), 2, pytest.approx(2 / 3))
    assert found["train", "test"] == (("a",), 1, 0.5)
    assert found["validation", "train"] == (("c",), 1, 1.0)
    assert found["test", "validation"] == ((), 0, 0.0)


@pytest.mark.parametrize("name", ["lesion_grouped", "file"])
def test_check_refuses_a_group_on_two_sides_unless_the_split_is_by_image(name):
    rows = [("a", "train"), ("b", "train"), ("a", "test")]
    with pytest.raises(
        UserError, match=rf"{name} split leaks: 1 group is in both test and train \(such as 'a'\).* 100.0 %"
    ):
        check(table(rows, name))
    check(table(rows, "image_stratified"))


@pytest.mark.parametrize("name", ["file", "official"])
def test_check_lets_a_published_leak_pass_when_it_is_allowed_and_remarks_it(name):
    split = table([("a", "train"), ("b", "train"), ("a", "test"), ("c", "test"), ("d", "test")], name)
    with pytest.raises(UserError, match=r"33\.3 % of test; split by lesion, or set split\.allow_leak"):
        check(split)
    allowed = replace(with_leak_percent(split), protocol=with_leak_percent(split).protocol | {"allow_leak": True})
    check(allowed)
    assert allowed.protocol == {"name": name, "leak_percent": {"test": 33.33}, "allow_leak": True}
    assert remarks(allowed) == ["LEAK: 33.3 % of the test images share a group with a training image"]


def test_remarks_say_who_takes_no_part():
    split = table([("a", "train"), ("a", "train"), ("b", "test")], "file")
    assert remarks(split) == []
    assert remarks(replace(split, protocol={"name": "file", "unlabelled": 3, "left_out": 1, "leak_percent": {}})) == [
        "unlabelled images, in no part of the split: 3",
        "images that the file split leaves out: 1",
    ]


@pytest.mark.parametrize(("name", "said"), [("lesion_grouped", True), ("official", True), ("image_stratified", False)])
def test_remarks_say_that_no_lesion_is_known_to_have_two_images(name, said):
    found = remarks(table([("a", "train"), ("b", "test")], name))
    sentence = "no two images are known to show one lesion: if some do, only their `group` keeps them together"
    assert found == [sentence] * said


def test_validation_is_taken_from_training_by_group_and_class_and_by_the_fold():
    ids, groups, labels = small_set(3)
    splits = [lesion_grouped(ids, groups, labels, seed=0, folds=3, fold=fold) for fold in (0, 1)]
    taken = [with_validation(split, 0.25, seed=5) for split in splits]
    for before, after in zip(splits, taken, strict=True):
        check(after)
        np.testing.assert_array_equal(after.parts == "test", before.parts == "test")
        assert after.protocol == before.protocol | {"validation": 0.25, "seed": 5}
        for label in set(labels):
            train, validation = (np.sum(after.parts[after.labels == label] == part) for part in ("train", "validation"))
            assert validation == pytest.approx((train + validation) / 4, abs=4)
    again = with_validation(splits[0], 0.25, seed=5)
    np.testing.assert_array_equal(again.parts, taken[0].parts)
    both = (splits[0].parts == "train") & (splits[1].parts == "train")
    assert (taken[0].parts[both] != taken[1].parts[both]).any()


def test_check_refuses_a_group_in_two_folds():
    with pytest.raises(UserError, match="group 'a' is in folds 0 and 1"):
        check(table([("a", "train"), ("a", "train")], "lesion_grouped", folds=[0, 1]))


def test_a_group_with_two_labels_stays_whole_and_is_dealt_with_the_rarer():
    groups = ["mixed"] * 3 + [f"g{n}" for n in range(8)]
    labels = ["mel", "mel", "nv"] + ["mel"] + ["nv"] * 7
    split = lesion_grouped(np.arange(11), groups, labels, seed=0, test=0.5)
    assert len(set(split.parts[:3])) == 1
    assert set(split.parts[split.labels == "mel"]) == {"train", "test"}  # 'mixed' is one of mel's two groups
    tied = ["nv", "mel"] + ["mel"] + ["nv"] * 7
    split = lesion_grouped(np.arange(10), groups[1:], tied, seed=0, test=0.5)
    assert split.parts[0] == split.parts[1] != split.parts[2]


def test_patients_with_many_naevi_are_split_by_their_few_melanomas():
    groups = [f"patient{n // 10:02}" for n in range(600)]
    labels = ["mel" if n % 50 == 0 else "nv" for n in range(600)]  # one image in ten, of every fifth patient
    split = lesion_grouped(np.arange(600), groups, labels, seed=0, folds=3)
    for fold in range(3):
        held_out = split.folds == fold
        assert np.sum(split.labels[held_out] == "mel") == 4
        assert np.sum(split.labels[held_out] == "nv") in (186, 196, 206)
        assert set(split.groups[held_out]).isdisjoint(split.groups[~held_out])


def test_patients_that_all_have_every_class_are_split():
    groups = [f"patient{n // 3}" for n in range(30)]
    split = lesion_grouped(np.arange(30), groups, ["mel", "nv", "wart"] * 10, seed=0, test=0.3)
    for label in ("mel", "nv", "wart"):
        assert np.sum(split.parts[split.labels == label] == "test") == 3


def test_a_class_that_has_groups_enough_but_only_beside_rarer_ones_is_in_every_part_or_named():
    contents = {"u1": "ac", "u2": "ac", "u3": "a", "u4": "bc", "u5": "bc", "u6": "b"}
    groups, labels = zip(*[(unit, label) for unit, held in contents.items() for label in held], strict=True)
    ids = list("0123456789")
    split = lesion_grouped(ids, groups, labels, seed=3, folds=3)
    assert set(split.folds[split.labels == "c"]) == {0, 1, 2}
    with pytest.raises(UserError, match=r"no image of class 'c' falls into fold \d, because .*: choose another seed"):
        lesion_grouped(ids, groups, labels, seed=0, folds=3)


@pytest.mark.parametrize(("protocol", "unit"), [(lesion_grouped, "groups"), (image_stratified, "images")])
def test_a_class_with_fewer_groups_or_images_than_parts_is_named(protocol, unit):
    ids, lesions = ([f"{name}{n}" for n in range(12)] for name in "il")
    labels = ["nv"] * 10 + ["df"] * 2
    with pytest.raises(
        UserError, match=rf"class 'df' has 2 {unit}, fewer than the 3 parts .*\(train, validation, test\)"
    ):
        protocol(ids, lesions, labels, seed=0, test=0.2, validation=0.2)
    with pytest.raises(
        UserError, match=rf"class 'df' has 2 {unit}, fewer than the 4 parts .*\(test, fold 0, fold 1, fold 2\)"
    ):
        protocol(ids, lesions, labels, seed=0, test=0.2, folds=3)
    assert set(protocol(ids, lesions, labels, seed=0, test=0.2).parts[10:]) == {
        "train",
        "test",
    }
    with pytest.raises(UserError, match=f"class 'df' has 1 {unit[:-1]}, fewer than the 2 parts"):
        protocol(ids[:11], lesions[:11], labels[:11], seed=0, test=0.2)


@pytest.mark.parametrize(
    ("ids", "groups", "sentence"),
    [
        ([], [], "no images"),
    ],
)
def test_impossible_tables_say_so(ids, groups, sentence):
    with pytest.raises(UserError, match=sentence):
        lesion_grouped(ids, groups, ["nv"] * len(ids), seed=0)


def test_a_written_split_reads_back(tmp_path):
    ids, groups, labels = small_set(0)
    ids[0], groups[0] = 'odd, "id" é', "a, b"
    split = image_stratified(ids, groups, labels, seed=5, test=0.2, folds=3, fold=1)
    write_split(tmp_path / "split.csv", split)
    again = read_split(tmp_path / "split.csv")
    for column in ("image_ids", "groups", "labels", "folds", "parts"):
        np.testing.assert_array_equal(getattr(again, column), getattr(split, column))
    assert again.protocol == split.protocol


def test_the_file_is_plain_csv_with_the_protocol_beside_it(tmp_path):
    write_split(tmp_path / "cv.csv", table([("a", "train"), ("b", "test")], "file", folds=[0, -1]))
    assert (tmp_path / "cv.csv").read_text() == "image_id,group,label,fold,split\ni0,a,nv,0,train\ni1,b,nv,-1,test\n"
    assert json.loads((tmp_path / "cv.json").read_text()) == {"name": "file"}
    assert {path.name for path in tmp_path.iterdir()} == {"cv.csv", "cv.json"}


def test_a_csv_alone_with_other_columns_and_a_byte_order_mark_is_a_file_split(tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("\ufeffsplit,age,fold,label,group,image_id\ntest,40,-1,mel,g,i\n\n", encoding="utf-8")
    split = read_split(path)
    assert (split.image_ids[0], split.groups[0], split.labels[0], split.folds[0], split.parts[0]) == (
        "i",
        "g",
        "mel",
        -1,
        "test",
    )
    assert split.protocol == {"name": "file"}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            ["image_id,group,label,split", "a,g,nv,train"],
            "line 1 lacks the column fold; it has image_id, group, label, split",
        ),
        (["a,b"], "line 1 lacks the columns image_id, group, label, fold, split; it has a, b"),
        ([""], "holds no rows"),
        (["image_id,group,label,fold,split"], "holds no rows"),
        (
            ["image_id,group,label,fold,split", "a,g,nv,0,train", "b,g,nv,0,dev"],
            "line 3: split 'dev' is none of train, val",
        ),
        (
            ["image_id,group,label,fold,split", "a,g,nv,0,train", "a,h,nv,0,train"],
            "line 3: image_id 'a' is already on line 2",
        ),
        (["image_id,group,label,fold,split", "a,g,nv,one,train"], "line 2: fold 'one' is not a number"),
        (["image_id,group,label,fold,split", "a,g,nv,-2,train"], "line 2: fold '-2' is not a number"),
        (["image_id,group,label,fold,split", "a,,nv,0,train"], "line 2: group is empty"),
        (["image_id,group,label,fold,split", "a,g,nv,1234567,train"], "line 2: fold '1234567' is not a number"),
        (["image_id,group,label,fold,split", "a,g"], "line 2 has 2 cells for 5 columns"),
        (["image_id,group,label,fold,split", "a,g,\xff,0,train"], "line 2 is not UTF-8"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, rows, sentence):
    path = tmp_path / "mine.csv"
    path.write_bytes("\n".join(rows).encode("latin-1"))
    with pytest.raises(UserError, match=sentence) as caught:
        read_split(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", "no protocol 'name'"),
        ('{"name": "by_eye"}', "unknown split protocol in .*'by_eye'"),
    ],
)
def test_a_bad_protocol_is_named(tmp_path, text, sentence):
    write_split(tmp_path / "mine.csv", table([("a", "train")], "file"))
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        read_split(tmp_path / "mine.csv")
    assert str(tmp_path / "mine.json") in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.csv cannot be read: No such file"):
        read_split(tmp_path / "absent.csv")
