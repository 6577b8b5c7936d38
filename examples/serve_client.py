"""Start `featkit serve`, ask it about recordings with the standard library alone, and stop it.

    python examples/serve_client.py model.onnx one.wav two.flac

prints the label of each recording, as /batch answers, and all that /predict tells of the first one that can be used.
Whatever cannot be used has its line with the reason, and the exit code is 1.
"""

import json
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen


@contextmanager
def served(model: str):
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


def predict(server: str, content: bytes) -> dict:
    """The file itself is the body."""
    with urlopen(Request(f"{server}predict", content), timeout=60) as answer:
        return json.load(answer)


def batch(server: str, files: dict[str, bytes]) -> list[dict]:
    """A form with every file. One that cannot be used costs its own row."""
    edge = uuid.uuid4().hex
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="clip"\r\n\r\n'.encode()
    body = b"".join(head + content + b"\r\n" for content in files.values()) + f"--{edge}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    with urlopen(Request(f"{server}batch", body, kind), timeout=60) as answer:
        return json.load(answer)["results"]


def ask(server: str, files: dict[str, bytes]) -> list[str]:
    """Print what the server answers. -> what it refuses, with the reasons."""
    rows = dict(zip(files, batch(server, files), strict=True))
    good = [name for name in rows if "label" in rows[name]]
    for name in good:
        print(f"{name}: {rows[name]['label']}")
    if good:
        print(json.dumps(predict(server, files[good[0]])))
    return [f"{name}: {row['error']['reason']}" for name, row in rows.items() if "error" in row]


def main(model: str, *names: str) -> None:
    files, refused = {}, []
    for name in names:
        try:
            files[name] = Path(name).read_bytes()
        except OSError as error:
            refused.append(f"{name}: {error.strerror}")
    if files:
        with served(model) as server:
            try:
                refused += ask(server, files)
            except HTTPError as refusal:  # of all together, where they are too many or too large
                refused.append(json.load(refusal)["reason"])
    sys.exit("\n".join(refused) or 0)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("Usage: python examples/serve_client.py model.onnx clip.wav ...")
    main(*sys.argv[1:])
