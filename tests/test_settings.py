"""A refusal by hash names the settings that differ, as far as both sides are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from speech import extracted, fitted, small, write_features, write_manifest

from featkit import SERClassifier
from featkit.corpus import read_corpora
from featkit.errors import DataError, FeatureError, ModelError
from featkit.features.base import Bundle, Features, find_extractor, hash_spec, known_spec
from featkit.settings import ONLY_HASH, differing, set_name
from featkit.store.table import settings_of
from featkit.weights import load_weights, save_weights


def spec(features: str) -> dict[str, Any]:
    return find_extractor(features).spec


def settings(features: str, **more: Any) -> dict[str, Any]:
    extractor = find_extractor(features)
    return settings_of(extractor.spec, "functionals", extractor.names("functionals"), False, **more)


@pytest.mark.parametrize(
    ("here", "there", "told"),
    [
        ("mfcc39:n_fft=512", "mfcc39", "n_fft is 512 here and 400 there"),
        ("mfcc39:fmax=8000", "mfcc39", "fmax is 8000 here and none there"),
        ("mfcc39:center=false", "mfcc39", "center is false here and true there"),
        ("mfcc39+logmel:n_mels=30", "mfcc39+logmel", "n_mels of logmel is 30 here and 64 there"),
        ("logmel", "mfcc39", "the set is logmel here and mfcc39 there"),
        ("mfcc39+logmel", "mfcc39", "the set is mfcc39+logmel here and mfcc39 there"),
        (
            "mfcc39:n_fft=512,n_mels=30,n_mfcc=20,top_db=60.0", "mfcc39",
            "n_mels is 30 here and 40 there, n_fft is 512 here and 400 there, top_db is 60.0 here and 80.0 there "
            "and 1 more",
        ),
    ],
)  # fmt: skip
def test_of_two_specifications_the_settings_are_named(here: str, there: str, told: str) -> None:
    assert differing(spec(here), spec(there)) == told
    assert differing(settings(here), settings(there)) == told
    assert differing(spec(here), json.loads(json.dumps(spec(there)))) == told  # as a file holds it


def test_another_version_of_a_set_is_named_with_it() -> None:
    older = spec("mfcc39") | {"version": 0}
    assert differing(spec("mfcc39"), older) == "version of mfcc39 is 1 here and 0 there"
    assert differing({"fusion": [spec("mfcc39")]}, {"fusion": [older]}) == "version of mfcc39 is 1 here and 0 there"


def test_a_setting_that_one_side_does_not_know_is_not_set() -> None:
    older = spec("mfcc39")
    del older["params"]["lifter"]
    assert differing(spec("mfcc39"), older) == "lifter is 0 here and not set there"
    assert differing(older, spec("mfcc39")) == "lifter is not set here and 0 there"


def test_numbers_that_only_look_equal_are_told_apart() -> None:
    """As their hashes are."""
    assert differing({"a": 1}, {"a": 1.0}) == "a is 1 here and 1.0 there"
    assert differing({"a": 1}, {"a": True}) == "a is 1 here and true there"
    assert differing({"a": (1, 2)}, {"a": [1, 2]}) == ONLY_HASH


def test_packages_are_named_where_no_setting_differs() -> None:
    one, other = ({"version of numpy": number, "hash": number, "hop": 1.0} for number in ("2.4.6", "2.4.7"))
    assert differing(one, other) == "version of numpy is 2.4.6 here and 2.4.7 there"
    assert differing(one | {"hop": 2.0}, other) == "hop is 2.0 here and 1.0 there"


def test_hashes_are_told_where_nothing_else_differs() -> None:
    one, other = ({"model": sign * 64, "recipe": {"canary": [sign]}} for sign in "ab")
    assert differing(one, other) == f"model is {'a' * 12}… here and {'b' * 12}… there"
    assert differing({"recipe": {"canary": [1]}}, {"recipe": {"canary": [2]}}) == "canary differs"


@pytest.mark.parametrize("there", [None, [], "settings", 1])
def test_what_is_not_known_is_said(there: Any) -> None:
    assert differing(spec("mfcc39"), there) == "only the hash of theirs is known"


@pytest.mark.parametrize("there", [{"fusion": 1}, {"fusion": [1]}, {"fusion": []}, {"name": []}, {"params": 3}, {}])
def test_what_a_stranger_has_written_is_told_in_one_line(there: dict[str, Any]) -> None:
    assert differing(spec("mfcc39"), there)
    assert differing({"fusion": [spec("mfcc39")]}, there)
    told = differing({"a": 1}, {"a": "\x1b[2J\n" + "x" * 500, "\x1b" * 500: 2})
    assert told.isprintable()
    assert len(told) < 250


def test_a_set_has_the_name_of_its_parts() -> None:
    assert set_name(spec("mfcc39+logmel")) == "mfcc39+logmel"
    assert set_name({"hop": 1}) is None


def test_a_specification_that_was_hashed_is_found_by_its_hash() -> None:
    extractor = find_extractor("mfcc39:n_mels=31")
    assert known_spec(extractor.spec_hash) == extractor.spec
    assert known_spec("0" * 16) is None
    assert known_spec(hash_spec({"name": "x" * 20_000})) is None  # not all that a stranger may send


def test_features_that_a_table_or_another_estimator_gave_are_told_by_setting() -> None:
    with pytest.raises(FeatureError, match=r"clip 0: .* \(n_mels is 30 here and 40 there\)\. Extract them again"):
        SERClassifier("mfcc39:n_mels=30").fit(extracted("functionals"), ["a", "b"] * 12)
    unknown = [Features(clip.values, clip.view, "0" * 16) for clip in extracted("functionals")]
    with pytest.raises(FeatureError, match=r"\(only the hash of theirs is known\)\. Extract them again"):
        SERClassifier().fit(unknown, ["a", "b"] * 12)


def test_tables_of_other_settings_are_not_merged(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path)
    first = write_features(tmp_path / "a.parquet", manifest)
    second = write_features(tmp_path / "b.parquet", manifest, "mfcc39:n_mels=30")
    with pytest.raises(DataError, match=r"cannot be merged: .*b\.parquet: n_mels is 30 here and 40 there\)\."):
        read_corpora([first, second])


def test_weights_of_other_features_are_refused_by_setting(tmp_path: Path) -> None:
    save_weights(fitted(backend="mlp"), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"w\.safetensors: .*: n_mels is 30 here and 40 there\. Give it"):
        load_weights(SERClassifier("mfcc39:n_mels=30", small("mlp")), tmp_path / "w.safetensors")


def test_of_several_features_the_refusal_is_about_those_of_the_same_set() -> None:
    others = [Features([0.0], "functionals", find_extractor(name).spec_hash) for name in ("logmel", "mfcc39:n_mels=30")]
    asked = find_extractor("mfcc39")
    assert Bundle(tuple(others)).part(asked.spec_hash, "functionals") is others[1]
    assert Bundle(tuple(others)).part("0" * 16, "functionals") is others[0]
