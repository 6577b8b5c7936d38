// The microphone → windows → answers that do not flicker: featkit.stream of Python, on this page.
import { Resampler } from "./resample.js";
import { RATE } from "./clip.js";

export const SILENCE = "silence", UNSURE = "not sure";
const SLACK = 1e-6; // 3/5 and 0.6 are the same share
const WAITING = 8; // windows; more mean that the model is too slow

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const highest = (values) => values.indexOf(Math.max(...values));

// Cuts samples that come in pieces into overlapping windows.
export class Windows {
  constructor(window, hop) {
    this.window = window;
    this.hop = hop;
    this.buffer = new Float32Array(window);
    this.filled = 0;
    this.position = 0; // samples so far
  }

  // -> [[first sample, Float32Array], …] of the windows that are complete now
  push(samples) {
    const complete = [];
    for (let taken = 0; taken < samples.length;) {
      const piece = samples.subarray(taken, taken + this.window - this.filled);
      this.buffer.set(piece, this.filled);
      this.filled += piece.length;
      this.position += piece.length;
      taken += piece.length;
      if (this.filled === this.window) {
        complete.push([this.position - this.window, this.buffer.slice()]);
        this.buffer.copyWithin(0, this.hop);
        this.filled -= this.hop;
      }
    }
    return complete;
  }
}

// Whether there is a voice in a window: energy against a noise floor that follows the room.
export class Gate {
  constructor({ margin, share, memory, quietest }) {
    Object.assign(this, { margin, share, memory, quietest });
    this.floors = [];
  }

  hears(samples) {
    const powers = powersOf(samples);
    const smooth = powers.length < 5 ? powers : powers.slice(4).map((_, i) => mean(powers.slice(i, i + 5)));
    this.floors.push(Math.min(...smooth.map(decibels)));
    if (this.floors.length > this.memory) this.floors.shift();
    const floor = Math.max(Math.min(...this.floors), this.quietest);
    return mean(powers.map((power) => (decibels(power) > floor + this.margin ? 1 : 0))) >= this.share;
  }
}

// Mean square of each frame of 20 ms; a shorter wave is one frame.
function powersOf(samples) {
  const frame = Math.min(RATE / 50, samples.length);
  return Array.from({ length: Math.floor(samples.length / frame) }, (_, i) => {
    let sum = 0;
    for (let j = i * frame; j < (i + 1) * frame; j++) sum += samples[j] ** 2;
    return sum / frame;
  });
}

const decibels = (power) => 10 * Math.log10(Math.max(power, 1e-12));

// Smooths over the last windows, then holds on to a label.
export class Smoother {
  constructor({ smoothing, votes, threshold, hysteresis }) {
    Object.assign(this, { smoothing, votes, threshold, hysteresis });
    this.reset();
  }

  // -> [index of the label, or null for "not sure"; the smoothed values]
  hear(probabilities) {
    const best = highest(probabilities);
    this.last.push(this.smoothing === "vote" ? probabilities.map((_, i) => (i === best ? 1 : 0)) : probabilities);
    if (this.last.length > this.votes) this.last.shift();
    const smoothed = probabilities.map((_, i) => Math.fround(mean(this.last.map((heard) => heard[i]))));
    this.current = this.#decide(smoothed);
    return [this.current, smoothed];
  }

  // After silence another utterance begins.
  reset() {
    this.last = [];
    this.current = null;
  }

  #decide(smoothed) {
    const held = this.current;
    let best = this.#best(smoothed);
    if (held !== null && smoothed[best] < smoothed[held] + this.hysteresis - SLACK) best = held;
    const floor = this.threshold - (best === held ? this.hysteresis : 0);
    return smoothed[best] >= floor - SLACK ? best : null;
  }

  // The highest; among equals the one that stands, else the one heard last.
  #best(smoothed) {
    const top = Math.max(...smoothed);
    const equal = smoothed.flatMap((value, i) => (value >= top - SLACK ? [i] : []));
    if (equal.includes(this.current)) return this.current;
    const latest = this.last.map(highest).reverse().find((i) => equal.includes(i));
    return latest ?? equal[0];
  }
}

// One stream at a rate, Hz. judge(Float32Array) → probabilities, later; heard(event) is called for every window, in order.
export class Live {
  constructor({ labels, live, rate, judge, heard, failed }) {
    Object.assign(this, { labels, judge, heard, failed });
    this.resampler = rate === RATE ? null : new Resampler(rate);
    this.windows = new Windows(Math.round(live.window * RATE), Math.round(live.hop * RATE));
    this.gate = new Gate(live.gate);
    this.smoother = new Smoother(live);
    this.waiting = 0;
    this.before = Promise.resolve();
    this.open = true;
  }

  // Takes 16-bit samples; false when too many windows wait.
  push(frame) {
    const samples = Float32Array.from(frame, (sample) => sample / 32768);
    for (const [start, window] of this.windows.push(this.resampler ? this.resampler.push(samples) : samples)) {
      this.waiting++;
      this.before = this.before.then(() => this.#answer(start, window)).catch(this.failed).finally(() => { this.waiting--; });
    }
    return this.waiting <= WAITING;
  }

  close() {
    this.open = false;
  }

  async #answer(start, window) {
    if (!this.open) return;
    const event = { start: start / RATE, end: (start + window.length) / RATE, label: null, reason: SILENCE, probabilities: null, smoothed: null };
    if (this.gate.hears(window) && window.some((sample) => sample)) {
      const probabilities = await this.judge(window);
      const [label, smoothed] = this.smoother.hear(probabilities);
      event.label = label === null ? null : this.labels[label];
      event.reason = label === null ? UNSURE : null;
      event.probabilities = this.#byLabel(probabilities);
      event.smoothed = this.#byLabel(smoothed);
    } else {
      this.smoother.reset();
    }
    if (this.open) this.heard(event);
  }

  #byLabel(values) {
    return Object.fromEntries(this.labels.map((label, i) => [label, values[i]]));
  }
}
