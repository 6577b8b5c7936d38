"""What the commands share: options, progress, failures, saving."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from featkit import plugins
from featkit.tables import counted

if TYPE_CHECKING:
    from featkit.classifier import Recogniser
    from featkit.corpus import Corpus
    from featkit.extraction import Failure

SET_HELP = "[default: what the backend asks for, mfcc39 as a rule, or what a feature table holds]"
FILE = click.Path(path_type=Path, readable=False)  # what cannot be read costs its own row, or is told by who reads it
DATA_HELP = "emodb:PATH, ravdess:PATH, synthetic, a folder with one sub-folder per label, a manifest or feature table."


def option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """``click.option`` that shows its default."""
    settings.setdefault("show_default", True)
    return click.option(*names, **settings)


def workers(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    """Check a number of workers."""
    if value is not None and (value == 0 or value < -1):
        raise click.BadParameter(f"{value} is no number of workers; give 1 or more, or -1 for all cores.")
    return value


def finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Check a number: click's ranges let nan pass, and without an upper end inf."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number to count with.")
    return value


def data_option(told: str = "May be given again, to join several. ", required: bool = True) -> Callable[[Any], Any]:
    """``--data``, as often as one likes; ``told`` says what becomes of the corpora."""
    return option("--data", required=required, multiple=True, metavar="DATA", help=told + DATA_HELP)


jobs_option = option(
    "--jobs",
    "-j",
    default=1,
    metavar="N",
    callback=workers,
    help="Workers for extraction and folds; -1 for all cores.",
)
pad_option = option(
    "--pad-short", is_flag=True, help="Append silence to clips that are too short, instead of leaving them out."
)
leak_option = option(
    "--allow-leakage", is_flag=True, help="Score without speakers, by random folds. The table says so."
)


class Commands(click.Group):
    """Commands of which a wrong name is answered with the one that was meant, and an option given twice is refused."""

    elsewhere: Mapping[str, str] = MappingProxyType({})
    """What the commands are called elsewhere."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Its first word may also be an option, which click answers."""
        name = args[0]
        if ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            ctx.fail(plugins.unknown("command", name, self.list_commands(ctx), "Commands", self.elsewhere))
        found, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            _refuse_twice(click.Context(command, ctx, found, **command.context_settings), rest)
        return found, command, rest


def _refuse_twice(ctx: click.Context, args: list[str]) -> None:
    """Refuse an option of the command which is given twice, where the last one would win without a word."""
    given: Counter[click.Parameter] = Counter()
    with suppress(click.UsageError):  # which is told when the command itself reads its words
        given.update(ctx.command.make_parser(ctx).parse_args(list(args))[2])
    words = {word.partition("=")[0] for word in args}
    for param, n in given.items():
        if isinstance(param, click.Option) and n > 1 and not (param.multiple or param.count or param.is_flag):
            name = next((opt for opt in param.opts if opt in words), param.opts[0])
            raise click.UsageError(f"{name} is given {n} times; {ctx.info_name} takes one.", ctx)


def needs_plan(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Refuse a number of copies where nothing says how they are made."""
    asked = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
    if asked and not (ctx.params.get("augment") or ctx.params.get("preset")):
        raise click.UsageError("--copies are those of --augment; give that too, as --augment standard.", ctx)
    return value


augment_option = option(
    "--augment",
    metavar="TRANSFORMS",
    is_eager=True,  # before --copies, which asks for it
    help="Also learn from varied copies of training clips: standard, or speed+noise:snr=15.",
)
copies_option = option(
    "--copies",
    default=4,
    type=click.IntRange(min=1),
    metavar="N",
    help="Copies of each training clip.",
    callback=needs_plan,
)


def hush_joblib() -> None:
    """Keep back that joblib replaces a worker which ended for want of work: nobody can or need do anything about it."""
    warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)


def live() -> bool:
    """Progress bars are for people: none where stderr is a file or a pipe."""
    return sys.stderr.isatty()


def spare(outputs: Iterable[Path | None], inputs: Iterable[str]) -> None:
    """Refuse an output that is also read: a table of labels may be a month of work."""
    read = {os.path.realpath(place) for spec in inputs for place in (spec, spec.partition(":")[2]) if place}
    for path in outputs:
        if path is not None and os.path.realpath(path) in read:
            raise click.UsageError(f"'{path}' is read here, and would be written over; name another file.")


def alone_on(path: Path) -> None:
    """Refuse to go on where another run writes the file ``path``; until the command ends, no other may begin."""
    from featkit.files import writing
    from featkit.lock import locked

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    click.get_current_context().with_resource(locked(path.with_name(f".{path.name}.lock"), path))


def corpus_of(data: Sequence[str]) -> Corpus:
    """Read what ``--data`` or ``--test`` names, several as one, and tell what a person should know of it first."""
    from featkit.corpus import read_corpora

    corpus = read_corpora(data, progress=live())
    for doubt in corpus.doubts:
        click.echo(doubt, err=True)
    return corpus


def audio_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are named; folders by the audio files below them, sorted. One without any stands for itself."""
    from featkit.datasets.base import find_audio

    files: list[Path] = []
    for path in paths:  # Path.is_dir() fails of a file in a folder that may not be looked into
        files += (find_audio(path) if os.path.isdir(path) else []) or [path]
    return files


def trained(corpus: Corpus, recipe: str) -> str:
    """One line: what was trained on what."""
    speakers = "speakers not known" if corpus.speakers is None else counted(len(set(corpus.speakers)), "speaker")
    made = " (SYNTHETIC)" if corpus.synthetic else ""
    return (
        f"Trained {recipe} on {corpus.name}{made}: {counted(len(corpus.files), 'clip')}, {speakers}, "
        f"{counted(len(set(corpus.labels)), 'emotion')}"
    )


def proofs(ready: Corpus, corpus: Corpus) -> list[Any] | None:
    """One recording of each emotion that could be used, to check the export on."""
    if corpus.extractor is not None:
        return None  # a feature table: the estimator checks on its rows
    return ready.one_of_each(ready.files)


def save(
    classifier: Recogniser, output: Path, clips: Sequence[Any] | None, scores: dict[str, Any] | None,
    corpora: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write the model or the estimator, and say what was written."""
    if output.suffix == ".joblib":
        import joblib

        if clips is not None:
            classifier.members()[0].check_clips_ = list(
                clips
            )  # recordings instead of their features, for featkit export
        output.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(classifier, output)
        lost = ", without these scores" if scores else ""
        click.echo(f"{output}: fitted estimator; featkit export turns it into ONNX{lost}")
        return
    report = classifier.export(output, clips=clips, scores=scores, corpora=corpora)
    click.echo(
        f"{report.path}: {report.n_bytes / 1000:.0f} kB, {', '.join(report.inputs)} → label, probabilities; equals the "
        f"trained estimator on {counted(report.n_checked, 'clip')} (largest difference {report.max_difference:.0e})"
    )
    click.echo(f"{report.path.with_suffix('.md')}: its model card")


def end(failures: Sequence[Failure], done: int, stopped: bool = False) -> None:
    """See `report_failures`."""
    report_failures([(failure.clip, failure.reason) for failure in failures], done, stopped)


def report_failures(failed: Sequence[tuple[str, str]], done: int, stopped: bool = False) -> None:
    """What failed, and why, on stderr; exit code 1 where anything did, 130 where Ctrl-C ended the work."""
    if failed:
        from featkit.decoding import shown

        click.echo(f"{len(failed)} of {counted(done + len(failed), 'file')} could not be used:", err=True)
    for clip, reason in failed:
        told = reason if clip in reason or shown(clip) in reason else f"{clip}: {reason}"
        click.echo(f"  {shown(told)}", err=True)
    if failed or stopped:
        click.get_current_context().exit(130 if stopped else 1)
