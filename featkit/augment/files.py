"""Varied copies of recordings as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featkit.audio import SAMPLE_RATE, Wave, load
from featkit.augment.folder import Folder
from featkit.augment.plan import Augment, find_augment
from featkit.errors import FeatkitError
from featkit.files import replacing


def augment_files(
    files: Sequence[Folder],
    targets: Sequence[Path],
    augment: str | Augment = "standard",
    n: int = 4,
    seed: int = 0,
    *,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[list[Path] | FeatkitError]:
    """Write ``n`` varied copies of each file as ``<target>_aug1.wav`` …: mono, 16 000 Hz, 32-bit float.

    Float, because 16-bit files would clip what is louder than 1. A file is replaced only when it is complete.

    Parameters
    ----------
    files
        Recordings.
    targets
        Path of the copies of each file, without ``_aug1.wav``. Folders are made.
    augment, n, seed
        The plan, and what `Augment.copies` takes.
    n_jobs
        joblib workers; -1 for all cores.
    progress
        Show a bar with the time left.

    Returns
    -------
    For each file the paths of its copies, or the error for which it has none.
    """
    from joblib import Parallel, delayed
    from tqdm import tqdm

    plan = find_augment(augment)
    # As in extraction: decoding, resampling and FFTs release the GIL, and threads start at once.
    workers = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    results = workers(
        delayed(_write_copies)(file, target, plan, n, seed) for file, target in zip(files, targets, strict=True)
    )
    return list(tqdm(results, total=len(files), desc="augment", unit="clip", disable=not progress, leave=False))


def _write_copies(file: Folder, target: Path, plan: Augment, n: int, seed: int) -> list[Path] | FeatkitError:
    try:
        copies = plan.copies(load(file), n, seed)
    except FeatkitError as error:
        return error
    target.parent.mkdir(parents=True, exist_ok=True)
    paths = [target.with_name(f"{target.name}_aug{number}.wav") for number in range(1, n + 1)]
    for path, copy in zip(paths, copies, strict=True):
        _write(path, copy)
    return paths


def _write(path: Path, wave: Wave) -> None:
    import soundfile

    with replacing(path) as draft:
        soundfile.write(draft, wave, SAMPLE_RATE, subtype="FLOAT", format="WAV")
