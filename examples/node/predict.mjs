// Predict in Node: the same model file, onnxruntime and nothing else.
//
//     cd examples/node && npm ci
//     node predict.mjs model.onnx clip.wav
//
// prints {"label": ..., "probabilities": {...}}, or in one line why not. The model starts at the waveform, as those on
// mfcc39 and logmel do; the clip is a 16-bit PCM wav, mono, 16 000 Hz:
//     ffmpeg -i in.m4a -ac 1 -ar 16000 -c:a pcm_s16le clip.wav

import { readFile } from "node:fs/promises";

process.on("uncaughtException", (error) => fail(error.message)); // a file that is not there, a model that is none
process.env.ORT_DISABLE_TELEMETRY ??= "1"; // before onnxruntime is loaded, which else reports to its makers
const { InferenceSession, Tensor } = await import("onnxruntime-node");

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Samples of a wav, -1 to 1. */
function decode(file) {
  if (file.toString("latin1", 0, 4) !== "RIFF") fail("The clip is not a wav file.");
  let format;
  for (let at = 12; at + 8 <= file.length; ) {
    const kind = file.toString("latin1", at, at + 4);
    const size = file.readUInt32LE(at + 4);
    const chunk = file.subarray(at + 8, at + 8 + size);
    const unknown = size >= 0x7ffff000; // what programs write that stream
    if (chunk.length < size && !unknown) fail(`The clip is truncated: ${chunk.length} of ${size} bytes are there.`);
    if (kind === "fmt ") {
      // coding (1 is PCM), channels, rate, bits
      format = [chunk.readUInt16LE(0), chunk.readUInt16LE(2), chunk.readUInt32LE(4), chunk.readUInt16LE(14)].join();
    }
    if (kind === "data") {
      if (format !== "1,1,16000,16") fail("The clip must be 16-bit PCM, mono, 16 000 Hz.");
      return Float32Array.from({ length: chunk.length >> 1 }, (_, i) => chunk.readInt16LE(2 * i) / 32768);
    }
    at += 8 + size + (size % 2); // chunks begin at even places
  }
  fail("The wav file holds no samples.");
}

/** What the model says of itself. onnxruntime-node does not tell metadata, so its entry is looked up in the file. */
function recipe(file) {
  const key = Buffer.from("\x0a\x07featkit\x12", "latin1"); // protobuf: field 1 of 7 bytes, then field 2
  let at = file.indexOf(key) + key.length;
  if (at < key.length) fail("The model was not written by featkit.");
  let length = 0;
  for (let shift = 0, more = true; more; shift += 7) {
    const byte = file[at++]; // its length, 7 bits a byte, the lowest first
    length |= (byte & 127) << shift;
    more = byte > 127;
  }
  return JSON.parse(file.toString("utf8", at, at + length));
}

const [modelPath, clipPath] = process.argv.slice(2);
if (!clipPath) fail("Usage: node predict.mjs model.onnx clip.wav");
const model = await readFile(modelPath);
const { labels, min_samples } = recipe(model);
const wave = decode(await readFile(clipPath));
const session = await InferenceSession.create(model);
if (session.inputNames.join() !== "wave") fail("The model starts at features that featkit computes.");
// It answers whatever it is given, so what no model can judge is refused here.
if (wave.length < min_samples) fail(`The clip has ${wave.length} samples; the model needs ${min_samples}.`);
if (wave.every((sample) => sample === 0)) fail("The clip is digital silence: all its samples are zero.");
const { label, probabilities } = await session.run({ wave: new Tensor("float32", wave, [1, wave.length]) });
const byName = Object.fromEntries(labels.map((name, i) => [name, probabilities.data[i]]));
console.log(JSON.stringify({ label: label.data[0], probabilities: byName }));
