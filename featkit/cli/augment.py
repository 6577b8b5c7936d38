"""``featkit augment``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from featkit.cli.common import (
    FILE,
    audio_files,
    corpus_of,
    data_option,
    jobs_option,
    live,
    option,
    report_failures,
)
from featkit.errors import DataError, FeatkitError
from featkit.files import replacing
from featkit.tables import counted, csv_line

COPIES_COLUMNS = ("file", "label", "speaker", "source")


@click.command(short_help="Write varied copies of recordings into a folder.")
@option(
    "--augment", "plan", default="standard", metavar="TRANSFORMS",
    help="Transforms joined by +, as in speed+noise:snr=15,p=0.5: noise, pitch, speed, gain, shift, room, background.",
)  # fmt: skip
@option("--copies", default=4, type=click.IntRange(min=1), metavar="N", help="Copies of each clip.")
@option("--seed", default=0, metavar="N", help="Another seed gives other copies.")
@data_option("Take the clips, labels and speakers of a corpus; may be given again, to join several. ", required=False)
@jobs_option
@click.argument("audio", nargs=-1, metavar="IN...", type=FILE)
@click.argument("out", type=click.Path(path_type=Path))
def augment(
    plan: str, copies: int, seed: int, data: tuple[str, ...], jobs: int, audio: tuple[Path, ...], out: Path
) -> None:  # fmt: skip
    """Write varied copies of IN files, folders or a corpus into the folder OUT.

    Copies are wav files of 32-bit floats, so that none is clipped: OUT/<folders as in IN>/<name>_aug1.wav and so on.
    OUT/manifest.csv lists them with the label and speaker of their source. They are for training alone.

    \b
    featkit augment recordings/ copies/
    featkit augment --augment speed+room --copies 2 --data emodb:PATH copies/
    """
    if bool(audio) == bool(data):
        raise click.UsageError("Name audio files or folders, or a corpus with --data, and then the folder to write.")
    from featkit.augment import augment_files, find_augment

    checked = find_augment(plan)
    _check_manifest(out)
    files, about, roots = _to_augment(audio, data, out)
    targets = _targets(files, roots, out)
    made = augment_files(files, targets, checked, copies, seed, n_jobs=jobs, progress=live())
    rows: list[list[str]] = []
    failed: list[tuple[str, str]] = []
    for file, (label, speaker), result in zip(files, about, made, strict=True):
        if isinstance(result, FeatkitError):
            failed.append((str(file), str(result)))
        else:
            rows += [[path.relative_to(out).as_posix(), label, speaker, os.path.abspath(file)] for path in result]
    if not rows:
        raise DataError(f"None of {len(files)} files can be used. The first: {failed[0][1]}")
    with replacing(out / "manifest.csv") as draft:
        draft.write_text("".join(csv_line(row) for row in [COPIES_COLUMNS, *rows]), encoding="utf-8")
    written, of = counted(len(rows), "copy", "copies"), counted(len(files) - len(failed), "clip")
    click.echo(f"{out}: {written} of {of}, listed in manifest.csv")
    report_failures(failed, len(files) - len(failed))


def _check_manifest(out: Path) -> None:
    """Refuse to write over a manifest that is not one of copies."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; the last word names the folder for the copies.")
    manifest = out / "manifest.csv"
    if manifest.exists():
        with manifest.open(encoding="utf-8", errors="replace") as lines:
            if lines.readline().strip() != csv_line(COPIES_COLUMNS).strip():
                raise DataError(f"{manifest}: is a manifest of something else; name another folder for the copies.")


def _to_augment(
    audio: Sequence[Path], data: Sequence[str], out: Path
) -> tuple[list[Path], list[tuple[str, str]], list[Path]]:
    """Files, their labels and speakers (empty where unknown), and the folders from which they are counted."""
    if data:
        corpus = corpus_of(data)
        corpus.require_recordings("copies are made of sound")
        files = [Path(file) for file in corpus.files]
        speakers = [""] * len(files) if corpus.speakers is None else corpus.speakers.tolist()
        return files, list(zip(corpus.labels.tolist(), speakers, strict=True)), [file.parent for file in files]
    inside = any(path.is_dir() and path.resolve() in out.resolve().parents for path in audio)
    unique: dict[Path, Path] = {}
    for path in audio_files(audio):
        place = path.resolve()
        # Copies of an earlier run that lie inside a folder of recordings are no recordings.
        if not (inside and out.resolve() in place.parents):
            unique.setdefault(place, path)
    if not unique:
        raise DataError(f"{audio[0]}: holds no audio file besides the copies in {out}.")
    return list(unique.values()), [("", "")] * len(unique), [path if path.is_dir() else path.parent for path in audio]


def _targets(files: Sequence[Path], roots: Sequence[Path], out: Path) -> list[Path]:
    """Where copies go: below OUT as the file lies below the roots; where a name comes again, with a number."""
    base = os.path.commonpath([os.path.abspath(root) for root in roots])
    targets: list[Path] = []
    taken: set[str] = set()
    for file in files:
        target = first = out / os.path.relpath(file.with_suffix(""), base)
        number = 1
        while str(target).casefold() in taken:
            number += 1
            target = first.with_name(f"{first.name}-{number}")
        taken.add(str(target).casefold())
        targets.append(target)
    if {target.parent.resolve() for target in targets} & {file.parent.resolve() for file in files}:
        raise DataError(f"{out}: copies would lie among the recordings; name another folder.")
    return targets
