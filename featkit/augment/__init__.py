"""Wave → varied wave: what a small corpus lacks in voices, levels and rooms. For training only, never for scores."""

from featkit.augment.basic import Gain, Noise, Pitch, Shift, Speed
from featkit.augment.files import augment_files
from featkit.augment.plan import STANDARD, TRANSFORMS, Augment, find_augment
from featkit.augment.rooms import Background, Room
from featkit.augment.transform import MIN_SAMPLES, Transform

__all__ = [
    "MIN_SAMPLES", "STANDARD", "TRANSFORMS", "Augment", "Background", "Gain", "Noise", "Pitch", "Room", "Shift",
    "Speed", "Transform", "augment_files", "find_augment",
]  # fmt: skip
