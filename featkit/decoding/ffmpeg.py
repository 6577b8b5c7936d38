"""m4a, aac, wma, amr and their kin, by the ``ffmpeg`` program where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from featkit.decoding.heads import shown
from featkit.decoding.sound import Stored, Wave, read
from featkit.errors import AudioError

SUFFIXES = frozenset({".m4a", ".aac", ".mp4", ".wma", ".amr", ".3gp", ".webm", ".mka"})
MAX_BYTES = 1 << 30
"""Of what it decodes to: 46 minutes at 48 kHz in stereo."""
TIMEOUT = 600
"""Seconds."""

_DEMUXERS = "mov,aac,asf,amr,amrnb,amrwb,matroska,wav,mp3,flac,ogg"  # none that follows a list to other files


def decode(path: Path, where: str, max_seconds: float) -> tuple[Wave, Stored]:
    """Decode a file that libsndfile does not read."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise AudioError(
            f"{where}: {shown(path.suffix)} needs the ffmpeg program, which is not installed. "
            "Install ffmpeg, or convert the file to wav or flac."
        )
    # A wav, so that channels, rate and length are treated as in every other file. Not through a pipe: it may be large.
    safe = ["-v", "error", "-nostdin", "-protocol_whitelist", "file", "-format_whitelist", _DEMUXERS]
    limits = ["-t", str(max_seconds + 1), "-fs", str(MAX_BYTES)]
    command = [ffmpeg, *safe, "-i", f"file:{path}", "-vn", *limits, "-f", "wav", "-c:a", "pcm_f32le", "-"]
    with tempfile.TemporaryFile() as wav:
        try:
            done = subprocess.run(command, stdout=wav, stderr=subprocess.PIPE, check=False, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            raise AudioError(f"{where}: ffmpeg has not decoded it within {TIMEOUT} s.", "too_long") from None
        size = wav.seek(0, os.SEEK_END)
        if size >= MAX_BYTES:
            raise AudioError(f"{where}: expands to more than {MAX_BYTES >> 20} MB; cut it into clips first.")
        wav.seek(0)
        try:
            wave, stored = read(wav, where, b"", max_seconds)
        except AudioError as error:
            if error.code != "not_audio":
                raise
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it decoded to nothing"]
            raise AudioError(f"{where}: ffmpeg cannot decode it ({shown(lines[-1].strip())}).", "not_audio") from None
    # Of a truncated file ffmpeg complains, and ends as if all were well; of one cut between two packets it does not.
    cut = bool(done.returncode or done.stderr.strip())
    return wave, replace(
        stored, subtype="ffmpeg", format=path.suffix[1:].upper(), promised=None, checked=False, cut=cut
    )
