"""A page for a microphone or a file, made with Gradio: the label and a bar for each emotion.

    pip install gradio
    python examples/gradio_app.py model.onnx

prints the address, http://127.0.0.1:7860. Only this computer reaches it, and Gradio reports nothing to its makers.
Gradio writes recordings to its folder for temporary files; `featkit serve` has a page that does not.
"""

import argparse
import os
import sys

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported

try:
    import gradio as gr
except ModuleNotFoundError:
    sys.exit("This example needs Gradio: pip install gradio")

from featkit import load
from featkit.audio import to_wave
from featkit.errors import FeatkitError


def page(path: str) -> gr.Interface:
    model = load(path)

    def recognise(sound):
        if sound is None:
            raise gr.Error("Record something or choose a file first.", print_exception=False)
        rate, samples = sound
        try:
            (probabilities,) = model.predict_proba([to_wave(samples, rate)])
        except FeatkitError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return dict(zip(model.labels, map(float, probabilities), strict=True))

    return gr.Interface(
        recognise,
        gr.Audio(sources=["microphone", "upload"], type="numpy", label="Speech"),
        gr.Label(label="Emotion"),
        title="Speech emotion recognition",
        flagging_mode="never",
        api_name="predict",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="A page that recognises emotions.")
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=7860)
    args = parser.parse_args()
    page(args.model).launch(server_name="127.0.0.1", server_port=args.port, share=False)


if __name__ == "__main__":
    try:
        main()
    except (FeatkitError, OSError) as error:  # OSError: the port is taken
        sys.exit(str(error))
