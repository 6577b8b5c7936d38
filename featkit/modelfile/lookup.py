"""Which labels a graph answers with. A leaf: the standard library only."""

from __future__ import annotations

from collections.abc import Sequence


class Lookup:
    """Follows the output "label" back to the texts among which it is chosen, whatever names lie between."""

    def __init__(self) -> None:
        self.texts: dict[bytes, list[str]] = {}
        """Tensors of texts, by name."""
        self._read: dict[bytes, tuple[str, bytes]] = {}  # by the name of a value: what gives it, and of what
        self._instead: dict[bytes, bytes] = {}  # what else it may be, where it is chosen by a condition

    def node(self, operator: str, inputs: Sequence[bytes], outputs: Sequence[bytes]) -> None:
        """A node of the graph. Most are of no interest."""
        if operator in ("Gather", "Identity") and inputs and outputs:
            self._read[outputs[0]] = operator, inputs[0]
        elif operator == "Where" and len(inputs) == 3 and outputs:
            self._read[outputs[0]] = operator, inputs[2]
            self._instead[outputs[0]] = inputs[1]

    def labels(self) -> list[str] | None:
        """What the one Gather before the output "label" chooses from; None where there is no such list.

        In place of a label there may be "", where a wave is none.
        """
        name, chosen = b"label", 0
        while name in self._read:
            if name in self._instead and self.texts.get(self._instead[name]) != [""]:
                return None
            operator, name = self._read.pop(name)  # so that a circle has an end
            chosen += operator == "Gather"
        return self.texts.get(name) if chosen == 1 else None
