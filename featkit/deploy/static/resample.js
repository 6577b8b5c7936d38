// Any rate → 16 kHz, block by block. As steep as soxr at HQ, with which the model's clips were converted: a browser's own
// conversion is faster and less clean.
const RATE = 16000;
const PASS = 0.913; // of the lower half rate is kept, and nothing beyond it
const BETA = 12.26; // of the Kaiser window: 120 dB
const ROWS = 1024; // filters that are kept; rates that need more are interpolated between half as many

// Modified Bessel function of the first kind, order 0.
function bessel(x) {
  let sum = 1;
  for (let k = 1, term = 1; term > 1e-12 * sum; k++) {
    term *= (x / 2 / k) ** 2;
    sum += term;
  }
  return sum;
}

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

export class Resampler {
  constructor(rate) {
    this.rate = rate;
    this.phases = RATE / divisor(rate, RATE);
    this.step = rate / divisor(rate, RATE); // in 1/phases of an input sample
    this.rows = new Array((this.phases <= ROWS ? this.phases : ROWS / 2) + 1);
    const lower = Math.min(rate, RATE) / 2;
    this.cut = (lower * (1 + PASS)) / rate; // −6 dB, in the middle of the slope, against half the input rate
    this.half = Math.ceil((7.8 * rate) / (lower * (1 - PASS)) / 2); // input samples on each side of an output sample
    this.buffer = new Float32Array(this.half - 1); // silence comes before the first sample
    this.first = 1 - this.half; // where the buffer begins
    this.heard = 0;
    this.told = 0;
  }

  // Float32Array → what can be told of it by now.
  push(samples) {
    const buffer = new Float32Array(this.buffer.length + samples.length);
    buffer.set(this.buffer);
    buffer.set(samples, this.buffer.length);
    this.buffer = buffer;
    this.heard += samples.length;
    return this.#told((this.first + buffer.length - this.half) * this.phases);
  }

  // The rest, as if silence followed.
  flush() {
    const heard = this.heard;
    const left = Math.round((heard * RATE) / this.rate) - this.told;
    return this.push(new Float32Array(2 * this.half + Math.ceil(this.rate / RATE))).subarray(0, left);
  }

  // All output samples before `end`, in 1/phases of an input sample.
  #told(end) {
    const count = Math.max(0, Math.ceil(end / this.step) - this.told);
    const out = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const at = (this.told + i) * this.step;
      out[i] = this.#sample(Math.floor(at / this.phases), (at % this.phases) / this.phases);
    }
    this.told += count;
    const keep = Math.floor((this.told * this.step) / this.phases) - this.half + 1;
    this.buffer = this.buffer.slice(Math.min(this.buffer.length, keep - this.first));
    this.first = keep;
    return out;
  }

  #sample(whole, fraction) {
    const place = fraction * (this.rows.length - 1);
    const row = Math.floor(place + 1e-9);
    const start = whole - this.half + 1 - this.first;
    const value = this.#dot(this.#row(row), start);
    const beside = place - row;
    return beside < 1e-6 ? value : value + beside * (this.#dot(this.#row(row + 1), start) - value);
  }

  #dot(row, start) {
    let sum = 0;
    for (let j = 0; j < row.length; j++) sum += row[j] * this.buffer[start + j];
    return sum;
  }

  #row(index) {
    this.rows[index] ??= Float32Array.from({ length: 2 * this.half }, (_, j) => {
      const x = index / (this.rows.length - 1) + this.half - 1 - j;
      const within = 1 - (x / this.half) ** 2;
      if (within <= 0) return 0;
      const angle = Math.PI * this.cut * x;
      return (x ? (this.cut * Math.sin(angle)) / angle : this.cut) * bessel(BETA * Math.sqrt(within)) / bessel(BETA);
    });
    return this.rows[index];
  }
}

// A whole recording at a rate, Hz.
export function resampled(samples, rate) {
  if (rate === RATE) return samples;
  const resampler = new Resampler(rate);
  const parts = [resampler.push(samples), resampler.flush()];
  const whole = new Float32Array(parts[0].length + parts[1].length);
  whole.set(parts[0]);
  whole.set(parts[1], parts[0].length);
  return whole;
}
