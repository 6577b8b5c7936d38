"""``featkit evaluate``, ``benchmark``, ``compare`` and ``verify``: what they print, keep, and refuse."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from speech import speech, write_manifest, write_wav

from featkit.benchmark import RowFile, runner
from featkit.cli import cli
from featkit.cli.common import DATA_HELP
from featkit.lock import locked


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="featkit")


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 clips: 4 speakers say 2 sentences in 3 emotions."""
    return write_manifest(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def results(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four rows. Not to be changed."""
    folder = tmp_path_factory.mktemp("results")
    done = run(
        "benchmark", "--data", manifest, "--features", "mfcc39", "--backend", "svm", "--backend",
        "svm:kernel=linear,C=0.0001", "--cv", "loso", "--cv", 2, "--no-deploy", "-o", folder,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize("command", ["evaluate", "benchmark", "compare", "verify"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"featkit {command}" in result.output.split("\n", 2)[2]


def test_a_misspelt_recipe_is_told_before_the_first_is_made(manifest: Path, tmp_path: Path) -> None:
    done = run(
        "benchmark", "--data", manifest, "--backend", "svm", "--backend", "xgbost", "--no-deploy", "-o", tmp_path / "r"
    )
    first, second = (line for line in done.stderr.splitlines() if line.startswith(("1/2", "2/2")))
    assert "default + xgbost: failed: No backend is named 'xgbost'. Did you mean 'xgboost'?" in first
    assert "mfcc39 + svm: UA" in second
    assert done.exit_code == 1


# --- evaluate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "protocol"),
    [
        (["--cv", "both"], "4 folds of 4 speakers × 2 of 2 sentences, both unheard"),
        (["--cv", "sentences", "--allow-leakage"], "leave one of 2 sentences out, SPEAKERS LEAK"),
        (["--cv", "random:2", "--allow-leakage"], "2 random folds, SPEAKERS LEAK"),
        (["--cv", "test:s0,s3"], "test speakers s0, s3, learned from 2 others"),
        (["--permute-labels"], "leave one of 4 speakers out, LABELS PERMUTED"),
    ],
)
def test_evaluate_judges_by_every_protocol(words: list[str], protocol: str, manifest: Path) -> None:
    result = run("evaluate", "--data", manifest, *words)
    assert result.exit_code == 0, result.output
    assert protocol in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "--data", "{}", "-o", "{}"],
        ["evaluate", "--data", "manifest:{}", "-o", "{}"],
        ["evaluate", "--data", "synthetic", "--test", "{}", "-o", "{}"],
        ["audit", "--data", "{}", "-o", "{}"],
        ["fit", "--data", "{}", "--backend", "mlp:epochs=1", "-o", "m.onnx", "--history", "{}"],
        ["extract", "--data", "{}", "-o", "{}", "--overwrite"],
        ["extract", "{}", "-o", "{}", "--overwrite"],
        ["predict", "m.onnx", "{}", "-o", "{}", "--overwrite"],
    ],
)
def test_a_table_of_labels_is_never_written_over(words: list[str], manifest: Path) -> None:
    before = manifest.read_bytes()
    table = manifest.parent / "." / manifest.name  # another name for it
    done = run(*(word.format(table) for word in words))
    assert done.exit_code == 2
    assert "is read here, and would be written over; name another file." in done.stderr or ".jsonl" in done.stderr
    assert manifest.read_bytes() == before


def test_evaluate_shows_protocols_side_by_side(manifest: Path) -> None:
    result = run("evaluate", "--data", manifest, "--cv", "loso", "--cv", "random:2", "--allow-leakage")
    assert result.output.count("| features") == 2


def test_evaluate_judges_another_corpus(manifest: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    lines = manifest.read_text().replace("neutral", "calm").splitlines()
    waves, _, _ = speech()
    for i, wave in enumerate(waves):
        write_wav(tmp_path / f"{i:02d}.wav", 0.9 * wave)
    other.write_text("\n".join(lines) + "\n")
    result = run("evaluate", "--data", manifest, "--test", other)
    assert result.exit_code == 0, result.output
    assert "left out), tested on" in result.output


def test_evaluate_tells_what_features_are_worth(manifest: Path) -> None:
    result = run("evaluate", "--data", manifest, "--cv", 2, "--importance")
    assert result.exit_code == 0, result.output
    assert re.search(r"\| MFCC Δ +\| -?\d+\.\d \[", result.output)


def test_evaluate_marks_what_hears_all_clips_of_a_speaker(manifest: Path) -> None:
    result = run("evaluate", "--data", manifest, "--normalise", "speaker", "--cv", 2)
    assert "| transductive |" in result.output


def test_evaluate_measures_the_model_on_request(manifest: Path) -> None:
    result = run("evaluate", "--data", manifest, "--cv", 2, "--deploy")
    assert result.exit_code == 0, result.output
    assert "| kB " in result.output


def test_evaluate_tunes_inside_the_fold(manifest: Path) -> None:
    result = run("evaluate", "--data", manifest, "--tune", 2, "--cv", 2)
    assert result.exit_code == 0, result.output
    assert "| tuned with 2 trials in each fold |" in result.output
    told = (
        r"^mfcc39 \+ svm, tuned with 2 trials in each fold: the folds chose\n"
        r"(  - 2 × svm\S*|  - 1 × svm\S*\n  - 1 × svm\S*)$"
    )
    assert re.search(told, result.output, re.MULTILINE), result.output


@pytest.fixture
def copied(manifest: Path, tmp_path: Path) -> Path:
    """A manifest of two of the same recordings, in another folder, under other names and other speakers."""
    rows = manifest.read_text().splitlines()
    for name in ("00.wav", "03.wav"):
        (tmp_path / f"lab{name}").write_bytes((manifest.parent / name).read_bytes())
    rows = [f"lab{row.replace(',s0,', ',mia,')}" for row in rows if row[:6] in ("00.wav", "03.wav")]
    (tmp_path / "lab.csv").write_text("file,label,speaker,text\n" + "\n".join(rows) + "\n")
    return tmp_path / "lab.csv"


@pytest.mark.parametrize("command", ["evaluate", "benchmark"])
def test_a_recording_under_another_name_is_not_judged(
    command: str, manifest: Path, copied: Path, tmp_path: Path
) -> None:
    output = tmp_path / ("rows.jsonl" if command == "evaluate" else "results")
    result = run(command, "--data", manifest, "--test", copied, "-o", output)
    assert result.exit_code == 1
    assert "lab00.wav' of lab.csv is the same recording as '" in result.stderr
    assert "00.wav' of clips.csv; what is judged must not be learned from. featkit audit" in result.stderr


def test_a_recording_in_two_joined_corpora_is_told_and_the_protocol_marked(manifest: Path, copied: Path) -> None:
    result = run("evaluate", "--data", manifest, "--data", copied)
    assert result.exit_code == 0, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("The same recording stands in two of the corpora, as '")
    assert "lab00.wav': its speaker is in both. featkit audit finds all" in line
    assert "leave one of 5 speakers out, SPEAKERS LEAK" in result.stdout


def test_two_corpora_of_other_recordings_leak_nothing(manifest: Path, copied: Path) -> None:
    for name, wave in zip(("00.wav", "03.wav"), speech().waves, strict=False):
        write_wav(copied.parent / f"lab{name}", 0.9 * wave)
    result = run("evaluate", "--data", manifest, "--data", copied)
    assert result.exit_code == 0, result.output
    assert (result.stderr, "LEAK" in result.stdout) == ("", False)


def test_speakers_of_one_name_in_two_manifests_are_told_once(manifest: Path, tmp_path: Path) -> None:
    rows = [f"lab{i}.wav,{label},{who}" for i, (label, who) in enumerate([("anger", "s0"), ("sadness", "s1")])]
    for name, wave in zip(("lab0.wav", "lab1.wav"), speech().waves, strict=False):
        write_wav(tmp_path / name, 0.9 * wave)
    (tmp_path / "lab.csv").write_text("\n".join(["file,label,speaker", *rows]) + "\n")
    told = "('s0' and 1 more), who count as different people. If they are the same, list all clips in one manifest.\n"
    result = run("evaluate", "--data", manifest, "--data", tmp_path / "lab.csv")
    assert (result.exit_code, result.stderr) == (0, f"Two manifests have speakers of one name {told}")
    assert "leave one of 6 speakers out" in result.stdout
    found = run("audit", "--data", manifest, "--data", tmp_path / "lab.csv", "--check", "speakers")
    assert "s0, s1: speakers of one name in two manifests, who count as different people" in found.stdout


@pytest.mark.parametrize("command", ["evaluate", "benchmark"])
def test_folds_have_no_meaning_beside_a_test_corpus(command: str, manifest: Path, tmp_path: Path) -> None:
    result = run(command, "--data", manifest, "--test", manifest, "--cv", "loso", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "--cv has no meaning with --test" in result.stderr


def test_every_command_takes_several_corpora_and_says_what_becomes_of_them() -> None:
    helps = {
        name: param.help or ""
        for name, command in cli.commands.items()
        for param in command.params
        if isinstance(param, click.Option) and "--data" in param.opts
    }
    assert len(helps) == 9
    assert all("ay be given again" in told and DATA_HELP in told for told in helps.values())
    assert "each is a table of its own" in helps["benchmark"]


def test_augment_joins_corpora_and_keeps_their_speakers_apart(manifest: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "lab.csv"
    other.parent.mkdir()
    write_wav(other.parent / "x.wav", speech().waves[0][::-1].copy())
    other.write_text("file,label,speaker\nx.wav,anger,s0\n")
    done = run("augment", "--data", manifest, "--data", other, "--copies", 1, "--augment", "gain", tmp_path / "out")
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "out" / "manifest.csv").read_text().splitlines()
    assert (len(lines), lines[1].split(",")[2], lines[-1].split(",")[2]) == (26, "clips.csv/s0", "lab.csv/s0")


def test_two_benchmarks_with_one_folder_do_not_meet(manifest: Path, tmp_path: Path) -> None:
    words = ["benchmark", "--data", manifest, "--cv", 2, "--no-deploy", "-o", tmp_path]
    rows = tmp_path / "rows.jsonl"
    with locked(tmp_path / ".rows.jsonl.lock", rows):
        rows.write_text('{"half a row of the other')
        refused = run(*words)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"{rows}: another run is at work on it; wait for its end, or name another output." in refused.stderr
    assert rows.read_text() == '{"half a row of the other'
    rows.unlink()
    assert run(*words).exit_code == 0
    assert not (tmp_path / ".rows.jsonl.lock").exists()


def test_a_plan_says_folds_or_a_test_corpus(manifest: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"data: {manifest}\ntest: {manifest}\ncv: 2\n")
    result = run("benchmark", plan, "-o", tmp_path / "out")
    assert (result.exit_code, "--cv has no meaning with --test" in result.stderr) == (2, True)
    plan.write_text(f"data: {manifest}\ncv: 2\n")  # --test takes the place of its cv, as options do
    result = run("benchmark", plan, "--test", manifest, "-o", tmp_path / "out")
    assert (result.exit_code, "stands in both corpora" in result.stderr) == (1, True)


def _with_speakers(manifest: Path, folder: Path, header: str, rename: str = "s3") -> Path:
    rows = [row.replace(",s3,", f",{rename},") for row in manifest.read_text().splitlines()[1:]]
    rows = [f"{manifest.parent}/{row}" for row in rows]
    (folder / "lab.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder / "lab.csv"


@pytest.mark.parametrize("command", ["evaluate", "benchmark", "fit"])
def test_speakers_that_look_like_one_are_told(command: str, manifest: Path, tmp_path: Path) -> None:
    lab = _with_speakers(manifest, tmp_path, "file,label,speaker,text", "S-02")
    words = {"evaluate": ["--cv", 2], "benchmark": ["--cv", 2, "--no-deploy"], "fit": []}[command]
    output = tmp_path / {"evaluate": "r.jsonl", "benchmark": "out", "fit": "m.onnx"}[command]
    result = run(command, "--data", lab, *words, "-o", output)
    assert result.exit_code == 0, result.output
    told = "lab.csv: speakers 'S-02' and 's2' look like one, and count as several; see featkit audit."
    assert result.stderr.splitlines().count(told) == 1


@pytest.mark.parametrize("column", ["speakers", "Speaker_ID", "spk", "subject", "Actor", "who"])
def test_speakers_in_a_column_of_another_name_are_pointed_out(column: str, manifest: Path, tmp_path: Path) -> None:
    lab = _with_speakers(manifest, tmp_path, f"file,label,{column},text")
    told = f"lab.csv' has no column 'speaker'; is '{column.lower()}' it? Rename it."
    evaluated = run("evaluate", "--data", lab)
    assert (evaluated.exit_code, told in evaluated.stderr) == (1, True)
    assert "Evaluation needs speakers" in evaluated.stderr.splitlines()[-1]
    if column == "who":
        tuned = run("tune", "--data", lab)
        assert (tuned.exit_code, told in tuned.stderr) == (1, True)
        fitted = run("fit", "--data", lab, "-o", tmp_path / "m.onnx")
        assert (fitted.exit_code, told in fitted.stderr) == (0, True)


def test_a_table_of_another_set_says_what_it_holds(manifest: Path, tmp_path: Path) -> None:
    table = tmp_path / "feats.parquet"
    assert run("extract", "--data", manifest, "-o", table).exit_code == 0
    result = run("evaluate", "--data", table, "--features", "logmel")
    assert result.exit_code == 1
    assert "feats.parquet holds mfcc39 functionals, not logmel. Extract them again with the same" in result.stderr
    other = run("evaluate", "--data", table, "--features", "mfcc39:n_mfcc=20")
    told = "holds mfcc39 functionals of other settings (n_mfcc is 20 here and 13 there), not mfcc39. Extract"
    assert told in other.stderr


# --- benchmark -------------------------------------------------------------------------------------------------------


def test_benchmark_writes_rows_and_a_report_in_every_form(results: Path) -> None:
    rows = RowFile(results / "rows.jsonl").read()
    assert len(rows) == 4
    assert {path.name for path in results.iterdir()} == {
        "rows.jsonl", "report.md", "report.csv", "report.tex", "report.html",
    }  # fmt: skip
    assert len((results / "report.csv").read_text().splitlines()) == 5
    assert str(rows[0].key) in (results / "report.html").read_text()


def test_a_second_run_makes_only_what_is_missing(results: Path, manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes((results / "rows.jsonl").read_bytes())
    words = ["benchmark", "--data", manifest, "--features", "mfcc39", "--cv", "loso", "--cv", 3, "--no-deploy"]
    again = run(*words, "-o", tmp_path)
    assert again.exit_code == 0, again.output
    assert f"1 of 2 rows are in {tmp_path / 'rows.jsonl'} already" in again.stderr
    assert "1/1 " in again.stderr
    assert len(RowFile(tmp_path / "rows.jsonl").read()) == 5
    once_more = run(*words, "-o", tmp_path)
    assert "2 of 2 rows are in" in once_more.stderr
    assert len(RowFile(tmp_path / "rows.jsonl").read()) == 5
    assert once_more.stdout == again.stdout


def test_a_changed_recording_is_noticed(manifest: Path, tmp_path: Path) -> None:
    for path in manifest.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    words = ["benchmark", "--data", tmp_path / "clips.csv", "--cv", 2, "--no-deploy", "-o", tmp_path / "out"]
    assert run(*words).exit_code == 0
    write_wav(tmp_path / "00.wav", 0.5 * speech().waves[0])
    again = run(*words)
    assert "already" not in again.stderr
    assert len({row.data for row in RowFile(tmp_path / "out" / "rows.jsonl").read()}) == 2


def test_changed_code_is_noticed(
    results: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.jsonl").write_bytes((results / "rows.jsonl").read_bytes())
    monkeypatch.setattr("featkit.benchmark.runner.code_hash", lambda: "other")
    again = run("benchmark", "--data", manifest, "--features", "mfcc39", "--no-deploy", "-o", tmp_path)
    assert "already" not in again.stderr


def test_a_failing_recipe_costs_one_row_and_the_exit_code(manifest: Path, tmp_path: Path) -> None:
    result = run(
        "benchmark",
        "--data",
        manifest,
        "--backend",
        "smv",
        "--backend",
        "svm",
        "--cv",
        2,
        "--no-deploy",
        "-o",
        tmp_path,
    )
    assert result.exit_code == 1
    assert "Failed: clips" in result.stderr or "Failed: corpus" in result.stderr
    assert "Did you mean 'svm'?" in result.stderr
    assert [row.backend for row in RowFile(tmp_path / "rows.jsonl").read()] == ["svm"]
    assert (tmp_path / "report.html").exists()


def test_ctrl_c_keeps_the_finished_rows(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, whole = [], runner._row

    def once(*given: object) -> object:
        if made:
            raise KeyboardInterrupt
        made.append(1)
        return whole(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "_row", once)
    result = run("benchmark", "--data", manifest, "--cv", "loso", "--cv", 2, "--no-deploy", "-o", tmp_path)
    assert result.exit_code == 130
    assert f"Interrupted: 1 of 2 rows are kept in {tmp_path / 'rows.jsonl'}" in result.stderr
    assert len(RowFile(tmp_path / "rows.jsonl").read()) == 1
    assert (tmp_path / "report.md").exists()


def test_benchmark_measures_the_model_as_well(manifest: Path, tmp_path: Path) -> None:
    result = run("benchmark", "--data", manifest, "--cv", 2, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    (row,) = RowFile(tmp_path / "rows.jsonl").read()
    assert row.model is not None
    assert row.model.reads == "wave"
    assert "| kB " in result.output


def test_a_plan_is_run_and_options_take_its_place(manifest: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"data: {manifest}\nfeatures: [mfcc39, logmel]\ncv: [2, loso]\nrecipes: [{{backend: svm, seed: 3}}]\n"
    )
    result = run("benchmark", plan, "--cv", 2, "--no-deploy", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    rows = RowFile(tmp_path / "rows.jsonl").read()
    assert [(row.features, row.recipe.seed) for row in rows] == [("mfcc39", 0), ("mfcc39", 3), ("logmel", 0)]
    assert {row.protocol.cv for row in rows} == {2}


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["benchmark"], "There is no corpus; name one with --data, or under data: in the plan", 1),
        (["benchmark", "none.yaml"], "none.yaml: there is no such plan", 1),
        (["benchmark", "--data", "emodbb:x"], "Did you mean 'emodb'?", 1),
        (["benchmark", "--data", "synthetic", "--cv", "lose"], "Did you mean 'loso'?", 2),
        (["benchmark", "--data", "synthetic", "--copies", "0"], "0 is not in the range x>=1", 2),
        (["benchmark", "--data", "synthetic", "--normalise", "clip"], "'clip' is not one of 'none', 'speaker'", 2),
        (["evaluate", "--data", "synthetic", "--cv", "both:1"], "No protocol is named 'both:1'", 2),
        (["compare", "a.jsonl#1", "b.jsonl#1"], "a.jsonl: there is no such file of rows", 1),
        (["verify", "a.jsonl#1", "--data", "synthetic"], "a.jsonl: there is no such file of rows", 1),
    ],
)
def test_what_cannot_be_done_is_one_line(words: list[str], message: str, code: int, tmp_path: Path) -> None:
    result = run(*words, *(["-o", tmp_path] if words[0] == "benchmark" else []))
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_results_that_are_no_folder_are_refused_before_the_work(manifest: Path) -> None:
    result = run("benchmark", "--data", manifest, "-o", manifest)
    assert result.exit_code == 2
    assert "--results must be a folder" in result.stderr


def test_a_file_of_something_else_is_not_written_over(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"my": "data"}\n')
    result = run("benchmark", "--data", manifest, "-o", tmp_path)
    assert result.exit_code == 1
    assert "rows.jsonl, line 1: is no row of format 1" in result.stderr
    assert (tmp_path / "rows.jsonl").read_text() == '{"my": "data"}\n'


def test_a_synthetic_corpus_is_marked_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from featkit.datasets.synthetic import Synthetic

    monkeypatch.setattr(
        "featkit.corpus.open_dataset", lambda spec: Synthetic(tmp_path / "c", n_speakers=3, n_sentences=1)
    )
    result = run("benchmark", "--data", "synthetic", "--cv", 3, "--no-deploy", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "SYNTHETIC" in result.stdout
    assert "SYNTHETIC" in result.stderr
    for name in ("report.md", "report.csv", "report.tex", "report.html"):
        assert "SYNTHETIC" in (tmp_path / "out" / name).read_text(), name


# --- compare, verify -------------------------------------------------------------------------------------------------


def test_compare_tells_the_difference_and_its_interval(results: Path) -> None:
    rows = results / "rows.jsonl"
    result = run("compare", f"{rows}#1", f"{rows}#3")
    assert result.exit_code == 0, result.output
    assert re.search(r"difference of UA [+-]\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\] points, p = ", result.output)
    assert "leave one of 4 speakers out" in result.output


def test_compare_refuses_rows_of_other_protocols(results: Path) -> None:
    rows = results / "rows.jsonl"
    result = run("compare", f"{rows}#1", f"{rows}#2")
    assert result.exit_code == 1
    assert "The rows are of different protocol" in result.stderr


def test_verify_makes_a_row_again(results: Path, manifest: Path) -> None:
    result = run("verify", f"{results / 'rows.jsonl'}#2", "--data", manifest)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("REPRODUCED: mfcc39 + svm on ")


def test_verify_notices_other_data(results: Path, manifest: Path, tmp_path: Path) -> None:
    for path in manifest.parent.glob("*.wav"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "clips.csv").write_text(manifest.read_text().replace(",anger,s0", ",sadness,s0"))
    result = run("verify", f"{results / 'rows.jsonl'}#1", "--data", tmp_path / "clips.csv")
    assert result.exit_code == 1
    assert result.output.startswith("NOT REPRODUCED")
    assert "data: hash" in result.output


def test_verify_asks_for_the_second_corpus_of_a_row_across_corpora(
    results: Path, manifest: Path, tmp_path: Path
) -> None:
    refused = run("verify", f"{results / 'rows.jsonl'}#1", "--data", manifest, "--test", manifest)
    assert refused.exit_code == 1
    assert "The row is not of a test across corpora; leave out --test" in refused.stderr
    for i, wave in enumerate(speech().waves):
        write_wav(tmp_path / f"{i:02d}.wav", 0.9 * wave)
    (tmp_path / "clips.csv").write_text(manifest.read_text())
    across = ["--data", manifest, "--test", tmp_path / "clips.csv"]
    assert run("evaluate", *across, "-o", tmp_path / "row.jsonl").exit_code == 0
    alone = run("verify", tmp_path / "row.jsonl", "--data", manifest)
    assert alone.exit_code == 1
    assert "The row is of a test across corpora; name the second with --test" in alone.stderr
    again = run("verify", tmp_path / "row.jsonl", *across)
    assert again.exit_code == 0, again.output
    assert again.output.startswith("REPRODUCED")


# --- on people -------------------------------------------------------------------------------------------------------


def test_protocols_rank_on_emodb_as_they_leak(emodb_root: Path) -> None:
    """The more of the test is known in training, the higher the score."""
    pytest.importorskip("opensmile")
    from featkit import SERClassifier, evaluate
    from featkit.corpus import read_corpus

    corpus = read_corpus(f"emodb:{emodb_root}")
    made = SERClassifier("egemaps", "svm:kernel=linear,C=0.01")
    ready, _ = corpus.extracted(made, n_jobs=-1)
    ua = {
        cv: evaluate(
            made, ready.clips, ready.labels, ready.speakers, sentences=ready.texts, cv=cv, allow_leakage=True
        ).ua
        for cv in ("random", "sentences", "loso", "both")
    }  # fmt: skip
    assert ua["random"] > ua["sentences"] > ua["loso"] > ua["both"]
    # Of an SVM tuned inside the folds, in plain scikit-learn.
    assert ua == pytest.approx({"random": 0.754, "sentences": 0.731, "loso": 0.670, "both": 0.635}, abs=0.035)


def test_a_clip_that_cannot_be_used_is_named_and_the_exit_code_says_so(manifest: Path, tmp_path: Path) -> None:
    rows = manifest.read_text().splitlines()
    (manifest.parent / "more.csv").write_text("\n".join([*rows, "gone.wav,anger,s0,t0"]) + "\n")
    words = ("benchmark", "--data", manifest.parent / "more.csv", "--no-deploy", "-o", tmp_path)
    first, again = run(*words), run(*words)
    assert (first.exit_code, again.exit_code) == (1, 1)
    assert "1 clip could not be used, in no score:" in first.stderr
    assert "gone.wav" in first.stderr
    told = "1 clip could not be used and is missing from more.csv, leave one of 4 speakers out: mfcc39 + svm"
    assert (told in first.stderr, told in again.stderr) == (False, True)
