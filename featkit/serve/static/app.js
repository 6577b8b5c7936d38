// The page: what a person does on the left, what comes of it on the right.
import * as api from "./api.js";
import { bars, breakable, element, table, timeline, waveform, withCode } from "./draw.js";
import { listen, loudness, wav } from "./mic.js";
import { brief, plain } from "./quality.js";
import { capital, clock, length, percent, toneOf } from "./tones.js";

const $ = (id) => document.getElementById(id);
const show = (id, visible = true) => { $(id).hidden = !visible; };
const player = new Audio();
const LIVE_SECONDS = 30;
const TOGETHER = 2; // clips at a time: there are few threads, and the first answers come soon
const FACTS = ["trained on", "scores", "features", "backend", "licence", "input"]; // of the card, what matters most first

let about = null; // what the model says of itself
let broken = false; // there will be no model
let tones = [];
let clips = []; // { name, file, batch, answer | error, row }; batch: the clips that came with it
let waiting = []; // clips that nobody works on yet
let working = 0;
let chosen = null;
let microphone = null;
let recordings = 0;

document.getElementById("unstarted")?.remove(); // of a page that may lie where no script starts

// --- the model ------------------------------------------------------------------------------------------------------

async function begin() {
  try {
    about = await api.model();
  } catch (error) {
    broken = true;
    waiting.splice(0).forEach((clip) => { clip.error = error.message; finish(clip); });
    return notice(error.message);
  }
  document.body.classList.remove("locked");
  for (const id of ["record", "live"]) $(id).disabled = false;
  tones = about.labels.map(toneOf);
  $("model-name").textContent = about.name;
  $("formats").textContent = `${api.FORMATS} … up to ${Number((about.max_bytes / 1e6).toPrecision(2))} MB and ${lengthOf(about.max_seconds)}`;
  $("version").textContent = `featkit ${about.featkit}`;
  card();
  startWork();
}

const lengthOf = (seconds) => (seconds >= 120 ? `${Math.floor(seconds / 60)} minutes` : `${seconds} s`);

function card() {
  $("legend").replaceChildren(...about.labels.map((label, i) => chip("li", label, tones[i])));
  $("facts").replaceChildren(...FACTS.flatMap((name) => [element("dt", { text: capital(name) }), element("dd", {}, ...withCode(about.card[name]))]));
  $("cautions").replaceChildren(...about.cautions.map((text) => element("li", { text })));
  show("recalls-box", Boolean(about.recalls));
  if (about.recalls) {
    const names = Object.keys(about.recalls);
    bars($("recalls"), names, Object.values(about.recalls), names.map((name) => tones[about.labels.indexOf(name)] ?? toneOf(name, 0)), null);
  }
}

function chip(name, text, tone) {
  const made = element(name, { class: "chip", text: capital(text) });
  made.style.setProperty("--tone", tone);
  return made;
}

function notice(text) {
  $("notice").textContent = text;
  show("notice", Boolean(text));
}

const say = (text) => { $("say").textContent = text; };

// --- clips ----------------------------------------------------------------------------------------------------------

function add(files) {
  if (broken || !files.length) return; // why stands in the notice
  notice("");
  document.body.classList.add("busy-page");
  const batch = [];
  batch.push(...files.map((file) => ({ name: file.name, file, batch })));
  clips.push(...batch);
  waiting.push(...batch);
  batch.forEach(addRow);
  if (about) return startWork();
  show("batch");
  say(`${clips.length === 1 ? "The clip waits" : "The clips wait"} for the model.`);
}

function startWork() {
  show("batch", clips.length > 1);
  while (working < TOGETHER && waiting.length) work();
}

async function work() {
  working++;
  try {
    for (let clip = waiting.shift(); clip; clip = waiting.shift()) {
      await label(clip);
      if (clips.includes(clip)) finish(clip); // else it was cleared meanwhile
    }
  } finally {
    working--;
  }
}

function finish(clip) {
  const { batch } = clip;
  fillRow(clip);
  if (clip === batch[0]) choose(clip, batch.length === 1);
  const failed = batch.filter((one) => one.error).length;
  if (batch.length > 1 && batch.every(isDone)) say(`${batch.length} clips are done${failed ? `, ${failed} could not be used` : ""}.`);
}

const isDone = (clip) => Boolean(clip.answer || clip.error);

async function label(clip) {
  const hop = about.max_seconds > 900 ? 2 : 0.5; // seconds; an hour by halves would be too many windows
  try {
    if (clip.file.size > about.max_bytes) throw new Error(`Larger than the ${Math.round(about.max_bytes / 1e6)} MB that are allowed.`);
    clip.answer = await api.predict(clip.file, hop);
  } catch (error) {
    clip.error = error.message;
  }
}

function addRow(clip) {
  const button = element("button", { type: "button", class: "link" }, ...breakable(clip.name));
  button.addEventListener("click", () => choose(clip));
  clip.row = element("tr", {}, element("td", {}, button), element("td", { text: "…" }), element("td", { class: "right" }));
  $("rows").append(clip.row);
  progress();
}

function fillRow(clip) {
  const [, sounds, lasts] = clip.row.children;
  if (clip.error) {
    sounds.replaceChildren(element("span", { class: "failed", text: clip.error }));
  } else {
    const { label: name, probabilities, seconds, quality } = clip.answer;
    sounds.replaceChildren(chip("span", `${name} ${percent(probabilities[name])}`, tones[about.labels.indexOf(name)]));
    if (quality.length) sounds.append(element("span", { class: "odd", text: quality.map(brief).join(", ") }));
    lasts.textContent = length(seconds);
  }
  progress();
}

function progress() {
  const done = clips.filter(isDone).length;
  $("batch-progress").textContent = done < clips.length ? `${done} of ${clips.length}` : `${clips.length}`;
  $("csv").disabled = done < clips.length;
}

// A cell that begins like a formula would be run by spreadsheets.
function cell(value) {
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv() {
  const head = ["file", "label", "seconds", ...about.labels, "quality", "error"];
  const rows = clips.map(({ name, answer, error }) => (answer
    ? [name, answer.label, answer.seconds, ...about.labels.map((key) => answer.probabilities[key]), answer.quality.join("; "), ""]
    : [name, "", "", ...about.labels.map(() => ""), "", error]));
  const text = [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
  const url = URL.createObjectURL(new Blob([text, "\r\n"], { type: "text/csv" }));
  element("a", { href: url, download: "emotions.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function clear() {
  clips = [];
  waiting = [];
  chosen = null;
  unload();
  $("rows").replaceChildren();
  show("batch", false);
  show("result", false);
  document.body.classList.remove("busy-page");
  $("files").focus();
}

// --- one clip -------------------------------------------------------------------------------------------------------

function choose(clip, aloud = true) {
  if (!isDone(clip)) return;
  chosen?.row.classList.remove("chosen");
  chosen = clip;
  clip.row.classList.add("chosen");
  show("result");
  show("result-error", Boolean(clip.error));
  show("result-body", !clip.error);
  $("result-file").replaceChildren(...breakable(clip.name));
  player.pause();
  if (clip.error) {
    verdict("result-label", "No answer", "");
    $("result-share").textContent = "";
    show("result-quality", false);
    $("result-error").textContent = clip.error;
    if (aloud) say(`${clip.name}: ${clip.error}`);
    return;
  }
  const { label: name, probabilities, seconds, quality, peaks } = clip.answer;
  const shares = about.labels.map((key) => probabilities[key]);
  verdict("result-label", name, tones[about.labels.indexOf(name)]);
  $("result-share").textContent = percent(probabilities[name]);
  $("axis-end").textContent = length(seconds);
  show("result-quality", quality.length > 0);
  $("result-quality").replaceChildren(...quality.map((flag) => element("li", { text: capital(plain(flag)) })));
  waveform($("wave"), peaks);
  bars($("bars"), about.labels, shares, tones, name);
  overTime(clip.answer);
  load(clip);
  const odd = quality.length ? ` Of the recording: ${quality.map(plain).join("; ")}.` : "";
  if (aloud) say(`${clip.name} sounds like ${name}, ${percent(probabilities[name])}.${odd}`);
}

function verdict(id, text, tone) {
  $(id).textContent = capital(text);
  $(id).style.setProperty("--tone", tone || "var(--line)");
}

// Of a window that was not judged, as silence is not, the shares are 0 and the chart stays empty.
const sharesOf = ({ probabilities }) => about.labels.map((key) => probabilities?.[key] ?? 0);

// The windows of a clip: a point in the middle of each.
function overTime({ timeline: windows, seconds }) {
  const times = windows.map(({ start, end }) => (start + end) / 2);
  const rows = windows.map(sharesOf);
  if (rows.length > 1) { times[0] = 0; times[times.length - 1] = seconds; } // nothing is known beyond the outer windows
  timeline($("chart"), { times, rows, from: 0, to: seconds, tones });
  const tops = windows.map((window) => window.label ?? "silence");
  const runs = tops.filter((name, i) => name !== tops[i - 1]);
  $("chart").setAttribute("aria-label", `Emotions over the clip: ${runs.join(", then ")}`);
  const digits = seconds < 1 ? 2 : 1;
  table($("numbers"), ["from", "to", ...about.labels], windows.map(({ start, end }, i) => [
    start.toFixed(digits), end.toFixed(digits), ...rows[i].map(percent),
  ]));
}

function unload() {
  player.pause();
  URL.revokeObjectURL(player.src);
  player.removeAttribute("src");
}

function load(clip) {
  unload();
  player.src = URL.createObjectURL(clip.file);
  $("play").disabled = false;
  $("seek").max = clip.answer.seconds;
  $("seek").value = 0;
  moved();
}

function moved() {
  const seconds = chosen?.answer?.seconds || 1;
  const now = Number($("seek").value);
  $("playhead").style.left = `${(100 * now) / seconds}%`;
  const windows = chosen?.answer?.timeline ?? [];
  const near = windows.reduce((best, w) => (Math.abs((w.start + w.end) / 2 - now) < Math.abs((best.start + best.end) / 2 - now) ? w : best), windows[0]);
  const text = near ? `${now.toFixed(1)} s: ${near.label ? `${near.label} ${percent(near.probabilities[near.label])}` : near.reason}` : "";
  $("moment").textContent = windows.length > 1 ? text : "";
  $("seek").setAttribute("aria-valuetext", text || clock(now));
}

function follow() {
  $("seek").value = player.currentTime;
  moved();
  if (!player.paused) requestAnimationFrame(follow);
}

function playing() {
  const on = !player.paused;
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  $("play-icon").setAttribute("d", on ? "M5.5 3.5h3.2v13H5.5zM11.3 3.5h3.2v13h-3.2z" : "M6 3.5v13l11-6.5z");
  if (on) follow();
}

// --- microphone -----------------------------------------------------------------------------------------------------

async function listening(title, onFrame) {
  notice("");
  player.pause();
  for (const id of ["record", "live"]) $(id).disabled = true;
  try {
    const heard = await listen((frame) => {
      $("level").style.width = `${100 * loudness(frame)}%`;
      onFrame(frame);
    });
    document.body.classList.add("busy-page");
    const start = performance.now();
    const ticking = setInterval(() => { $("clock").textContent = clock((performance.now() - start) / 1000); }, 200);
    $("clock").textContent = clock(0);
    $("listening-title").textContent = title;
    show("listening");
    $("stop").focus();
    return { ...heard, end: () => { clearInterval(ticking); quiet(); return heard.stop(); } };
  } catch (error) {
    quiet();
    notice(error.message);
    return null;
  }
}

function quiet() {
  for (const id of ["record", "live"]) $(id).disabled = false;
  show("listening", false);
  show("live-view", false);
  microphone = null;
}

async function record() {
  const frames = [];
  let heard = null; // frames come before it is known
  heard = await listening("Recording", (frame) => {
    frames.push(frame);
    if ((frames.length + 1) * frame.length > about.max_seconds * heard?.rate) microphone?.stop(); // one more is too long
  });
  if (!heard) return;
  microphone = {
    stop: async () => {
      await heard.end();
      $("record").focus();
      if (frames.length) add([new File([wav(frames, heard.rate)], `Recording ${++recordings}.wav`, { type: "audio/wav" })]);
    },
  };
}

async function live() {
  let stream = null;
  const early = []; // heard before the rate is known
  const points = [];
  let stopped = false;
  const stop = async (text) => {
    if (stopped) return;
    stopped = true;
    stream?.close();
    await heard.end();
    $("live").focus();
    if (text) notice(text);
  };
  const heard = await listening("Live", (frame) => {
    if (!stream) early.push(frame);
    else if (!stream.send(frame)) stop(api.TOO_SLOW);
  });
  if (!heard) return;
  verdict("live-label", "Listening …", "");
  $("live-chart").replaceChildren();
  bars($("live-bars"), about.labels, about.labels.map(() => 0), tones, null);
  show("live-view");
  show("result", false);
  stream = api.stream(heard.rate, (told) => event(told, points), stop);
  early.forEach(stream.send);
  microphone = { stop: () => stop("") };
}

// What was heard in one window.
function event(heard, points) {
  const shares = sharesOf({ probabilities: heard.smoothed });
  points.push([heard.end, shares]);
  while (points.length > 2 && points[1][0] < heard.end - LIVE_SECONDS) points.shift();
  const told = heard.label ?? heard.reason; // an emotion, "silence" or "not sure"
  verdict("live-label", told, tones[about.labels.indexOf(heard.label)]);
  bars($("live-bars"), about.labels, shares, tones, heard.label);
  const drawn = points.length > 1 ? points : [[heard.end - 0.5, shares], ...points];
  timeline($("live-chart"), {
    times: drawn.map(([time]) => time), rows: drawn.map(([, row]) => row), from: heard.end - LIVE_SECONDS, to: heard.end, tones,
  });
  if (told !== $("live-chart").dataset.told) say(told); // not every half second
  $("live-chart").dataset.told = told;
}

// --- what a person does ---------------------------------------------------------------------------------------------

$("files").addEventListener("change", ({ target }) => { add([...target.files]); target.value = ""; });
$("record").addEventListener("click", record);
$("live").addEventListener("click", live);
$("stop").addEventListener("click", () => microphone?.stop());
$("csv").addEventListener("click", csv);
$("clear").addEventListener("click", clear);
$("play").addEventListener("click", () => (player.paused ? player.play().catch(() => {}) : player.pause()));
$("seek").addEventListener("input", () => { player.currentTime = Number($("seek").value); moved(); });
player.addEventListener("play", playing);
player.addEventListener("pause", playing);
player.addEventListener("ended", playing);
player.addEventListener("error", () => { $("play").disabled = true; }); // clips may have a format that the browser does not play

let inside = 0; // dragenter and dragleave come for every element on the way
addEventListener("dragenter", () => { inside++; document.body.classList.add("dropping"); });
addEventListener("dragleave", () => { if (--inside <= 0) document.body.classList.remove("dropping"); });
addEventListener("dragover", (dragged) => dragged.preventDefault());
addEventListener("drop", (dropped) => {
  dropped.preventDefault();
  inside = 0;
  document.body.classList.remove("dropping");
  add([...dropped.dataTransfer.files]);
});

if (matchMedia("(max-width: 900px)").matches) $("card").open = false;
$("private-text").textContent = api.PRIVACY;
begin();
