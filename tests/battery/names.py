"""Names that shells, terminals, tables and other programs stumble over."""

from __future__ import annotations

import os
from pathlib import Path

from battery.kinds import Kind, content, written

_GOOD = {
    "blanks": " two  blanks .wav", "newline": "a\nb.wav", "tab": "a\tb.wav", "escape": "\x1b[31mred.wav",
    "bell": "a\x07.wav", "carriage-return": "a\rb.wav", "dash": "-i.wav", "option": "--help.wav",
    "quotes": "a'b\"c.wav", "backslash": "a\\b.wav", "dollar": "$(touch pwned).wav", "semicolon": "a;b&c|d.wav",
    "star": "*.wav", "percent": "%s%n%d.wav", "braces": "{0}.wav", "umlaut": "Übung.wav",
    "decomposed": "U\u0308bung.wav", "chinese": "感情.wav", "emoji": "😀.wav", "right-to-left": "\u202evaw.a",
    "no-break-space": "a\u00a0b.wav", "no-suffix": "clip", "dots": "...wav", "hidden": ".wav",
    "upper-case": "CLIP.WAV", "two-suffixes": "clip.wav.mp3", "url": "http:", "pipe": "|cat",
    "long": "a" * 251 + ".wav", "colon": "c:clip.wav",
}  # fmt: skip


def _latin_1(folder: Path) -> Path:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.wav"))
    path.write_bytes(written("clip.wav")(folder).read_bytes())
    return path


KINDS = [
    *(Kind(f"name-{what}", written(name, format="WAV")) for what, name in _GOOD.items()),
    Kind("name-not-utf-8", _latin_1),
    Kind("name-with-nul", lambda folder: str(folder / "a\0b.wav"), r"a\\x00b\.wav: there is no such file"),
    Kind("name-lone-surrogate", lambda folder: str(folder / "\ud800.wav"), r"\\ud800\.wav: there is no such file"),
    Kind("name-too-long", lambda folder: folder / ("a" * 300), "cannot be read: File name too long"),
    Kind("name-with-newline-refused", content("a\nb.wav", b"text"), r"a\\nb\.wav: is text, not audio", "not_audio"),
    Kind("name-with-escape-refused", content("\x1b[2J.wav", b"text"), r"\\x1b\[2J\.wav: is text", "not_audio"),
]
