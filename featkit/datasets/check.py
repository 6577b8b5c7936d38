"""Read every recording of a corpus and say what is there, what is missing and what is wrong."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed
from tqdm import tqdm

from featkit import audio
from featkit.datasets.base import EMOTIONS, Clip, Dataset, Skipped
from featkit.errors import AudioError, DataError
from featkit.fetch import mismatch


@dataclass(frozen=True)
class Sound:
    """What a recording turned out to be. ``kind`` is rate and channels as stored; None where ffmpeg decoded it."""

    kind: tuple[int, int] | None
    seconds: float
    digest: str
    """Hash of the samples at 16 000 Hz, mono."""


@dataclass(frozen=True)
class Report:
    """The state of a corpus on disk. ``problems`` must be mended, ``notes`` are good to know."""

    dataset: Dataset
    clips: Sequence[Clip]
    sounds: Sequence[Sound]
    left_out: Mapping[str, int]
    """Reason → how many files."""
    problems: Sequence[str]
    notes: Sequence[str]

    @property
    def labels(self) -> Counter[str]:
        """Clips by emotion."""
        return Counter(clip.label for clip in self.clips)

    @property
    def speakers(self) -> Counter[str]:
        """Clips by speaker, of those whose speaker is known."""
        return Counter(clip.speaker for clip in self.clips if clip.speaker is not None)

    @property
    def seconds(self) -> float:
        """Length of all recordings that could be decoded."""
        return sum(sound.seconds for sound in self.sounds)


def check(dataset: Dataset, *, n_jobs: int = 1, progress: bool = False) -> Report:
    """Read every file of a corpus.

    Parameters
    ----------
    dataset
        Any corpus.
    n_jobs
        Threads that decode; -1 for all cores.
    progress
        Show a bar with the time that is left.

    Raises
    ------
    DataError
        There is nothing to check: the folder or its tables are not there.
    """
    entries = list(dataset.entries())
    clips = [entry for entry in entries if isinstance(entry, Clip)]
    skipped = [entry for entry in entries if isinstance(entry, Skipped)]
    if not clips and not skipped:
        raise DataError(f"{dataset.name}: '{dataset.root}' holds no clip.")
    looks = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(delayed(_look)(c.path) for c in clips)
    bar = tqdm(looks, total=len(clips), desc=dataset.name, unit="clip", disable=not progress, leave=False)
    found: list[Sound | str] = list(bar)
    sounds = [sound if isinstance(sound, Sound) else None for sound in found]
    problems = [entry.reason for entry in skipped if entry.kind == "unexpected"]
    problems += [f"{entry.path}: {entry.reason}" for entry in skipped if entry.kind == "missing"]
    problems += [reason for reason in found if isinstance(reason, str)]
    problems += _wrong_counts(dataset, clips) + _wrong_archives(dataset)
    pairs, notes = _identical(dataset, clips, sounds)
    return Report(
        dataset,
        clips,
        [sound for sound in sounds if sound is not None],
        Counter(entry.reason for entry in skipped if entry.kind == "left out"),
        problems + pairs,
        notes + _strange_labels(clips),
    )


def _look(path: Path) -> Sound | str:
    """Decode one file; a message where that fails."""
    try:
        wave, stored = audio.read(path)
    except AudioError as error:
        return str(error)
    kind = None if stored.subtype == "ffmpeg" else (stored.rate, stored.channels)
    return Sound(kind, wave.size / audio.SAMPLE_RATE, hashlib.blake2b(wave.tobytes(), digest_size=16).hexdigest())


def _wrong_counts(dataset: Dataset, clips: Sequence[Clip]) -> list[str]:
    """Numbers that differ from those of the complete corpus."""
    speakers = {clip.speaker for clip in clips}
    wrong = []
    if dataset.expected_clips is not None and len(clips) != dataset.expected_clips:
        wrong.append(f"{len(clips)} clips are there, {dataset.expected_clips} in the complete corpus")
    if dataset.expected_speakers is not None and len(speakers) != dataset.expected_speakers:
        wrong.append(f"{len(speakers)} speakers are there, {dataset.expected_speakers} in the complete corpus")
    for what, expected, counts in (
        ("emotion", dataset.expected_by_label, Counter(clip.label for clip in clips)),
        ("speaker", dataset.expected_by_speaker, Counter(clip.speaker for clip in clips)),
    ):
        for name, number in expected.items():
            if counts[name] != number:
                wrong.append(f"{what} {name}: {counts[name]} clips are there, {number} in the complete corpus")
    return wrong


def _wrong_archives(dataset: Dataset) -> list[str]:
    """Archives that lie in or beside the folder and are not the published ones."""
    places = [(folder / a.name, a.checksum) for a in dataset.archives for folder in (dataset.root, dataset.root.parent)]
    return [
        f"{path}: its {wrong.algorithm} is not the published {wrong.published}; fetch it again"
        for path, checksum in places
        if path.is_file() and (wrong := mismatch(path, checksum))
    ]


def _identical(dataset: Dataset, clips: Sequence[Clip], sounds: Sequence[Sound | None]) -> tuple[list[str], list[str]]:
    """Recordings with the very same samples: problems where speaker or emotion differ, else notes."""
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip, sound in zip(clips, sounds, strict=True):
        if sound is not None:
            groups[sound.digest].append(clip)
    problems, notes = [], []
    for group in groups.values():
        if len(group) == 1:
            continue
        names = " = ".join(f"'{clip.path}'" for clip in group)
        if frozenset(clip.path.stem for clip in group) in dataset.identical:
            notes.append(f"identical, as known of the release: {names}")
        elif len({(clip.speaker, clip.label) for clip in group}) > 1:
            problems.append(f"identical, but of different speakers or emotions: {names}")
        else:
            notes.append(f"identical: {names}")
    return problems, notes


def _strange_labels(clips: Sequence[Clip]) -> list[str]:
    """Labels that are none of the common names, as a table or folders of one's own may have."""
    notes = []
    for label in sorted({clip.label for clip in clips} - set(EMOTIONS)):
        near = difflib.get_close_matches(label.lower(), EMOTIONS, n=1)
        hint = f" Is it '{near[0]}'?" if near else ""
        notes.append(f"'{label}' is none of the common names of emotions.{hint}")
    return notes
