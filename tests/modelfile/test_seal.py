"""A model file shows any damage, and one that another tool has written since is none."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from speech import fitted, speech

import featkit
from featkit.cli import cli
from featkit.errors import ModelError
from featkit.export import as_file, renew_canary
from featkit.modelfile import recipe
from featkit.modelfile.seal import SEAL_KEY, check_seal, sealed, without_seal
from featkit.runtime import Model

WAVES = speech().waves
DAMAGED = r"is damaged: its bytes are not those that were exported \(.*\); copy or export it again\."
RECORD = 84  # bytes: 2 of the entry, 66 of the value, 16 of the key


@pytest.fixture(scope="module", params=["svm", "cnn_lstm"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "model.onnx"
    fitted(backend=request.param).export(path)
    return path


@pytest.fixture(scope="module")
def content(path: Path) -> bytes:
    return path.read_bytes()


def flipped(content: bytes, at: int, bit: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


def refused(content: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Model.of(content, "model.onnx")
    assert str(caught.value).startswith("model.onnx: ")
    assert "\n" not in str(caught.value)


# Damage


def test_the_file_ends_in_the_hash_of_all_before(content: bytes) -> None:
    entry = onnx.StringStringEntryProto(key=SEAL_KEY, value=hashlib.sha256(content[:-RECORD]).hexdigest())
    assert onnx.ModelProto.FromString(content[-RECORD:]) == onnx.ModelProto(metadata_props=[entry])
    assert onnx.load_from_string(content).metadata_props[-1] == entry
    assert without_seal(content) == content[:-RECORD]


def test_any_bit_that_flips_is_found(content: bytes) -> None:
    rng = np.random.default_rng(0)
    for at in [0, len(content) - RECORD - 1, *rng.integers(0, len(content) - RECORD, 2_000).tolist()]:
        with pytest.raises(ModelError, match=DAMAGED):
            check_seal(flipped(content, at, int(rng.integers(8))), "model.onnx")


def test_a_weight_that_the_test_sound_does_not_hear_is_found_by_load(content: bytes) -> None:
    """One bit in the lowest byte of a weight: nearly every such file answers the test sound as before."""
    model = onnx.load_from_string(content)
    weights = max((tensor.raw_data for tensor in model.graph.initializer), key=len)
    damaged = flipped(content, content.index(weights) + 400, 0)
    assert np.isfinite(Model.of(without_seal(damaged), "without").predict_proba(WAVES[:1])).all()
    refused(damaged, DAMAGED)


def test_a_bit_of_the_seal_leaves_a_whole_model_or_is_found(content: bytes) -> None:
    """Around the hash it makes another entry, which says nothing; all that was sealed is whole."""
    expected = Model.of(content, "model.onnx").predict_proba(WAVES[:1])
    first, told = len(content) - RECORD, []
    for at, bit in ((at, bit) for at in range(first, len(content)) for bit in range(8)):
        try:
            model = Model.of(flipped(content, at, bit), "model.onnx")
        except ModelError as error:
            told.append(str(error))
        else:
            assert not first + 4 <= at < first + 68, "the hash itself was changed"
            np.testing.assert_array_equal(model.predict_proba(WAVES[:1]), expected)
    assert sum("not those that were exported" in text for text in told) == 64 * 8
    assert all("is damaged" in text for text in told)


def test_bytes_that_are_lost_or_zero_or_too_many_are_found(content: bytes) -> None:
    for lost in [20, 50, RECORD - 1, RECORD + 1, len(content) // 2]:
        refused(content[:-lost], "model.onnx: is damaged")
        refused(content[:-lost] + bytes(lost), "model.onnx: is damaged")  # as a disk leaves it
    refused(content[: len(content) // 2] + content[len(content) // 2 + 100 :], DAMAGED)
    refused(content + b"\n", "model.onnx: is damaged")
    refused(content + bytes(512), "model.onnx: is damaged")
    Model.of(content[:-RECORD], "without its seal it is a whole model")


def test_damage_is_told_before_onnxruntime_sees_the_file(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "open_session", lambda *_: pytest.fail("it was opened"))
    refused(flipped(content, len(content) // 2, 3), DAMAGED)


def test_a_seal_of_nothing_and_half_a_seal() -> None:
    check_seal(sealed(b""), "of nothing")
    check_seal(b"", "empty")
    check_seal(sealed(b"")[1:], "shorter than a seal")
    with pytest.raises(ModelError, match=DAMAGED):
        check_seal(b"x" + sealed(b""), "another")


# Other tools


def test_a_file_that_another_tool_has_written_since_is_not_called_damaged(path: Path, tmp_path: Path) -> None:
    """Its seal is that of the old bytes, and the last entry still: but written in the order of its fields."""
    model = onnx.load(path)
    onnx.save(model, tmp_path / "same.onnx")
    expected = featkit.load(path).predict_proba(WAVES[:1])
    model.doc_string = "seen by a tool"
    onnx.save(model, tmp_path / "other.onnx")
    onnx.save(onnx.version_converter.convert_version(onnx.load(path), 18), tmp_path / "converted.onnx")
    assert onnx.load(tmp_path / "other.onnx").metadata_props[-1].key == SEAL_KEY
    for name in ("same", "other", "converted"):
        found = featkit.load(tmp_path / f"{name}.onnx").predict_proba(WAVES[:1])
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_tool_that_adds_an_entry_behind_the_seal_changes_nothing(content: bytes) -> None:
    entry = onnx.StringStringEntryProto(key="note", value="of somebody")
    Model.of(content + onnx.ModelProto(metadata_props=[entry]).SerializeToString(), "model.onnx")


def test_a_model_of_an_earlier_featkit_has_no_seal_and_loads(content: bytes) -> None:
    model = onnx.load_from_string(content)
    del model.metadata_props[-1]
    assert model.SerializeToString() == without_seal(content)
    Model.of(model.SerializeToString(), "model.onnx")


def test_others_read_the_file_and_see_one_entry_more(path: Path, content: bytes) -> None:
    onnx.checker.check_model(content, full_check=True)
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert set(session.get_modelmeta().custom_metadata_map) == {"featkit", SEAL_KEY}
    assert (
        session.run(["label"], {"wave": WAVES[0][None]})[0].tolist() == featkit.load(path).predict(WAVES[:1]).tolist()
    )


# What writes


def test_the_same_estimator_gives_the_same_bytes(content: bytes, path: Path, tmp_path: Path) -> None:
    backend = featkit.load(path).recipe["members"][0]["backend"]["name"]
    fitted(backend=backend).export(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == content


def test_a_graph_that_was_changed_on_purpose_is_sealed_anew(path: Path, content: bytes) -> None:
    model = onnx.load(path)
    model.doc_string = "changed"
    renew_canary(model)
    assert [entry.key for entry in model.metadata_props] == ["featkit"]
    written = as_file(model)
    check_seal(written, "model.onnx")
    assert written[-RECORD:] != content[-RECORD:]
    assert as_file(onnx.load_from_string(written)) == written  # one seal, whatever was there
    refused(flipped(written, 100, 0), DAMAGED)


def test_info_shows_the_recipe_and_not_the_seal(path: Path, content: bytes, tmp_path: Path) -> None:
    def run(*words: Any) -> Any:
        return CliRunner().invoke(cli, ["info", *map(str, words)], prog_name="featkit")

    assert "sha256" not in run(path).output + run(path, "--json").output
    (tmp_path / "bad.onnx").write_bytes(flipped(content, len(content) // 3, 5))
    result = run(tmp_path / "bad.onnx")
    assert result.exit_code != 0
    assert "bad.onnx: is damaged: its bytes are not those that were exported" in result.stderr
