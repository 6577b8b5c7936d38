"""What a developer of a phone app is told beside the file: what goes in, what comes out, fifteen lines of code."""

from __future__ import annotations

from pathlib import Path

from featkit import card
from featkit.audio import SAMPLE_RATE
from featkit.deploy.measure import Comparison
from featkit.deploy.source import Source

OPERATORS_SUFFIX = ".operators.config"
"""Of the file beside an ORT file that names its operators."""

LITERT = "2.3.0"
"""Version of LiteRT's package for Android, the one that the file was tried with."""


def folder_readme(source: Source, comparison: Comparison, samples: int, told: str) -> str:
    """README.md of a folder with a TFLite file."""
    labels = source.model.labels
    return (
        f"# {source.path.stem}: speech emotion recognition for LiteRT\n\n"
        f"`model.tflite` made of `{source.path.name}` by featkit. Input is sound: the features are inside.\n\n"
        f"{_contract(samples, labels)}\n"
        f"{_short_and_long(samples)}\n"
        f'## Android\n\n`implementation("com.google.ai.edge.litert:litert:{LITERT}")`, the file in `assets`.\n\n'
        f"```kotlin\n{_KOTLIN.replace('SAMPLES', str(samples))}```\n\n"
        f"## iOS\n\n`pod 'TensorFlowLiteSwift'`, the file in the app's bundle.\n\n"
        f"```swift\n{_SWIFT.replace('SAMPLES', str(samples))}```\n\n"
        f"## Python\n\n`pip install ai-edge-litert` is enough.\n\n```python\n{_PYTHON}```\n\n"
        f"{_measured(comparison, told)}\n{_limits(source)}"
    )


def form_card(source: Source, comparison: Comparison, file: str, told: str) -> str:
    """Model card of an ONNX or ORT file: that of the model, how it was made, and how an app asks it."""
    recipe, after = source.model.recipe, comparison.after
    latency = (after.milliseconds / 1000, 3.0)
    kotlin, swift = (text.replace("FILE", file) for text in (_ORT_KOTLIN, _ORT_SWIFT))
    about = card.model_card(recipe, source.model.inputs, file, after.n_bytes, latency)
    if file.endswith(".ort"):  # featkit.load reads ONNX files only
        about = f"{about.partition('## Use')[0]}## Use\n\n```python\n{card.ONNXRUNTIME.replace('FILE', file)}```\n"
    return (
        f"{about}\n{_made_of(source, file)}\n"
        "## Android\n\n"
        '`implementation("com.microsoft.onnxruntime:onnxruntime-android:latest.release")`, the file in `assets`.\n\n'
        f"```kotlin\n{kotlin}```\n\n## iOS\n\n`pod 'onnxruntime-objc'`, the file in the app's bundle.\n\n"
        f"```swift\n{swift}```\n\n{_measured(comparison, told)}"
    )


def _contract(samples: int, labels: list[str]) -> str:
    return card.in_and_out({
        "input": f"`float32 [1, {samples}]`: mono, {SAMPLE_RATE} Hz, −1 to 1 (16-bit samples divided by 32768), each a "
        "number: NaN is not noticed",
        "output": f"`float32 [1, {len(labels)}]`: probabilities, in the order {', '.join(labels)}. labels.txt holds "
        "them, one a line.",
    })  # fmt: skip


def _short_and_long(samples: int) -> str:
    seconds = f"{samples / SAMPLE_RATE:g} s"
    return (
        f"A clip shorter than {seconds}: **repeat it** until the window is full. Do not pad with zeros: silence counts "
        f"as speech and changes labels. A longer one: cut it into equal, overlapping windows of {seconds} and average "
        "the probabilities. The lines below do both.\n"
    )


def _made_of(source: Source, file: str) -> str:
    text = f"## This file\n\n`{file}` was made of `{source.path.name}` by featkit"
    if file.endswith(".onnx"):
        return f"{text}: the network computes in 8 bits, the features stay in 32.\n"
    operators = Path(file).with_suffix(OPERATORS_SUFFIX).name
    return (
        f"{text}, in onnxruntime's own format. `{operators}` beside it names the operators that it uses: a runtime "
        f"built with `build.sh --include_ops_by_config {operators}` holds no others. An app on the usual runtime needs "
        "it not.\n"
    )


def _measured(comparison: Comparison, told: str) -> str:
    return f"## Measured\n\n{told} {comparison.summary()}\n\n{comparison.table()}\n"


def _limits(source: Source) -> str:
    told = "\n".join(f"- {limit}" for limit in card.limits(source.model.recipe))
    return f"## Limits\n\n{told}\n"


_KOTLIN = """\
import com.google.ai.edge.litert.*

class Emotions(context: android.content.Context) {
    private val model = CompiledModel.create(context.assets, "model.tflite", CompiledModel.Options(Accelerator.CPU))
    private val given = model.createInputBuffers()
    private val told = model.createOutputBuffers()

    fun probabilities(wave: FloatArray): FloatArray {
        val n = (wave.size + SAMPLES - 1) / SAMPLES
        val windows = (0 until n).map { i ->
            val start = if (n == 1) 0 else ((wave.size - SAMPLES).toLong() * i / (n - 1)).toInt()
            given[0].writeFloat(FloatArray(SAMPLES) { wave[(start + it) % wave.size] })
            model.run(given, told)
            told[0].readFloat()
        }
        return FloatArray(windows[0].size) { label -> windows.map { it[label] }.average().toFloat() }
    }
}
"""

_SWIFT = """\
import TensorFlowLite

func probabilities(_ wave: [Float], modelPath: String) throws -> [Float] {
    let interpreter = try Interpreter(modelPath: modelPath)
    try interpreter.allocateTensors()
    let n = (wave.count + SAMPLES - 1) / SAMPLES
    var sum: [Float] = []
    for i in 0..<n {
        let start = n == 1 ? 0 : (wave.count - SAMPLES) * i / (n - 1)
        let window = (0..<SAMPLES).map { wave[(start + $0) % wave.count] }
        try interpreter.copy(window.withUnsafeBufferPointer { Data(buffer: $0) }, toInputAt: 0)
        try interpreter.invoke()
        let p = try interpreter.output(at: 0).data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        sum = sum.isEmpty ? p : zip(sum, p).map(+)
    }
    return sum.map { $0 / Float(n) }
}
"""

_PYTHON = """\
import numpy as np
from ai_edge_litert.interpreter import Interpreter

model = Interpreter("model.tflite")
model.allocate_tensors()
(given,), (told,) = model.get_input_details(), model.get_output_details()


def probabilities(wave):  # (n_samples,) float32, mono, 16 000 Hz
    samples = given["shape"][1]
    n = -(-len(wave) // samples)
    answers = []
    for i in range(n):
        start = (len(wave) - samples) * i // (n - 1) if n > 1 else 0
        model.set_tensor(given["index"], np.resize(wave[start:], samples)[None])
        model.invoke()
        answers.append(model.get_tensor(told["index"])[0])
    return np.mean(answers, axis=0)
"""

_ORT_KOTLIN = """\
import ai.onnxruntime.*

val env = OrtEnvironment.getEnvironment()
val session = env.createSession(context.assets.open("FILE").readBytes())

fun probabilities(wave: FloatArray): FloatArray =
    OnnxTensor.createTensor(env, arrayOf(wave)).use { given ->
        session.run(mapOf("wave" to given), setOf("probabilities")).use { told ->
            @Suppress("UNCHECKED_CAST")
            (told[0].value as Array<FloatArray>)[0]
        }
    }
"""

_ORT_SWIFT = """\
import onnxruntime_objc

let env = try ORTEnv(loggingLevel: .warning)
let session = try ORTSession(env: env, modelPath: Bundle.main.bundlePath + "/FILE", sessionOptions: nil)

func probabilities(_ wave: [Float]) throws -> [Float] {
    let data = wave.withUnsafeBufferPointer { NSMutableData(data: Data(buffer: $0)) }
    let shape: [NSNumber] = [1, NSNumber(value: wave.count)]
    let given = try ORTValue(tensorData: data, elementType: .float, shape: shape)
    let told = try session.run(withInputs: ["wave": given], outputNames: ["probabilities"], runOptions: nil)
    let bytes = try told["probabilities"]!.tensorData() as Data
    return bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
}
"""
