"""A search tries what it says, on speakers not heard, costs one row a failure, and can be taken up again."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from featkit_backends.svm import SVM
from joblib import parallel_config
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, cross_val_predict
from speech import BACKENDS, EMOTIONS, SPEAKERS, extracted, small, speech

from featkit import Features, SERClassifier, TunedClassifier, evaluate, load, tune
from featkit.backend import Backend, find_backend
from featkit.cli import cli
from featkit.datasets.synthetic import synthesise
from featkit.errors import AudioError, DataError, LeakageError, PluginError
from featkit.features.base import find_extractor
from featkit.features.mfcc import MFCC39
from featkit.lock import locked
from featkit.tuning import Trial, TrialFile, Tuning, digest, read_space, recipe
from featkit.tuning.space import plan as plan_of

WAVES, LABELS, GROUPS = speech()
X = extracted("functionals")


def search(classifier: SERClassifier | None = None, **given: Any) -> Tuning:
    """Two folds of two speakers, so that a trial takes a moment."""
    return tune(classifier or SERClassifier(), given.pop("X", X), LABELS, **({"groups": GROUPS, "cv": 2} | given))


class Planted(SVM):
    """Right where ``secret`` is 7, and otherwise one emotion beside."""

    space: ClassVar[Mapping[str, Sequence[Any]]] = {"secret": range(9)}

    def __init__(self, secret: int = 0) -> None:
        super().__init__()
        self.secret = secret

    def predict_proba(self, X: Any) -> Any:
        proba = super().predict_proba(X)
        return proba if self.secret == 7 else np.roll(proba, 1, axis=1)


def values_of(backend: Backend) -> dict[str, list[Any]]:
    """All values of each setting, of whatever spaces."""
    found: dict[str, list[Any]] = {}
    for space in [backend.space] if isinstance(backend.space, Mapping) else backend.space:
        for setting, values in space.items():
            found[setting] = [*found.get(setting, []), *values]
    return found


# --- what is tried -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BACKENDS)
def test_the_space_of_a_backend_names_its_settings_and_values_they_take(name: str) -> None:
    backend = find_backend(name)
    for setting, values in values_of(backend).items():
        assert setting in backend.get_params()
        assert len(values) > 1, setting
        for value in values:
            text = recipe(type(backend)(**{setting: value}), {setting})
            assert find_backend(text).get_params()[setting] == value


def test_the_built_in_spaces_go_around_the_defaults() -> None:
    for name in ("svm", "xgboost"):
        backend = find_backend(name)
        assert backend.space
        for setting, values in values_of(backend).items():
            assert backend.get_params()[setting] in values


def test_the_width_of_the_rbf_kernel_is_searched_beside_that_kernel_alone() -> None:
    cells = plan_of(SERClassifier(backend=SVM(gamma=0.7)), None, 1000, 0)
    assert len(cells) == 1 + 9 * 5 + 9, "the own settings, and each cost with each width, and without one"
    widths = {
        kernel: {cell["backend__gamma"] for cell in cells if cell["backend__kernel"] == kernel}
        for kernel in ("rbf", "linear")
    }
    assert widths == {"rbf": {0.1, 0.2, 0.5, 0.7, 1.0, 2.0}, "linear": {0.7}}


def test_one_space_of_several_is_searched_at_a_time_and_what_both_hold_is_tried_once() -> None:
    found = search(SERClassifier(backend=SVM(C=1)), space=[{"C": [1, 2]}, {"kernel": ["rbf", "linear"]}])
    assert [row.backend for row in found.rows] == [
        "svm:C=1,kernel=rbf", "svm:C=2,kernel=rbf", "svm:C=1,kernel=linear",
    ]  # fmt: skip
    several = [{"C": [0.1, 3]}, {"C": [0.1, 3]}, {"C": [3]}]
    assert [cell["backend__C"] for cell in plan_of(SERClassifier(), several, 4, 0)] == [3, 0.1]
    assert "rbf" in found.report()


def test_a_planted_best_is_found_in_the_backends_own_space() -> None:
    found = search(SERClassifier(backend=Planted()), n_trials=9)
    assert found.best == {"backend__secret": 7}
    assert len(found.rows) == 9, "a grid of no more cells than trials is searched whole, with the own settings in it"
    assert found.table()[0]["backend__secret"] == 7
    assert found.classifier.get_params()["backend__secret"] == 7
    assert not hasattr(found.classifier, "backend_"), "it is left to the caller to fit"


def test_the_classifiers_own_settings_come_first_and_the_others_stay() -> None:
    classifier = SERClassifier(backend=SVM(C=7, calibration_folds=3), pad_short=True)
    found = search(classifier, space={"C": [1, 2], "backend__gamma": [0.5]})
    tried = [(row.settings["backend__C"], row.settings["backend__gamma"]) for row in found.rows]
    assert tried == [(7, 0.5), (1, 0.5), (2, 0.5)]
    assert found.classifier.pad_short
    assert found.classifier.backend.calibration_folds == 3
    assert found.rows[1].backend == "svm:C=1,calibration_folds=3,gamma=0.5"
    assert classifier.backend.C == 7, "the given classifier is left as it was"


def test_trials_are_drawn_by_seed_without_repetition_and_more_of_them_begin_alike() -> None:
    def plan(n_trials: int, seed: int) -> list[str]:
        return [str(row) for row in plan_of(SERClassifier(), None, n_trials, seed)]

    twenty = plan(20, 0)
    assert len(set(twenty)) == 20
    assert plan(20, 0) == twenty
    assert plan(30, 0)[:20] == twenty
    assert plan(20, 1)[1:] != twenty[1:]
    assert plan(20, 1)[0] == twenty[0]
    assert len(set(plan(53, 3))) == 53
    assert len(set(plan(54, 3))) == len(plan(54, 3)) == len(plan(1000, 3)) == 54


def test_values_that_come_again_are_tried_once_and_numpys_are_pythons() -> None:
    found = search(space={"C": np.array([3.0, 0.1, 3.0]), "kernel": ["rbf", "rbf"]})
    assert [row.backend for row in found.rows] == ["svm:C=3.0,kernel=rbf", "svm:C=0.1,kernel=rbf"]


# --- how it is scored ----------------------------------------------------------------------------------------------


def test_a_trial_scores_as_evaluate_and_as_scikit_learn() -> None:
    found = search(space={"C": [0.1, 10], "kernel": ["linear"]}, cv="loso")
    assert found.protocol == "leave one of 4 speakers out"
    for row in found.rows:
        own = evaluate(SERClassifier(backend=row.backend), X, LABELS, GROUPS)
        assert (row.ua, row.ua_interval, row.wa, row.macro_f1) == (own.ua, own.ua_interval, own.wa, own.macro_f1)
        again = cross_val_predict(
            SERClassifier(backend=row.backend),
            X,
            LABELS,
            groups=GROUPS,
            cv=LeaveOneGroupOut(),
            params={"groups": GROUPS},
        )
        assert row.ua == pytest.approx(balanced_accuracy_score(LABELS, again))


def test_no_speaker_is_learned_from_and_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[set[str], set[str]]] = []
    run = evaluate.__globals__["_run_fold"]

    def spy(classifier: Any, clips: Any, y: Any, speakers: Any, train: Any, test: Any) -> Any:
        seen.append((set(speakers[train]), set(speakers[test])))
        return run(classifier, clips, y, speakers, train, test)

    monkeypatch.setattr("featkit.evaluation._run_fold", spy)
    search(space={"C": [1, 10]}, cv="loso")
    assert len(seen) == 3 * 4
    for trained, judged in seen:
        assert trained.isdisjoint(judged)
        assert trained | judged == set(SPEAKERS)
    assert seen[:4] == seen[4:8] == seen[8:], "every trial is judged on the same folds"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry each time a clip is described."""
    made: list[int] = []
    functionals = MFCC39.functionals
    monkeypatch.setattr(MFCC39, "functionals", lambda self, wave: made.append(self.n_mfcc) or functionals(self, wave))
    return made


def test_features_are_extracted_once_for_all_trials(calls: list[int]) -> None:
    search(X=WAVES, space={"C": [0.1, 1, 10]})
    assert len(calls) == 24


def test_features_are_extracted_once_for_each_setting_of_theirs(calls: list[int]) -> None:
    found = search(X=WAVES, space={"features__n_mfcc": [13, 8], "C": [1, 3.0]})
    assert len(found.rows) == 4
    assert sorted(calls) == [8] * 24 + [13] * 24
    assert {row.features for row in found.rows} == {"mfcc39:n_mfcc=13", "mfcc39:n_mfcc=8"}
    eight = next(row for row in found.rows if row.settings == {"backend__C": 1, "features__n_mfcc": 8})
    assert eight.ua == evaluate(SERClassifier(eight.features, eight.backend), WAVES, LABELS, GROUPS, cv=2).ua


def test_neither_trials_nor_scores_depend_on_the_number_of_workers() -> None:
    serial = search(space={"C": [-1, 1]})
    with parallel_config(backend="threading"):  # processes take seconds to start; tests/test_evaluation.py has some
        parallel = search(space={"C": [-1, 1]}, n_jobs=2)
    assert [row.failure is None for row in serial.rows] == [True, False, True]
    first, second = ([replace(row, cpu_seconds=0) for row in found.rows] for found in (serial, parallel))
    assert str(first) == str(second)  # in words, as NaN is not equal to itself


def test_boosted_trees_are_searched_as_well() -> None:
    found = search(SERClassifier(backend=small("xgboost")), space={"max_depth": [2, 3]}, n_trials=2)
    assert [row.backend for row in found.rows] == [
        f"xgboost:max_depth={depth},n_estimators=15" for depth in (4, 2, 3)
    ], "a grid of two is searched whole, and the own settings besides"


# --- what is told --------------------------------------------------------------------------------------------------


def test_rows_are_plain_data_and_the_report_is_ranked_and_warns() -> None:
    found = search(space={"C": [1e-4, 1]})
    rows = json.loads(json.dumps(found.table(), allow_nan=False))
    assert [row["UA"] for row in rows] == sorted((row.ua for row in found.rows), reverse=True)
    report = found.report()
    assert report.startswith("3 trials, 2 folds of 4 speakers; UA with 95 % interval over speakers\n")
    assert [cell.strip() for cell in report.splitlines()[2].split("|")[1:-1]] == ["C", "WA", "UA", "macro-F1", "CPU s"]
    assert "is optimistic, because it was chosen on these very folds" in " ".join(report.split())
    assert "… and 2 more." in found.report(top=1)


def test_leakage_that_is_allowed_is_marked() -> None:
    found = search(groups=None, allow_leakage=True, space={"C": [1]})
    assert "2 random folds, SPEAKERS LEAK" in found.report().splitlines()[0]
    assert found.rows[0].ua_interval is None
    assert found.table()[0]["UA_low"] is None


def test_of_equal_scores_the_first_wins() -> None:
    found = search(space={"C": [1e-9, 1e-8]}, classifier=SERClassifier(backend="svm:C=1e-07"))
    assert len({row.ua for row in found.rows}) == 1
    assert found.best == {"backend__C": 1e-7}


def test_trials_are_told_of_as_they_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[Trial] = []
    found = search(space={"C": [1, -1]}, on_trial=told.append, progress=True)
    assert tuple(told) == found.rows
    shown = capsys.readouterr().err
    assert f"1/3  C=3.0  UA {100 * found.rows[0].ua:.1f} [" in shown
    assert "3/3  C=-1  failed: InvalidParameterError" in shown
    assert "best UA" in shown


def test_without_progress_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    search(space={"C": [1]})
    assert capsys.readouterr() == ("", "")


def test_a_trial_that_fails_costs_one_row() -> None:
    found = search(space={"C": [-1, 1], "class_weight": ["balanced", "equal"]})
    failed = [row for row in found.rows if row.failure is not None]
    assert len(failed) == 3
    assert all(math.isnan(row.ua) for row in failed)
    assert any("InvalidParameterError: The 'C' parameter" in str(row.failure) for row in failed)
    assert any("class_weight is 'balanced' or None, not 'equal'" in str(row.failure) for row in failed)
    assert [row["failure"] is None for row in found.table()] == [True, True, False, False, False]
    assert "3 of 5 trials failed:\n  C=-1, class_weight=" in found.report()


@pytest.mark.parametrize("error", [np.linalg.LinAlgError("singular"), RuntimeError("out of memory"), TypeError("t")])
def test_what_a_backend_may_raise_costs_one_row(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = SVM.fit

    def failing(self: SVM, *args: Any) -> Any:
        if self.C == 1:
            raise error
        return fit(self, *args)

    monkeypatch.setattr(SVM, "fit", failing)
    found = search(space={"C": [1, 2]})
    assert [row.failure for row in found.rows] == [None, f"{type(error).__name__}: {error}", None]


def test_settings_of_the_features_that_make_no_sense_cost_one_row() -> None:
    found = search(X=WAVES, space={"features__n_mfcc": [13, 200]})
    assert [row.failure is None for row in found.rows] == [True, False]


# --- Ctrl-C --------------------------------------------------------------------------------------------------------


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Ctrl-C in the given trial."""
    made: list[int] = []

    def once(*args: Any, **named: Any) -> Any:
        made.append(1)
        if len(made) == at:
            raise KeyboardInterrupt
        return evaluate(*args, **named)

    monkeypatch.setattr("featkit.tuning.search.evaluate", once)


def test_an_interrupted_search_keeps_what_it_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(monkeypatch, at=3)
    found = search(n_trials=5)
    assert len(found.rows) == 2
    assert found.interrupted
    assert found.report().startswith("2 trials of 5, then interrupted, 2 folds")
    assert "Interrupted: 2 of 5 trials are kept." in capsys.readouterr().err


def test_an_interrupt_before_the_first_score_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch, at=1)
    with pytest.raises(KeyboardInterrupt):
        search(n_trials=5)


# --- errors --------------------------------------------------------------------------------------------------------


class Spaceless(SVM):
    space: ClassVar[Mapping[str, Sequence[Any]]] = Backend.space


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"groups": None}, LeakageError, r"needs speakers: .* or allow_leakage=True"),
        (
            {"cv": 5},
            DataError,
            r"needs at least 5 speakers for this cv; there are 4\. Leave one out at a time \(--cv loso\), or make "
            r"fewer folds \(--cv 4\)",
        ),
        ({"groups": ["one"] * len(LABELS)}, DataError, "needs at least 2 speakers for this cv; there are 1"),
        ({"cv": 1}, DataError, "cv must be 'loso' or a number of folds from 2 on; it is 1"),
        ({"n_trials": 0}, DataError, "n_trials must be 1 or more; it is 0"),
        (
            {"space": {}},
            DataError,
            r"nothing to search: SVM.space is empty, and .* as in space=\{'C': \[0.1, 1, 10\]\}",
        ),
        (
            {"space": {"kernal": [1]}},
            PluginError,
            r"No setting of svm is named 'kernal'\. Did you mean 'kernel'\? Settings",
        ),
        ({"space": {"backend__gama": [1]}}, PluginError, r"No setting of svm is named 'gama'\. Did you mean 'gamma'\?"),
        (
            {"space": {"features__n_mfc": [1]}},
            PluginError,
            r"No setting of mfcc39 is named 'n_mfc'\. Did you mean 'n_m",
        ),
        ({"space": {"C": [1], "backend__C": [2]}}, DataError, "The setting C of the backend stands twice"),
        ({"space": [{}, {}]}, DataError, "nothing to search: SVM.space is empty"),
        ({"space": ["C"]}, DataError, r"A space holds values by setting, as in \{'C': \[0.1, 1, 10\]\}; it is 'C'"),
        ({"space": {"C": []}}, DataError, r"The values of C must be a list of one or more; it is \[\]"),
        ({"space": {"kernel": "rbf"}}, DataError, "The values of kernel must be a list of one or more; it is 'rbf'"),
        ({"space": {"C": 1}}, DataError, "The values of C must be a list of one or more; it is 1"),
        ({"space": {"features__n_mfcc": [8]}}, DataError, "give paths or waves: extracted features belong to one"),
        ({"classifier": GridSearchCV(SERClassifier(), {})}, DataError, "tune takes an SERClassifier, not a GridSearch"),
        ({"classifier": SERClassifier(backend="smv")}, PluginError, "Did you mean 'svm'"),
        ({"classifier": SERClassifier(backend=Spaceless())}, DataError, "nothing to search: Spaceless.space is empty"),
        ({"groups": [None, *GROUPS[1:]]}, DataError, "The speaker of clip 0 is None"),
        ({"groups": GROUPS[1:]}, ValueError, "inconsistent numbers of samples"),
        ({"X": [*WAVES[1:], np.zeros(16_000, np.float32)]}, AudioError, "clip 23: all 16000 samples are zero"),
    ],
)
def test_a_search_that_cannot_be_is_refused(given: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        search(**given)


def test_a_search_of_which_every_trial_fails_is_an_error() -> None:
    with pytest.raises(DataError, match=r"All 2 trials failed\. The first: InvalidParameterError: The 'C'"):
        search(SERClassifier(backend=SVM(C=-2)), space={"C": [-1]})


# --- in words ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "svm",
        "svm:C=10,gamma=0.3,kernel=linear",
        "svm:C=1e-05,class_weight=none,random_state=none",
        "xgboost:max_depth=3,n_jobs=-1",
        "cnn_lstm:channels=(8,12),progress=true",
    ],
)
def test_a_backend_is_written_as_it_is_read(text: str) -> None:
    assert recipe(find_backend(text)) == text
    assert recipe(find_extractor("mfcc39:n_mfcc=20,window=hamming+logmel")) == "mfcc39:n_mfcc=20,window=hamming+logmel"


@pytest.mark.parametrize("word", ["plain", "none", "True", "for", "two words", "a-b", "it's", ""])
def test_any_word_can_be_read_back(word: str) -> None:
    assert find_backend(recipe(SVM(kernel=word))).get_params()["kernel"] == word  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["C", "C=", "=1", "C=1,,2", "C=a-b", "C=(1,2"])
def test_values_are_written_in_one_way(text: str) -> None:
    with pytest.raises(PluginError, match=r"values to try are written as in 'C=0\.1,1,10'"):
        read_space([text])


def test_values_given_twice_are_refused() -> None:
    with pytest.raises(PluginError, match="'C=2': values for C are given twice; write them as one list"):
        read_space(["C=1", "C=2"])


# --- on disk -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_search_goes_on_from_its_file(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = TrialFile(tmp_path / "new" / f"trials{suffix}", "three emotions", "cv 2, seed 0")
    assert file.read() == []
    space = {"C": [-1, 0.1, 10], "class_weight": ["balanced", None]}
    first = search(space=space, n_trials=3, on_trial=file.append)
    monkeypatch.setattr("featkit.tuning.search.evaluate", lambda *args, **named: pytest.fail("it stands in the file"))
    again = search(space=space, n_trials=3, on_trial=file.append, done=file.read())
    assert again.table() == first.table()
    monkeypatch.undo()
    more = search(space=space, n_trials=6, on_trial=file.append, done=file.read())
    assert {row.backend for row in first.rows} < {row.backend for row in more.rows}
    assert len(file.read()) == len(more.rows) == 7
    assert more.table() == search(space=space, n_trials=6, done=file.read()).table()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_half_a_line_of_a_killed_search_is_cut_off(suffix: str, tmp_path: Path) -> None:
    file = TrialFile(tmp_path / f"trials{suffix}", "d", "f")
    search(space={"C": [1]}, on_trial=file.append)
    whole = file.path.read_bytes()
    for cut in range(whole.rfind(b"\n", 0, -1) + 2, len(whole)):
        file.path.write_bytes(whole[:cut])
        assert len(file.read()) == 1
        file.append(Trial({"backend__C": 1}, "mfcc39", "svm:C=1", failure='it, "too"'))
        assert [row.failure for row in file.read()] == [None, 'it, "too"']


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@pytest.mark.parametrize(
    "content", [b"file,label\na.wav,anger", b"{}\n", b"[1]\n", b"\xff\xfe\n", b"text without an end", b'"open\n']
)
def test_a_file_of_something_else_is_refused_and_left_alone(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"notes{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"notes\.\w+: is no file of trials that featkit tune wrote; give another name"):
        TrialFile(path, "d", "f").read()
    assert path.read_bytes() == content


def test_trials_on_other_data_or_folds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    TrialFile(path, "emodb", "cv 5").append(Trial({}, "mfcc39", "svm", failure="no"))
    with pytest.raises(
        DataError, match=r"holds trials on other data \(emodb\) than this search \(ravdess\); give anoth"
    ):
        TrialFile(path, "ravdess", "cv 5").read()
    with pytest.raises(DataError, match=r"holds trials on other folds \(cv 5\) than this search \(loso\)"):
        TrialFile(path, "emodb", "loso").read()


def test_trials_are_kept_in_two_formats_only(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.txt: trials are kept as \*\.jsonl or \*\.csv"):
        TrialFile(tmp_path / "t.txt", "d", "f").append(Trial({}, "mfcc39", "svm"))


def test_the_digest_tells_clips_labels_and_speakers_apart() -> None:
    same = digest(X, LABELS, GROUPS)
    assert digest(list(X), LABELS.tolist(), GROUPS.tolist()) == same
    others = [
        digest(X[::-1], LABELS, GROUPS),
        digest(X, LABELS[::-1], GROUPS),
        digest(X, LABELS, GROUPS[::-1]),
        digest(X, LABELS, None),
        digest(extracted("frames"), LABELS, GROUPS),
    ]
    assert len({same, *others}) == 6


# --- the command line ----------------------------------------------------------------------------------------------


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="featkit")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    rows = ["file,label,speaker"]
    for emotion in EMOTIONS:
        for speaker in range(3):
            for take in range(2):
                name = f"{emotion}{speaker}{take}.wav"
                soundfile.write(root / name, synthesise(emotion, speaker, 0, take), 16_000)
                rows.append(f"{name},{emotion},s{speaker}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root / "manifest.csv"


def test_tune_prints_the_table_and_a_backend_to_paste_and_writes_the_model(manifest: Path, tmp_path: Path) -> None:
    model, results = tmp_path / "best.onnx", tmp_path / "trials.csv"
    words = [
        "tune", "--data", manifest, "--cv", 3, "--trials", 4, "--space", "C=0.0001,1,10",
        "--space", "kernel=rbf,linear", "--results", results,
    ]  # fmt: skip
    result = run(*words, "-o", model)
    assert result.exit_code == 0, result.output
    assert "4 trials, 3 folds of 3 speakers; UA with 95 % interval over speakers" in result.stdout
    assert "is optimistic, because it was chosen on these very folds" in " ".join(result.stdout.split())
    (pasted,) = [line.removeprefix("Best: --backend ") for line in result.stdout.splitlines() if "Best: " in line]
    best = find_backend(pasted.strip("'"))
    rows = list(csv.DictReader(results.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 4
    top = max(rows, key=lambda row: float(row["UA"]))
    assert find_backend(top["backend"]).get_params() == best.get_params()
    params = load(model).recipe["members"][0]["backend"]["params"]
    assert (params["C"], params["kernel"]) == (best.get_params()["C"], best.get_params()["kernel"])
    assert f"Trained mfcc39 + {pasted.strip(chr(39))} on " in result.stdout

    again = run(*words)
    assert again.stdout.split("Best: ")[0] == result.stdout.split("Best: ")[0], "with the CPU seconds of the first run"
    assert len(results.read_text().splitlines()) == 1 + 4
    loso = ["loso" if word == 3 else word for word in words]
    for others in ([*words, "--seed", 1], [*words, "--features", "logmel"], loso):
        refused = run(*others)
        assert refused.exit_code == 1
        assert "trials.csv: holds trials on other " in refused.stderr


def test_tune_searches_settings_of_the_features(manifest: Path, tmp_path: Path) -> None:
    model = tmp_path / "best.onnx"
    words = [
        "tune",
        "--data",
        manifest,
        "--cv",
        3,
        "--space",
        "features__n_mfcc=8,200",
        "--backend",
        "svm:kernel=linear",
    ]
    result = run(*words, "-o", model)
    assert result.exit_code == 0, result.output
    assert "1 of 3 trials failed:\n  features__n_mfcc=200: " in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("Best: --features mfcc39:n_mfcc=")]
    assert line.endswith(" --backend svm:kernel=linear")
    n_mfcc = int(line.split("n_mfcc=")[1].split()[0])
    assert load(model).recipe["members"][0]["features"]["params"]["n_mfcc"] == n_mfcc


def test_tune_says_that_speech_is_synthetic_and_takes_a_table(tmp_path: Path, manifest: Path) -> None:
    table = tmp_path / "f.parquet"
    assert run("extract", "--data", manifest, "-o", table).exit_code == 0
    result = run("tune", "--data", table, "--cv", 3, "--space", "C=1", "-o", tmp_path / "e.joblib")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "e.joblib").exists()
    refused = run("tune", "--data", table, "--cv", 3, "--space", "features__n_mfcc=8")
    assert (refused.exit_code, "give paths or waves" in refused.stderr) == (1, True)


def test_an_interrupted_tune_keeps_the_best_and_exits_with_130(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch, at=3)
    result = run("tune", "--data", manifest, "--cv", 3, "-o", tmp_path / "m.onnx", "--results", tmp_path / "t.jsonl")
    assert result.exit_code == 130
    assert "2 trials of 20, then interrupted" in result.stdout
    assert "Interrupted: 2 of 20 trials are kept." in result.stderr
    assert (tmp_path / "m.onnx").exists()
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 2


def test_tune_joins_corpora(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "lab.csv").write_text(manifest.read_text())
    for path in manifest.parent.glob("*.wav"):
        wave, rate = soundfile.read(path)
        soundfile.write(tmp_path / path.name, 0.5 * wave[::-1], rate)
    words = ("--data", manifest, "--data", tmp_path / "lab.csv", "--cv", "loso", "--space", "C=1")
    result = run("tune", *words)
    assert result.exit_code == 0, result.output
    assert "manifest.csv+lab.csv, " in result.stdout
    assert "leave one of 6 speakers out" in result.stdout, "speakers of two corpora are different people"


def test_two_searches_with_one_file_of_trials_do_not_meet(manifest: Path, tmp_path: Path) -> None:
    trials = tmp_path / "new" / "t.jsonl"
    words = ("tune", "--data", manifest, "--cv", 3, "--space", "C=1", "--results", trials)
    trials.parent.mkdir()
    with locked(trials.parent / ".t.jsonl.lock", trials):
        refused = run(*words)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"{trials}: another run is at work on it; wait for its end, or name another output." in refused.stderr
    trials.parent.rmdir()
    assert run(*words).exit_code == 0
    assert [path.name for path in trials.parent.iterdir()] == ["t.jsonl"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--cv", "both"], 2, "--cv both is for featkit evaluate; tune leaves"),
        (["--cv", "often"], 2, "Invalid value for '--cv'"),
        (["-o", "m.txt"], 2, "--output must end in .onnx or .joblib; it is 'm.txt'"),
        (["--results", "t.txt"], 2, "--results must end in .jsonl or .csv; it is 't.txt'"),
        (["--trials", "0"], 2, "0 is not in the range x>=1"),
        (["--space", "C"], 1, "'C': values to try are written as in"),
        (["--space", "D=1"], 1, "No setting of svm is named 'D'."),
        (["--backend", "smv"], 1, "Did you mean 'svm'?"),
    ],
)
def test_tune_refuses_what_it_cannot_do(words: list[str], code: int, message: str, manifest: Path) -> None:
    result = run("tune", "--data", manifest, *([] if "--cv" in words else ["--cv", 3]), *words)
    assert result.exit_code == code
    assert message in result.stderr


def test_tune_needs_speakers_and_marks_where_it_has_none(manifest: Path) -> None:
    lines = [line.rpartition(",")[0] for line in manifest.read_text().splitlines()]
    without = manifest.with_name("without.csv")
    without.write_text("\n".join(lines) + "\n")
    refused = run("tune", "--data", without)
    assert (refused.exit_code, "Evaluation needs speakers" in refused.stderr) == (1, True)
    allowed = run("tune", "--data", without, "--allow-leakage", "--cv", 2, "--space", "C=1")
    assert allowed.exit_code == 0, allowed.output
    assert "2 random folds, SPEAKERS LEAK" in allowed.stdout


def test_tune_has_help_with_an_example() -> None:
    result = run("tune", "--help")
    assert "featkit tune --data" in result.output
    assert "optimistic" in result.output


# --- nested --------------------------------------------------------------------------------------------------------


class Guess(SVM):
    """Guesses by ``seed``: some seeds are lucky on some clips, and none knows anything."""

    space: ClassVar[Mapping[str, Sequence[Any]]] = {"seed": range(40)}

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, *, copies: Any = None) -> Guess:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        guesses = [np.random.default_rng([self.seed, int(1e6 * abs(row[0]))]).integers(3) for row in X]
        return np.eye(3, dtype=np.float32)[guesses]


def test_a_nested_search_finds_no_luck_where_a_flat_one_does() -> None:
    rng = np.random.default_rng(0)
    spec = find_extractor("mfcc39").spec_hash
    clips = [Features(rng.normal(size=4).astype(np.float32), "functionals", spec) for _ in range(240)]
    labels, speakers = np.tile(EMOTIONS, 80), np.repeat(np.arange(12), 20)
    flat = tune(SERClassifier(backend=Guess()), clips, labels, speakers, n_trials=40, cv=4)
    nested = evaluate(TunedClassifier(SERClassifier(backend=Guess()), n_trials=40, cv=4), clips, labels, speakers, cv=4)
    assert flat.ranked[0].ua > 1 / 3 + 0.06
    assert nested.ua < 1 / 3 + 0.03


def test_a_nested_search_hears_the_training_speakers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[set[str]] = []

    def spy(classifier: Any, clips: Any, y: Any, groups: Any, **how: Any) -> Tuning:
        heard.append(set(groups))
        return tune(classifier, clips, y, groups, **how)

    monkeypatch.setattr("featkit.tuning.nested.tune", spy)
    evaluate(TunedClassifier(SERClassifier(), space={"C": [1, 3]}), X, LABELS, GROUPS)
    assert sorted(map(sorted, heard)) == sorted(sorted(set(SPEAKERS) - {who}) for who in SPEAKERS)


def test_the_best_of_the_search_is_fitted_and_exported(tmp_path: Path) -> None:
    tuned = TunedClassifier(SERClassifier(backend=Planted()), n_trials=9, cv=2).fit(X, LABELS, groups=GROUPS)
    assert tuned.search_.best == {"backend__secret": 7}
    assert tuned.predict(X).tolist() == tuned.best_.predict(X).tolist()
    assert list(tuned.members()) == [tuned.best_]
    tuned = TunedClassifier(SERClassifier(), space={"C": [1, 3]}, cv=2).fit(WAVES, LABELS, groups=GROUPS)
    tuned.export(tmp_path / "m.onnx")
    np.testing.assert_allclose(load(tmp_path / "m.onnx").predict_proba(WAVES), tuned.predict_proba(WAVES), atol=1e-5)


def test_clips_without_speakers_are_searched_in_random_folds() -> None:
    tuned = TunedClassifier(SERClassifier(), space={"C": [1, 3]}, cv=2).fit(X, LABELS)
    assert tuned.search_.protocol == "2 random folds, SPEAKERS LEAK"


def test_weights_are_refused_and_ctrl_c_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="TunedClassifier does not weigh clips; leave out sample_weight"):
        TunedClassifier(SERClassifier()).fit(X, LABELS, np.ones(len(X)))
    found = search(space={"C": [1, 3]})
    monkeypatch.setattr("featkit.tuning.nested.tune", lambda *_, **__: replace(found, planned=99))
    with pytest.raises(KeyboardInterrupt):
        TunedClassifier(SERClassifier()).fit(X, LABELS, groups=GROUPS)
