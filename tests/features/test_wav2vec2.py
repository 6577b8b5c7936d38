"""Hidden states of small models with random weights, against transformers itself. Nothing is downloaded."""

import json
import pickle
import re
import shutil
import sys
import threading
from pathlib import Path

import huggingface_hub
import numpy as np
import onnx
import pretrained
import pytest
import torch
import transformers
from pretrained import CONFIGS, noise
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from speech import speech

import featkit
from featkit import SERClassifier, extract, plugins
from featkit.errors import AudioError, FeatureError, PluginError
from featkit.features import find_extractor
from featkit.features import pretrained as module
from featkit.features.base import Fusion, extractor_from_spec, hash_spec
from featkit.features.mfcc import MFCC39
from featkit.features.wav2vec2 import Wav2Vec2
from featkit.graph import run, session

EXPORTED = ("group", "stable", "hubert", "wavlm")
"""An export takes seconds: one a model, of its last layer, which `Wav2Vec2` keeps for the whole session."""
TOLERANCE = 1e-4

kinds = pytest.mark.parametrize("kind", CONFIGS)
exported = pytest.mark.parametrize("kind", EXPORTED)


@pytest.fixture(scope="session")
def models():
    """A directory for each kind of model, as ``save_pretrained`` writes it."""
    return pretrained.models()


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """Whoever looks for the network finds none, and is remembered."""
    return pretrained.unplug(monkeypatch)


@pytest.fixture
def copy(models, tmp_path):
    """The directory of a small model, to be spoilt."""
    return Path(shutil.copytree(models / "group", tmp_path / "copy"))


def theirs(directory, wave):
    """What transformers makes of a wave: all hidden states, each (time, hidden)."""
    model = transformers.AutoModel.from_pretrained(directory).eval()
    prepare = transformers.AutoFeatureExtractor.from_pretrained(directory)
    values = prepare(wave, sampling_rate=16_000, return_tensors="pt").input_values
    with torch.inference_mode():
        states = model(values, output_hidden_states=True).hidden_states
    return [state[0].numpy() for state in states]


def change(path, **entries):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **entries}))


# Numbers


@kinds
@pytest.mark.parametrize("n_samples", [400, 3_200, 16_001, 80_000])
def test_frames_are_the_hidden_states_of_transformers(models, kind, n_samples, calls):
    wave = noise(n_samples) + np.float32(0.02)
    states = theirs(models / kind, wave)
    calls.clear()
    for layer in (0, 1, 2, -1, -3):
        frames = Wav2Vec2(str(models / kind), layer=layer).frames(wave)
        assert frames.shape == states[layer].shape
        assert frames.dtype == np.float32
        np.testing.assert_allclose(frames, states[layer], atol=TOLERANCE)
    assert calls == []


def test_the_last_hidden_state_of_a_stable_model_is_not_normalised_again(models):
    wave = noise(8_000)
    model = transformers.AutoModel.from_pretrained(models / "stable", add_adapter=False)
    with torch.inference_mode():
        expected = model.encoder.layer_norm(torch.tensor(Wav2Vec2(str(models / "stable")).frames(wave)))
        normalised = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
        last = model(torch.tensor(normalised)[None]).last_hidden_state[0]
    np.testing.assert_allclose(last, expected, atol=TOLERANCE)


def test_layers_above_are_not_even_there(models):
    encoder = Wav2Vec2(str(models / "wavlm"), layer=1)._encoder()
    assert len(encoder.module.model.encoder.layers) == 1


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("mean", lambda x: x.mean(0)),
        ("max", lambda x: x.max(0)),
        ("meanstd", lambda x: np.concatenate([x.mean(0), x.std(0)])),
    ],
)
def test_functionals_are_statistics_over_time(models, pooling, pool):
    extractor = Wav2Vec2(str(models / "group"), pooling=pooling)
    for wave in (noise(400), noise(20_000)):
        values = extractor.extract(wave, "functionals")
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, pool(extractor.frames(wave)), atol=1e-5)


def test_a_fine_tuned_model_gives_its_encoder(models, tmp_path):
    torch.manual_seed(5)
    whole = transformers.Wav2Vec2ForSequenceClassification(CONFIGS["group"])
    whole.save_pretrained(tmp_path / "whole")
    whole.wav2vec2.save_pretrained(tmp_path / "encoder")
    ours, encoder = (Wav2Vec2(str(tmp_path / name)) for name in ("whole", "encoder"))
    np.testing.assert_array_equal(ours.frames(noise(8_000)), encoder.frames(noise(8_000)))
    assert ours.spec_hash == encoder.spec_hash


def test_half_precision_weights_are_computed_in_single(models, tmp_path):
    transformers.AutoModel.from_pretrained(models / "group").half().save_pretrained(tmp_path)
    frames = Wav2Vec2(str(tmp_path)).frames(noise(8_000))
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames, Wav2Vec2(str(models / "group")).frames(noise(8_000)), atol=0.05)


def test_threads_share_a_model_and_give_the_very_same_numbers(models, monkeypatch):
    loads = []
    monkeypatch.setattr(module, "_pretrained", lambda *args, f=module._pretrained: loads.append(1) or f(*args))
    module._load.cache_clear()
    waves, extractor = [noise(3_000 + 400 * i, seed=i) for i in range(8)], Wav2Vec2(str(models / "group"))
    threads = torch.get_num_threads()
    parallel = extract(waves, extractor, n_jobs=4)
    serial = extract(waves, extractor)
    assert loads == [1]
    assert torch.get_num_threads() == threads
    for one, other in zip(parallel, serial, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_the_numbers_do_not_depend_on_where_the_model_is_loaded(models):
    extractor, wave = Wav2Vec2(str(models / "group")), noise(8_000)
    found = []
    for use in (lambda: extractor.frames(wave), lambda: extractor.spec_hash):
        module._load.cache_clear()
        use()
        found.append(extractor.frames(wave))
    np.testing.assert_array_equal(*found)


def test_each_thread_computes_on_one_core_and_leaves_the_setting_as_it_was(models):
    seen = []

    def work():
        before = torch.get_num_threads()
        with module.one_thread():
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads() - before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    work()
    assert seen == [1, 0, 1, 0]


# The contract


@pytest.mark.parametrize("pooling", ["mean", "meanstd", "max"])
def test_every_column_has_one_name_of_its_own(models, pooling):
    extractor = Wav2Vec2(str(models / "group"), pooling=pooling)
    for view in ("frames", "functionals"):
        names = extractor.names(view)
        assert len(names) == len(set(names)) == extractor.extract(noise(16_000), view).shape[-1]
    assert names[0] == f"wav2vec2_1_{pooling[:4]}"


def test_one_frame_needs_400_samples_and_the_next_comes_after_20_ms(models):
    extractor = Wav2Vec2(str(models / "group"))
    assert (extractor.hop, extractor.min_samples) == (0.020, 400)
    assert [len(extractor.frames(noise(n))) for n in (400, 719, 720)] == [1, 1, 2]
    with pytest.raises(AudioError, match=r"has 399 samples .* need at least 400"):
        extractor.extract(noise(399), "frames")
    assert extractor.extract(noise(399), "frames", pad_short=True).shape == (1, 32)


def test_clone_and_pickle_give_an_equal_extractor_without_the_weights(models):
    extractor = Wav2Vec2(str(models / "group"), layer=1)
    extractor.frames(noise(400))
    assert len(pickle.dumps(extractor)) < 1_000
    for twin in (clone(extractor), pickle.loads(pickle.dumps(extractor))):
        assert twin == extractor
        assert twin.spec_hash == extractor.spec_hash


def test_it_is_found_by_name_with_settings(models):
    assert isinstance(plugins.find("features", "wav2vec2"), type)
    extractor = find_extractor(f"wav2vec2:model='{models / 'group'}',layer=1,pooling=max+mfcc39")
    assert extractor == Fusion((Wav2Vec2(str(models / "group"), 1, "max"), MFCC39()))
    assert extractor.extract(noise(16_000), "functionals").shape == (32 + 351,)
    with pytest.raises(FeatureError, match=r"these differ: wav2vec2 20 ms, mfcc39 10 ms"):
        extractor.frames(noise(16_000))


def test_the_hash_is_that_of_the_weights_wherever_they_lie(models, copy):
    extractor = Wav2Vec2(str(models / "group"))
    assert Wav2Vec2(str(copy)).spec_hash == extractor.spec_hash
    assert Wav2Vec2(str(copy), layer=2, local_files_only=True).spec_hash == extractor.spec_hash
    assert str(models) not in json.dumps({**extractor.spec, "source": None})
    others = [Wav2Vec2(str(models / kind)) for kind in CONFIGS if kind != "group"]
    others += [Wav2Vec2(str(copy), layer=layer) for layer in (0, 1)] + [Wav2Vec2(str(copy), pooling="max")]
    hashes = {extractor.spec_hash, *(other.spec_hash for other in others)}
    for file, entry in (("preprocessor_config.json", {"do_normalize": False}), ("config.json", {"hidden_act": "relu"})):
        change(copy / file, **entry)
        hashes.add(Wav2Vec2(str(copy)).spec_hash)
    assert len(hashes) == 1 + len(others) + 2


def test_weights_that_are_saved_again_are_loaded_again(copy):
    extractor = Wav2Vec2(str(copy))
    before, old = extractor.frames(noise(8_000)), extractor.spec_hash
    weights = load_file(copy / "model.safetensors")
    save_file({name: tensor * 1.5 for name, tensor in weights.items()}, copy / "model.safetensors", {"format": "pt"})
    assert extractor.spec_hash != old
    assert np.abs(extractor.frames(noise(8_000)) - before).max() > 0.01


def test_the_specification_rebuilds_the_extractor_and_forbids_it_to_download(models, tmp_path):
    for extractor in (Wav2Vec2(str(models / "wavlm"), -2, "max"), Fusion((MFCC39(), Wav2Vec2(str(models / "group"))))):
        spec = json.loads(json.dumps(extractor.spec))
        rebuilt = extractor_from_spec(spec)
        assert rebuilt.spec_hash == extractor.spec_hash == hash_spec(spec)
        part = rebuilt.parts[1] if isinstance(rebuilt, Fusion) else rebuilt
        assert part.local_files_only
        np.testing.assert_array_equal(
            rebuilt.extract(noise(8_000), "functionals"), extractor.extract(noise(8_000), "functionals")
        )


def test_a_source_is_no_way_to_change_settings_behind_the_hash():
    spec = {**MFCC39().spec, "source": {"extra": 1}}
    assert hash_spec(spec) == MFCC39().spec_hash
    with pytest.raises(FeatureError, match="These features are not what is installed: "):
        extractor_from_spec(spec)


# The graph


@exported
@pytest.mark.parametrize("view", ["frames", "functionals"])
def test_the_graph_is_valid_and_dynamic_in_batch_and_length(models, kind, view):
    model = Wav2Vec2(str(models / kind)).to_onnx(view)
    onnx.checker.check_model(model, full_check=True)
    (given,), (made,) = model.graph.input, model.graph.output
    dims = [[dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in (given, made)]
    assert dims == [["batch", "samples"], ["batch", "time", "dims"] if view == "frames" else ["batch", "dims"]]
    assert made.name == view


@exported
def test_the_graph_gives_the_numbers_of_transformers_at_any_batch_and_length(models, kind):
    extractor = Wav2Vec2(str(models / kind))
    frames, functionals = (session(extractor.to_onnx(view)) for view in ("frames", "functionals"))
    for batch, n_samples in ((1, 400), (1, 480_000), (3, 3_200), (3, 16_001), (57, 3_333)):
        waves = noise(batch, n_samples, seed=batch)
        ours, pooled = run(frames, waves), run(functionals, waves)
        assert len(ours) == len(pooled) == batch
        for i in {0, batch - 1}:
            np.testing.assert_allclose(ours[i], extractor.frames(waves[i]), atol=TOLERANCE)
            np.testing.assert_allclose(ours[i], theirs(models / kind, waves[i])[-1], atol=TOLERANCE)
            np.testing.assert_allclose(pooled[i], extractor.functionals(waves[i]), atol=TOLERANCE)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_other_poolings_are_graphs_too_and_cost_no_further_export(models, pooling, monkeypatch):
    extractor = Wav2Vec2(str(models / "group"), pooling=pooling)
    Wav2Vec2(str(models / "group")).to_onnx("frames")
    monkeypatch.setattr(module, "convert_module", None)
    graph = session(extractor.to_onnx("functionals"))
    for wave in (noise(400), noise(9_000)):
        np.testing.assert_allclose(run(graph, wave[None])[0], extractor.functionals(wave), atol=TOLERANCE)


def test_a_classifier_is_one_file_that_takes_the_wave(models, tmp_path, calls):
    clips, labels, speakers = speech()
    classifier = SERClassifier(Wav2Vec2(str(models / "group")), "svm").fit(clips, labels, groups=speakers)
    report = classifier.export(tmp_path / "model.onnx")
    assert report.inputs == ("wave",)
    model = featkit.load(tmp_path / "model.onnx")
    np.testing.assert_allclose(model.predict_proba(clips[:5]), classifier.predict_proba(clips[:5]), atol=TOLERANCE)
    assert model.predict(clips[:5]).tolist() == classifier.predict(clips[:5]).tolist()
    assert model.recipe["members"][0]["features"]["source"]["model"] == str(models / "group")
    assert model.recipe["licence"] == ["the pretrained weights have a licence of their own"]
    assert calls == []


# What is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": 3}, "layer must be between -3 and 2 for a model of 2 layers; it is 3"),
        ({"layer": -4}, "layer must be between -3 and 2 for a model of 2 layers; it is -4"),
        ({"layer": 1.0}, "layer must be a whole number; it is 1.0"),
        ({"layer": True}, "layer must be a whole number; it is True"),
        ({"pooling": "median"}, "pooling must be 'mean', 'meanstd' or 'max'; it is 'median'"),
        ({"model": 3}, "model must be a directory or a name on the Hugging Face hub; it is 3"),
        ({"model": ""}, "model must be a directory or a name on the Hugging Face hub; it is ''"),
    ],
)
def test_settings_that_make_no_sense_are_refused(models, settings, message):
    extractor = Wav2Vec2(**{"model": str(models / "group"), **settings})
    for use in (lambda: extractor.functionals(noise(400)), lambda: extractor.spec, lambda: extractor.to_onnx("frames")):
        with pytest.raises(FeatureError, match=re.escape(message)):
            use()


def refused(directory, message):
    with pytest.raises(FeatureError, match=message) as caught:
        Wav2Vec2(str(directory)).frames(noise(400))
    assert "\n" not in str(caught.value)


def test_a_directory_that_is_not_there_is_not_asked_for_on_the_hub(tmp_path, calls):
    for name in (tmp_path / "none", "./none", "a/b/c", "~/none"):
        refused(name, "none: there is no such directory" if name != "a/b/c" else "a/b/c: there is no such directory")
    assert calls == []


def test_a_directory_without_config_is_refused(copy):
    (copy / "config.json").unlink()
    refused(copy, r"copy: holds no config\.json; give the directory that save_pretrained\(\) wrote")


def test_a_directory_without_weights_is_refused(copy):
    (copy / "model.safetensors").unlink()
    refused(copy, r"copy: holds no weights; model\.safetensors is missing")


def test_pickled_weights_are_not_opened_and_the_way_to_convert_them_is_told(copy, tmp_path, calls):
    weights = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    with pytest.raises(FeatureError, match=r"holds no model\.safetensors, and other weights are pickles") as caught:
        Wav2Vec2(str(copy)).frames(noise(400))
    line = str(caught.value).partition('python -c "')[2].rstrip('"')
    exec(line.replace("'converted'", repr(str(tmp_path / "converted"))))
    assert Wav2Vec2(str(tmp_path / "converted")).frames(noise(400)).shape == (1, 32)
    assert calls == []


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_damaged_json_is_refused(copy, file):
    (copy / file).write_text("{")
    refused(copy, rf"{file}: is damaged or no JSON; get it again")


def test_what_is_no_speech_model_is_refused(tmp_path):
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    transformers.BertModel(transformers.BertConfig(vocab_size=10, **small)).save_pretrained(tmp_path)
    refused(tmp_path, "a model of type 'bert' is no speech encoder that is known here; known are wav2vec2, hubert")


def test_code_beside_the_weights_is_not_run(copy):
    change(copy / "config.json", auto_map={"AutoConfig": "evil.C", "AutoModel": "evil.M"})
    (copy / "evil.py").write_text("raise SystemExit('evil')")
    assert Wav2Vec2(str(copy)).frames(noise(400)).shape == (1, 32)


def test_another_sample_rate_is_refused(copy):
    change(copy / "preprocessor_config.json", sampling_rate=8_000)
    refused(copy, "the model hears 8000 Hz; featkit works at 16000 Hz")


def test_without_a_preprocessor_file_the_wave_is_normalised(copy, models):
    (copy / "preprocessor_config.json").unlink()
    assert Wav2Vec2(str(copy)).spec_hash == Wav2Vec2(str(models / "group")).spec_hash


def test_corrupt_weights_are_refused(copy):
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:5_000])
    refused(copy, r"copy: the model cannot be loaded \(\w*Error: ")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(copy, value):
    weights = load_file(copy / "model.safetensors")
    weights["encoder.layer_norm.weight"][3] = value
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    refused(copy, r"copy: the weights hold NaN or infinity, e\.g\. in encoder\.layer_norm\.weight; get them again")


def test_missing_tensors_are_not_filled_with_random_numbers(copy):
    weights = load_file(copy / "model.safetensors")
    del weights["encoder.layers.1.feed_forward.output_dense.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    refused(copy, r"1 tensors are missing or of another shape, e\.g\. encoder\.layers\.1\.feed_forward\.output_dense")
    assert Wav2Vec2(str(copy), layer=1).frames(noise(400)).shape == (1, 32)  # which needs none of it


def test_tensors_of_another_shape_are_refused(copy):
    change(copy / "config.json", intermediate_size=48)
    refused(copy, r"copy: the (weights do not fit config\.json|model cannot be loaded)")


# The hub


def test_a_name_that_is_not_cached_is_one_line_without_network(calls):
    with pytest.raises(FeatureError, match=r"featkit-tests/none: is no directory, and cannot be had from the Hugging"):
        Wav2Vec2("featkit-tests/none").frames(noise(400))


def test_a_name_that_is_not_cached_is_not_asked_for_where_that_is_forbidden(calls):
    extractor = Wav2Vec2("featkit-tests/none", local_files_only=True)
    with pytest.raises(FeatureError, match=r"Download it once: hf download featkit-tests/none$"):
        extractor.frames(noise(400))
    assert calls == []


@pytest.fixture
def hub(models, monkeypatch):
    """A hub with one model. -> the calls it got: was only the cache asked?"""
    asked = []

    def snapshot_download(name, *, allow_patterns, local_files_only):
        asked.append(local_files_only)
        assert not any(pattern.endswith("bin") for pattern in allow_patterns)
        if local_files_only:
            raise FileNotFoundError("not in the cache\nsecond line")
        return str(models / "group")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    module._downloaded.cache_clear()
    yield asked
    module._downloaded.cache_clear()


def test_a_name_is_looked_for_in_the_cache_and_then_on_the_hub_once(models, hub):
    extractor = Wav2Vec2("owner/name")
    for _ in range(2):
        np.testing.assert_array_equal(extractor.frames(noise(400)), Wav2Vec2(str(models / "group")).frames(noise(400)))
    assert hub == [True, False]
    assert extractor.spec["source"]["model"] == "owner/name"
    assert extractor.spec_hash == Wav2Vec2(str(models / "group")).spec_hash


def test_a_repository_of_pickles_is_refused(hub, monkeypatch, tmp_path, models):
    shutil.copy(models / "group" / "config.json", tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *args, **kwargs: str(tmp_path))
    refused("owner/pickles", r"owner/pickles: holds no model\.safetensors, .* m = 'owner/pickles'; t\.AutoModel\.from")


def test_a_missing_package_gives_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name in ("pretrained", "wav2vec2"):
        monkeypatch.delitem(sys.modules, f"featkit.features.{name}")
    with pytest.raises(PluginError, match=re.escape("pip install 'featkit[wav2vec2]'")):
        find_extractor("wav2vec2")
