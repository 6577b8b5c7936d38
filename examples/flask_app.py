"""A model behind Flask: POST a file, get {"label": ..., "probabilities": ...}, or {"error": ...} with a status of 4xx.

MODEL=model.onnx flask --app examples/flask_app.py run
curl -F file=@clip.wav http://127.0.0.1:5000/predict
"""

import os

from featkit import load
from featkit.audio import decode
from featkit.errors import FeatkitError

try:
    model = load(os.environ.get("MODEL", "model.onnx"))
    from flask import Flask, abort, request
    from werkzeug.exceptions import HTTPException
except FeatkitError as error:
    raise SystemExit(str(error)) from None
except ModuleNotFoundError:
    raise SystemExit("This example needs Flask: pip install flask") from None

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 10_000_000  # bytes


@app.post("/predict")
def predict():
    file = request.files.get("file") or abort(400, "Send the recording as the form field 'file'.")
    try:
        (probabilities,) = model.predict_proba([decode(file.read(), max_seconds=60)])  # a small FLAC can hold hours
    except FeatkitError as error:
        abort(422, str(error))
    by_label = dict(zip(model.labels, map(float, probabilities), strict=True))
    return {"label": max(by_label, key=by_label.get), "probabilities": by_label}


@app.errorhandler(HTTPException)
def refuse(error):
    return {"error": error.description}, error.code
