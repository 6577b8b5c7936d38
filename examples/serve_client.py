"""Start `featkit serve`, ask it about recordings with the standard library alone, and stop it.

    python examples/serve_client.py model.onnx one.wav two.flac

prints label and probabilities of the first recording, as /predict answers, and a line for each, as /batch does. A bad
first recording ends it with the reason; in /batch one costs its own row.
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen


@contextmanager
def served(model: str) -> Iterator[str]:
    """The address of a server that runs as long as it is needed."""
    words = [sys.executable, "-m", "featkit", "serve", model, "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        try:
            program.stdout.readline()  # the emotions
            address = program.stdout.readline().split()  # http://127.0.0.1:PORT/, and how to stop it
            if not address:
                sys.exit(1)  # the server has said why
            yield address[0]
        finally:
            program.terminate()


def predict(server: str, clip: Path) -> dict:
    """The file itself is the body."""
    with urlopen(Request(f"{server}predict", clip.read_bytes()), timeout=60) as answer:
        return json.load(answer)


def batch(server: str, clips: list[Path]) -> list[dict]:
    """A form with a file for each clip. A clip that cannot be used costs its own row."""
    edge = uuid.uuid4().hex
    head = '--{}\r\nContent-Disposition: form-data; name="file"; filename="{}"\r\n\r\n'
    parts = [head.format(edge, clip.name).encode() + clip.read_bytes() + b"\r\n" for clip in clips]
    body = b"".join(parts) + f"--{edge}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    with urlopen(Request(f"{server}batch", body, kind), timeout=60) as answer:
        return json.load(answer)["results"]


def main(model: str, *names: str) -> None:
    clips = [Path(name) for name in names]
    with served(model) as server:
        try:
            print(json.dumps(predict(server, clips[0])))
            for row in batch(server, clips):
                print(row["name"], row["error"]["reason"] if "error" in row else row["label"], sep=": ")
        except HTTPError as refusal:
            sys.exit(json.load(refusal)["reason"])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("Usage: python examples/serve_client.py model.onnx clip.wav ...")
    main(*sys.argv[1:])
