// Holds the model and does what takes long. One job after the other.
import { resampled } from "./resample.js";

let ort = null;
let session = null;

const JOBS = {
  begin,
  judge,
  resample: ({ samples, rate }) => resampled(samples, rate),
};

let before = Promise.resolve();
onmessage = ({ data: { id, job, given } }) => {
  before = before.then(async () => {
    try {
      postMessage({ id, value: await JOBS[job](given) });
    } catch (error) {
      postMessage({ id, error: error.message });
    }
  });
};

// One thread: more would need headers that a plain host of files does not send.
async function begin({ script, wasm, model }) {
  const parts = await Promise.all([code(script), content(wasm), content(model)]);
  ort = await import(parts[0]);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = parts[1];
  session = await ort.InferenceSession.create(new Uint8Array(parts[2]), { executionProviders: ["wasm"], logSeverityLevel: 4 });
}

// Where to import from. What comes from elsewhere is checked first, and imported as it was checked.
async function code(file) {
  if (new URL(file.url).origin === self.origin) return file.url;
  return URL.createObjectURL(new Blob([await content(file)], { type: "text/javascript" }));
}

async function content({ url, integrity }) {
  try {
    // A browser that checks the file itself gives nothing of it before its end; over plain http there is no other way.
    const response = await fetch(url, { integrity: crypto.subtle ? "" : integrity, cache: "no-cache" });
    if (response.ok) {
      const bytes = await new Response(response.body.pipeThrough(counted())).arrayBuffer();
      if (!crypto.subtle || await integrityOf(bytes) === integrity) return bytes;
    }
  } catch { /* nothing came, or other bytes than were written */ }
  throw new Error(`${url} did not arrive, or is not the file that belongs here. Load the page again.`);
}

// Tells the page of every piece.
function counted() {
  return new TransformStream({
    transform(piece, out) {
      postMessage({ came: piece.length });
      out.enqueue(piece);
    },
  });
}

async function integrityOf(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-384", bytes));
  return `sha384-${btoa(String.fromCharCode(...digest))}`;
}

// A clip of 16 kHz → probabilities.
async function judge(samples) {
  const wave = new ort.Tensor("float32", samples, [1, samples.length]);
  const { probabilities } = await session.run({ wave }, ["probabilities"]);
  return Array.from(probabilities.data);
}
