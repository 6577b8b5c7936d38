"""The model card: what a model file says of itself, for people. Written beside every exported model."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from featkit.modelfile.recipe import OWN_SCORES
from featkit.settings import set_name
from featkit.tables import counted

LIMITS = (
    "It names how a voice sounds to the listeners who labelled the corpora it was trained on, not what a person feels.",
    "Acted speech is easier to label than speech in the wild: expect less on spontaneous speech, other languages, "
    "other microphones and noise. Measure on speech of your own before you rely on it.",
    "It always answers with one of its labels, also for silence, music and noise.",
    "Do not use it to judge a person's character, honesty or fitness, or without their knowledge and consent. In the "
    "European Union emotion recognition at work and in education is prohibited save for medical and safety reasons "
    "(Regulation (EU) 2024/1689, Article 5).",
)


CARD_HEAD = "# Model card: "
"""How every card begins."""


def described(recipe: dict[str, Any], inputs: list[str]) -> dict[str, str]:
    """A recipe in words, a line each: input, output, features, backend and its settings, data, scores, licence."""
    members = recipe["members"]
    wave = (
        f"wave (batch, samples) float32: mono, {recipe['sample_rate']} Hz, −1 to 1, at least {recipe['min_samples']} "
        "samples"
    )
    normalised = " in deviations from each speaker's mean" if members[0]["normalise"] else ""
    given = [wave if name == "wave" else f"{name}{normalised} (computed by featkit)" for name in inputs]
    features = [
        f"{set_name(member['features'])} {member['view']}, specification {member['feature_hash']}" for member in members
    ]
    average = "average of " if len(members) > 1 else ""
    rows = {
        "input": "; ".join(given),
        "output": f"label, probabilities: {', '.join(recipe['labels'])}",
        "features": "; ".join(dict.fromkeys(features)),
        "backend": average + ", ".join(_backend(member, members) for member in members),
        "settings": "; ".join(_settings(member["backend"]["params"]) for member in members),
        "trained on": _trained_on(recipe["data"]),
        "scores": _scores(recipe["scores"]),
        "licence": "; ".join(recipe["licence"]) or "none inherited from features",
    }
    # What a file says of itself must not command the terminal that shows it.
    return {name: "".join(sign if sign.isprintable() else " " for sign in text) for name, text in rows.items()}


def model_card(
    recipe: dict[str, Any], inputs: list[str], file: str, n_bytes: int, latency: tuple[float, float] | None
) -> str:
    """Markdown.

    Parameters
    ----------
    recipe, inputs
        Of the model.
    file, n_bytes
        Its name and size.
    latency
        Seconds from one clip to its label, and seconds of that clip; None where it was not measured.
    """
    rows = {"file": f"`{file}`, {n_bytes / 1000:.0f} kB, featkit {recipe['featkit_version']}"}
    rows |= described(recipe, inputs)
    if latency is not None:
        rows["latency"] = (
            f"{1000 * latency[0]:.1f} ms for a clip of {latency[1]:.1f} s, on one thread of the computer that wrote it"
        )
    table = "\n".join(f"| {name} | {_cell(text)} |" for name, text in rows.items())
    told = "\n".join(f"- {limit}" for limit in limits(recipe))
    asked = f"{_contract(recipe, inputs)}## Use\n\n{_use(recipe, inputs, file)}"
    return (
        f"{CARD_HEAD}{file}\n\nSpeech emotion recognition: {', '.join(recipe['labels'])}.\n\n| | |\n|---|---|\n"
        f"{table}\n\n{_per_class(recipe)}## Limits\n\n{told}\n\n{asked}"
    )


def shown(recipe: dict[str, Any], inputs: list[str], name: str) -> dict[str, Any]:
    """What a page shows of the model in the file ``name``, as JSON can hold it."""
    scores = recipe["scores"] or {}
    return {
        "name": name,
        "labels": recipe["labels"],
        "card": described(recipe, inputs),
        "recalls": scores.get("recalls"),
        "synthetic": bool(scores.get("synthetic")),
        "cautions": limits(recipe),
        "featkit": version("featkit"),
    }


def _backend(member: dict[str, Any], members: list[dict[str, Any]]) -> str:
    name: str = member["backend"]["name"]
    return f"{name} on {set_name(member['features'])}" if len(members) > 1 else name


def _settings(params: dict[str, Any]) -> str:
    """As the command line takes them."""
    small = (bool, type(None))  # true, false, none
    words = {name: str(value).lower() if isinstance(value, small) else value for name, value in params.items()}
    return ", ".join(f"{name}={word}" for name, word in words.items()) or "none"


def _trained_on(data: dict[str, Any]) -> str:
    counts = ", ".join(f"{label} {count}" for label, count in data["labels"].items())
    speakers = f" from {counted(data['speakers'], 'speaker')}" if data["speakers"] else ", speakers not known"
    varied = data.get("augment")
    copies = f", {counted(varied['copies'], 'copy', 'copies')} of each by {varied['plan']}" if varied else ""
    of = "; ".join(data.get("corpora") or [])
    stopped = f"; stopped by Ctrl-C after {counted(data['stopped'], 'epoch')}" if data.get("stopped") else ""
    low, median, high = data.get("seconds") or (None, None, None)
    lengths = f", 9 of 10 of {low:.3g} to {high:.3g} s, half below {median:.3g} s" if low else ""
    return f"{f'{of}: ' if of else ''}{counted(data['clips'], 'clip')}{speakers} ({counts}){lengths}{copies}{stopped}"


def window_caution(recipe: dict[str, Any], window: float) -> str | None:
    """What to say of windows of so many seconds; None where the model learned from clips as short."""
    lengths = recipe["data"].get("seconds")
    if not lengths or window >= lengths[0]:
        return None
    return (
        f"windows of {window:g} s are shorter than 95 of 100 clips that the model learned from ({lengths[0]:.3g} s and "
        "more): it was not judged on such. Take longer windows, or train on clips cut to this length."
    )


def _scores(scores: dict[str, Any] | None) -> str:
    if not scores:
        return "not measured; `featkit fit --evaluate` measures the recipe on speakers it has not heard"
    if not scores.keys() >= OWN_SCORES:  # somebody's own
        return ", ".join(f"{name} {value}" for name, value in scores.items())
    kind = "SYNTHETIC " if scores.get("synthetic") else ""
    ends = f" [{100 * scores['UA_95'][0]:.0f}, {100 * scores['UA_95'][1]:.0f}]" if scores["UA_95"] else ""
    return (
        f"{kind}{scores.get('corpus', 'unnamed corpus')}, {scores['protocol']}: WA {100 * scores['WA']:.1f} %, "
        f"UA {100 * scores['UA']:.1f} %{ends}"
    )


def _per_class(recipe: dict[str, Any]) -> str:
    scores = recipe["scores"]
    if not scores:
        return (
            "## Scores\n\nNot measured: `featkit fit --evaluate` scores the recipe on speakers it has not heard, and "
            "writes the scores here.\n\n"
        )
    recalls = scores.get("recalls")
    if not isinstance(recalls, dict):
        return f"## Scores\n\n{_scores(scores)}\n\n"
    known = {label: "" if recall is None else f"{100 * recall:.1f}" for label, recall in recalls.items()}
    rows = "\n".join(f"| {_cell(label)} | {recall} |" for label, recall in known.items())
    return (
        f"## Scores\n\n{_scores(scores)}. UA is the mean of the recalls, with a 95 % interval over speakers where they "
        f"are known. They are of the recipe, trained on a part of the clips; this file was trained on all of them.\n\n"
        f"| emotion | recall, % |\n|---|---|\n{rows}\n\n"
    )


def limits(recipe: dict[str, Any]) -> list[str]:
    """What a model cannot do and must not be used for: `LIMITS`, and those of its features, scores and speech."""
    told = list(LIMITS)
    if recipe["licence"]:
        told.append(f"Terms of the features hold for the model: {'; '.join(recipe['licence'])}.")
    if recipe["members"][0]["normalise"]:
        told.append(
            "It judges a clip beside the other clips of its speaker (*transductive*): its scores are not comparable "
            "with those of models that hear one clip. For clips as they come use `Model.follow()`."
        )
    if (recipe["scores"] or {}).get("synthetic"):
        told.append("It was trained on SYNTHETIC speech: it shows that the program runs and knows nothing of people.")
    return told


_RECORDING = (
    "Record without echo cancelling, noise suppression and gain control where the system lets you: the model has heard "
    "none of them. Do not ask it about silence."
)
"""How an app should hear."""


def in_and_out(rows: dict[str, str]) -> str:
    """A section: what goes into a graph and what comes out, by name."""
    table = "\n".join(f"| {name} | {_cell(text)} |" for name, text in rows.items())
    return f"## In and out\n\n| | |\n|---|---|\n{table}\n\n{_RECORDING}\n"


def _contract(recipe: dict[str, Any], inputs: list[str]) -> str:
    """For those who ask the graph themselves, without featkit."""
    if inputs != ["wave"]:
        return ""
    sound = f"mono, {recipe['sample_rate']} Hz, −1 to 1 (16-bit samples divided by 32768)"
    labels = recipe["labels"]
    rows = {
        "input `wave`": f"`float32 [batch, samples]`: {sound}, {recipe['min_samples']} samples at least. Clips of a "
        "batch have one length: ask clips of other lengths one by one, for silence behind a clip counts as speech",
        "output `label`": '`string [batch]`: the most probable one; "" where the wave is none',
        "output `probabilities`": f"`float32 [batch, {len(labels)}]`: in the order {', '.join(labels)}; NaN where a "
        "sample is no number or the clip is too short",
        "form": "ONNX, operator set 18 (ai.onnx.ml 3), IR version 8. The metadata entry `featkit` holds all that this "
        "card tells, as JSON",
    }
    return f"{in_and_out(rows)}\n"


def _use(recipe: dict[str, Any], inputs: list[str], file: str) -> str:
    ours = (
        "```python\nfrom featkit import load  # resamples, mixes, and refuses what is no clip\n\n"
        f'model = load("{file}")\nprint(model.predict(["clip.wav"]{_speakers(recipe)}))\n```\n'
    )
    if inputs != ["wave"]:
        return ours
    return f"{ours}\nor without featkit:\n\n```python\n{ONNXRUNTIME.replace('FILE', file)}```\n"


ONNXRUNTIME = """\
import onnxruntime

session = onnxruntime.InferenceSession("FILE")
label, probabilities = session.run(None, {"wave": wave[None]})  # wave: (n_samples,) float32, mono, 16 000 Hz
"""


def _speakers(recipe: dict[str, Any]) -> str:
    return ', speakers=["mia"]' if recipe["members"][0]["normalise"] else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
