"""Digests: of a file, of bytes and text, and of values whatever the order of their keys."""

from pathlib import Path

from skinjax.core.hashes import digest_of, sha256_of, short_hash

OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # the standard's own example


def test_bytes_text_and_a_file_of_the_same_content_have_the_same_digest(tmp_path: Path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest_of(b"abc") == digest_of("abc") == sha256_of(tmp_path / "abc") == OF_ABC


def test_a_hash_is_of_the_values_not_of_their_order():
    assert short_hash({"a": 1, "b": [2]}) == short_hash({"b": [2], "a": 1}) != short_hash({"a": 1, "b": [3]})
    assert len(short_hash({}, length=16)) == 16
