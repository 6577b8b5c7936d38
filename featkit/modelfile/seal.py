"""A model file that shows damage: it ends in the hash of all bytes before. A leaf.

The test sound (`featkit.modelfile.canary`) hears a changed library, but not one bit among a million weights. A message
of protobuf goes on as long as there are records, so the seal is one more entry of the metadata, behind a whole file.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from featkit.errors import ModelError

SEAL_KEY: Final = "featkit.sha256"

# Entry of the metadata (field 14 of a model), in it the value (field 2) and then the key (field 1). Every reader takes
# fields in any order, and every program that writes a message anew sorts them: then the key stands first, and a file
# that another tool has changed with good reason is not taken for a damaged one.
_FRAME = b"\x72\x52\x12\x40%b\x0a\x0e" + SEAL_KEY.encode()
_SEAL = re.compile(re.escape(_FRAME).replace(b"%b", b"(.{64})"), re.DOTALL)
_SIZE = len(_FRAME) - len(b"%b") + 64


def sealed(content: bytes) -> bytes:
    """An ONNX file with its seal."""
    return content + _FRAME % hashlib.sha256(content).hexdigest().encode()


def without_seal(content: bytes) -> bytes:
    """The file that was sealed; one that has no seal, as it is."""
    return content if _told(content) is None else content[:-_SIZE]


def check_seal(content: bytes, name: str) -> None:
    """Refuse a file that ends in a seal of other bytes.

    One without a seal at its end passes: it was exported by an earlier featkit, or another tool has written it since. A
    bit that changes what stands around the hash makes such a file too; all that is sealed is whole then.

    Raises
    ------
    ModelError
        A bit of it was changed.
    """
    told = _told(content)
    if told is not None and told != hashlib.sha256(memoryview(content)[:-_SIZE]).hexdigest().encode():
        raise ModelError(
            f"{name}: is damaged: its bytes are not those that were exported (SHA-256 differs from that at its end); "
            "copy or export it again."
        )


def _told(content: bytes) -> bytes | None:
    """What a seal at the end says, whatever it is."""
    seal = _SEAL.fullmatch(content, max(0, len(content) - _SIZE))
    return seal[1] if seal else None
