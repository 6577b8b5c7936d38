// A file that somebody gave → a clip of 16 kHz, mono, or the reason why it is none, in the words of featkit in Python.
import { headOf } from "./heads.js";
import { readWav } from "./wav.js";

export const RATE = 16000;
const RATES = [1000, 768000]; // Hz
const LOUDEST = 1000; // beyond it, samples are integers that nobody scaled

// -> { samples, rate, stored } of a file, mono; stored: what flags.js asks of it. seconds: the most that is allowed.
export async function read(file, seconds) {
  const content = await file.arrayBuffer();
  if (!content.byteLength) throw new Error("The clip is empty (0 bytes); choose an audio file.");
  const wav = readWav(content);
  if (wav?.lack) throw truncated(wav.lack);
  if (!wav?.mono) return decoded(content, file.name ?? "", seconds);
  const { rate, frames, levels, unclosed, unread } = wav;
  if (rate < RATES[0] || rate > RATES[1]) throw unusable(`claims a sample rate of ${rate} Hz; it must lie between ${RATES[0]} and ${RATES[1]} Hz.`);
  short(frames / rate, seconds);
  return clip(wav.mono(), rate, levels(), { unclosed, unread, seconds: frames / rate });
}

export const unusable = (why) => new Error(`The clip cannot be used: ${why}`);

const truncated = (lack) => new Error(`The clip is truncated: ${lack} ${/^1 /.test(lack) ? "is" : "are"} there; copy or convert it again.`);

function short(length, seconds) {
  if (length > seconds) throw new Error(`The clip is longer than ${seconds} s; cut it into clips first.`);
}

// levels: RMS of each channel. The mean of channels that sound may be silence.
function clip(samples, rate, levels, told) {
  const whole = levels.reduce((sum, level) => sum + level * level, 0) / levels.length;
  const kept = levels.length > 1 && whole ? rms(samples) ** 2 / whole : 1;
  if (levels.length > 1 && whole && !samples.some((sample) => sample)) {
    throw unusable(`its ${levels.length} channels cancel each other: their mean is silence.`);
  }
  return { samples, rate, stored: { rate, ...told, levels, kept } };
}

const rms = (samples) => Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / (samples.length || 1));

// At its own rate, where the browser takes it, so that it is converted once and with care.
async function decoded(content, name, seconds) {
  const bytes = new Uint8Array(content);
  refuseText(bytes.subarray(0, 512));
  const head = headOf(bytes);
  let audio;
  try {
    audio = await context(head.rate).decodeAudioData(content);
  } catch {
    throw new Error("The clip cannot be decoded; it is damaged or in a format that this browser does not read.");
  }
  short(audio.duration, seconds);
  const there = Math.round(audio.duration * head.rate);
  if (head.exact && there < head.samples) throw truncated(`${there} of ${head.samples} samples`);
  const { cut, unread, checked } = head;
  const told = { rate: head.rate, seconds: audio.duration, promised: head.samples / head.rate, cut, unread };
  const channels = Array.from({ length: audio.numberOfChannels }, (_, i) => audio.getChannelData(i));
  const unchecked = checked ? "" : name.split(".").at(-1).toUpperCase();
  return clip(mean(channels), audio.sampleRate, channels.map(rms), { ...told, unchecked });
}

function refuseText(head) {
  if (!head.every((byte) => (byte >= 32 && byte < 127) || [9, 10, 12, 13].includes(byte))) return;
  const start = String.fromCharCode(...head).trimStart().split(/[\r\n]/)[0].slice(0, 24);
  throw new Error(`The clip is text, not audio (it starts with '${start}').`);
}

function mean(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}

function context(rate) {
  try {
    return new OfflineAudioContext(1, 1, rate);
  } catch {
    return new OfflineAudioContext(1, 1, 48000);
  }
}

// Refuse what is no clip: empty, not finite, silent, never scaled.
export function check(samples) {
  let bad = 0, peak = 0;
  for (const sample of samples) {
    if (Number.isFinite(sample)) peak = Math.max(peak, Math.abs(sample));
    else bad++;
  }
  if (!samples.length) throw unusable("holds 0 samples; remove it or record it again.");
  if (bad) throw unusable(`${bad} of ${samples.length} samples ${bad === 1 ? "is" : "are"} not finite (NaN or inf); repair or drop the clip.`);
  if (!peak) throw unusable(`${samples.length === 1 ? "its only sample is" : `all ${samples.length} samples are`} zero (digital silence); drop the clip.`);
  if (peak > LOUDEST) throw unusable(`samples reach ${peak.toFixed(0)}, a wave −1 to 1; scale integers to that range.`);
  return samples;
}

// At least as many samples as the features need: silence is appended where the model learned so, else it is refused.
export function atLeast(samples, least, pad) {
  if (samples.length >= least) return samples;
  const long = (count) => `${Number(((1000 * count) / RATE).toPrecision(4))} ms`;
  if (!pad) throw unusable(`it has ${long(samples.length)} and the model needs at least ${long(least)}; choose a longer one.`);
  const padded = new Float32Array(least);
  padded.set(samples);
  return padded;
}

// Where the windows of a whole clip begin and end; the last one ends at the last sample.
export function bounds(total, window, hop) {
  const cuts = [];
  for (let start = 0; start + window <= total; start += hop) cuts.push([start, start + window]);
  if (total > (cuts.at(-1)?.[1] ?? 0)) cuts.push([Math.max(0, total - window), total]);
  return cuts;
}

// Lowest and highest sample of `count` equal stretches, for drawing.
export function peaks(samples, count) {
  const most = Math.min(count, samples.length);
  const edge = (i) => Math.floor((i * samples.length) / most);
  return Array.from({ length: most }, (_, i) => {
    let low = Infinity, high = -Infinity;
    for (let j = edge(i); j < edge(i + 1); j++) { low = Math.min(low, samples[j]); high = Math.max(high, samples[j]); }
    return [low, high];
  });
}
