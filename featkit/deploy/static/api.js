// Answers on this device: the model runs in a worker of this page, and nothing that is heard leaves it.
import { RATE, atLeast, bounds, check, peaks, read } from "./clip.js";
import { flags } from "./flags.js";
import { Live, SILENCE } from "./live.js";

export const PRIVACY = "Recordings stay on this device";
export const FORMATS = "wav, mp3, m4a, ogg";
export const TOO_SLOW = "This device hears more slowly than you speak: it cannot recognise live with this model.";

const base = new URL("..", import.meta.url);
let about = null; // model.json
let worker = null;
const asked = new Map(); // what the worker was asked and has not answered yet
let asks = 0;
let came = 0; // bytes of the model and of what runs it

// What the model says of itself, once it is ready.
export async function model() {
  loading("Loading the model …");
  document.body.classList.replace("locked", "loading"); // clips may be given, and wait
  try {
    about = await told();
    worker = started();
    const files = Object.entries(about.files).map(([name, { url, integrity }]) => [name, { url: new URL(url, base).href, integrity }]);
    await ask("begin", Object.fromEntries(files));
    return about;
  } catch (error) {
    document.body.classList.add("locked");
    throw new Error(`The model cannot be loaded: ${error.message}`);
  } finally {
    document.body.classList.remove("loading");
    loading("");
  }
}

const loading = (text) => { document.getElementById("formats").textContent = text; };

// So much has come, of so much where the files lie beside the page.
function arriving(bytes) {
  came += bytes;
  const all = about.files.wasm.bytes + about.files.model.bytes;
  loading(`Loading the model: ${(came / 1e6).toFixed(1)}${all ? ` of ${(all / 1e6).toFixed(1)}` : ""} MB`);
}

async function told() {
  const response = await fetch(new URL("model.json", base), { cache: "no-cache" }).catch(() => null);
  if (!response?.ok) throw new Error("model.json did not arrive. Load the page again.");
  return response.json();
}

// By way of a blob, because only such a worker is bound by the Content-Security-Policy of its page.
function started() {
  const code = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
  const made = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
  made.onmessage = ({ data: { id, value, error, came: bytes } }) => {
    if (bytes) return arriving(bytes);
    const { done, failed } = asked.get(id);
    asked.delete(id);
    if (error === undefined) done(value);
    else failed(new Error(error));
  };
  made.onerror = () => {
    asked.forEach(({ failed }) => failed(new Error("this browser is too old for it; use a newer one.")));
    asked.clear();
  };
  return made;
}

function ask(job, given) {
  return new Promise((done, failed) => {
    asked.set(asks, { done, failed });
    worker.postMessage({ id: asks++, job, given });
  });
}

// Probabilities of a clip or a window.
const judge = (samples) => ask("judge", atLeast(samples, about.min_samples, about.pad_short));

const byLabel = (values) => Object.fromEntries(about.labels.map((label, i) => [label, Number(values[i].toFixed(6))]));

const best = (values) => about.labels[values.indexOf(Math.max(...values))];

// The answer to one clip, with a window of its timeline every `hop` seconds.
export async function predict(file, hop) {
  const { samples, rate, stored } = await read(file, about.max_seconds);
  const wave = check(rate === RATE ? samples : await ask("resample", { samples, rate }));
  const shares = await judge(wave);
  const timeline = [];
  for (const [start, end] of bounds(wave.length, about.window * RATE, hop * RATE)) {
    timeline.push({ start: start / RATE, end: end / RATE, ...await part(wave.slice(start, end)) });
  }
  const seconds = wave.length / RATE;
  return { label: best(shares), probabilities: byLabel(shares), seconds, quality: flags(wave, stored), timeline, peaks: peaks(wave, 600) };
}

async function part(window) {
  if (!window.some((sample) => sample)) return { label: null, reason: SILENCE };
  const shares = await judge(window);
  return { label: best(shares), probabilities: byLabel(shares) };
}

// A stream of the microphone at a rate, Hz: heard(event) for every window, ended(reason) if it cannot go on.
// -> send(Int16Array), false when the model is far behind, and close().
export function stream(rate, heard, ended) {
  const live = new Live({ labels: about.labels, live: about.live, rate, judge, heard, failed: ({ message }) => ended(message) });
  return { send: (frame) => live.push(frame), close: () => live.close() };
}
