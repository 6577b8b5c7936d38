// A file that somebody gave → a clip of 16 kHz, mono, or the reason why it is none, in the words of featkit in Python.
import { readWav } from "./wav.js";

export const RATE = 16000;
const RATES = [1000, 768000]; // Hz
const LOUDEST = 1000; // beyond it, samples are integers that nobody scaled

// -> { samples, rate } of a file, mono. seconds: the most that is allowed.
export async function read(file, seconds) {
  const content = await file.arrayBuffer();
  if (!content.byteLength) throw new Error("The clip is empty (0 bytes); choose an audio file.");
  const wav = readWav(content);
  if (!wav) return decoded(content, seconds);
  const { rate, frames, channels, lack } = wav;
  if (rate < RATES[0] || rate > RATES[1]) throw unusable(`claims a sample rate of ${rate} Hz; it must lie between ${RATES[0]} and ${RATES[1]} Hz.`);
  short(frames / rate, seconds);
  if (lack) throw new Error(`The clip is truncated: ${lack} are there; copy or convert it again.`);
  return { samples: audible(wav.mono(), channels, wav.sounds), rate };
}

export const unusable = (why) => new Error(`The clip cannot be used: ${why}`);

function short(length, seconds) {
  if (length > seconds) throw new Error(`The clip is longer than ${seconds} s; cut it into clips first.`);
}

// The mean of channels that sound may be silence; sounds() is asked only then.
function audible(samples, channels, sounds) {
  if (channels === 1 || samples.some((sample) => sample) || !sounds()) return samples;
  throw unusable(`its ${channels} channels cancel each other: their mean is silence.`);
}

// At its own rate, where the browser takes it, so that it is converted once and with care.
async function decoded(content, seconds) {
  const head = new Uint8Array(content, 0, Math.min(512, content.byteLength));
  if (head.every((byte) => (byte >= 32 && byte < 127) || [9, 10, 12, 13].includes(byte))) {
    const start = String.fromCharCode(...head).trimStart().split(/[\r\n]/)[0].slice(0, 24);
    throw new Error(`The clip is text, not audio (it starts with '${start}').`);
  }
  let audio;
  try {
    audio = await context(rateOf(new Uint8Array(content))).decodeAudioData(content);
  } catch {
    throw new Error("The clip cannot be decoded; it is damaged or in a format that this browser does not read.");
  }
  short(audio.duration, seconds);
  const channels = Array.from({ length: audio.numberOfChannels }, (_, i) => audio.getChannelData(i));
  const samples = channels.length === 1 ? channels[0] : channels[0].map((_, i) => {
    let sum = 0;
    for (const channel of channels) sum += channel[i];
    return sum / channels.length;
  });
  return { samples: audible(samples, channels.length, () => channels.some((one) => one.some((sample) => sample))), rate: audio.sampleRate };
}

function context(rate) {
  try {
    return new OfflineAudioContext(1, 1, rate);
  } catch {
    return new OfflineAudioContext(1, 1, 48000);
  }
}

const MPEG = { 3: [44100, 48000, 32000], 2: [22050, 24000, 16000], 0: [11025, 12000, 8000] }; // Hz, by version

// The rate a file says it has: flac, ogg and mp3. Others are nearly always at 48 or 44.1 kHz, and 48 loses nothing.
export function rateOf(bytes) {
  const is = (word, at) => [...word].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
  if (is("fLaC", 0)) return (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4);
  if (is("OggS", 0) && is("\x01vorbis", 28)) return bytes[40] | (bytes[41] << 8) | (bytes[42] << 16);
  const start = is("ID3", 0) ? 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]) : 0;
  const layered = bytes[start] === 0xff && (bytes[start + 1] & 0xe0) === 0xe0 && (bytes[start + 1] & 0x06) !== 0; // else AAC
  if (layered) return MPEG[(bytes[start + 1] >> 3) & 3]?.[(bytes[start + 2] >> 2) & 3] ?? 48000;
  return 48000;
}

// Refuse what is no clip: empty, not finite, silent, never scaled.
export function check(samples) {
  let bad = 0, peak = 0;
  for (const sample of samples) {
    if (Number.isFinite(sample)) peak = Math.max(peak, Math.abs(sample));
    else bad++;
  }
  if (!samples.length) throw unusable("holds 0 samples; remove it or record it again.");
  if (bad) throw unusable(`${bad} of ${samples.length} samples are NaN or infinite (inf); repair or drop the clip.`);
  if (!peak) throw unusable(`all ${samples.length} samples are zero (digital silence); drop the clip.`);
  if (peak > LOUDEST) throw unusable(`samples reach ${peak.toFixed(0)}, a wave −1 to 1; scale integers to that range.`);
  return samples;
}

// At least as many samples as the features need: silence is appended where the model learned so, else it is refused.
export function atLeast(samples, least, pad) {
  if (samples.length >= least) return samples;
  const long = (count) => `${Math.round((1000 * count) / RATE)} ms`;
  if (!pad) throw unusable(`has ${samples.length} samples (${long(samples.length)}); these features need at least ${least} (${long(least)}).`);
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
