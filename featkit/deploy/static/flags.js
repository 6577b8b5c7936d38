// What is odd about a recording that can be used, in a word and a number: featkit.quality of Python, which has the reasons.
const RATE = 16000;
const SHORT = 0.1; // seconds
const SILENCE = 1.5; // seconds, at one end
const CLIPPED = 1e-3; // share of samples in runs at full scale
const OFFSET = 0.1; // mean relative to RMS
const STEP = 2 ** -16; // what is smaller is digital silence
const FULL = 0.98, RUN = 3; // full scale, and how many samples of it in a row
const QUIET = 2 ** -8, LOUD = 2; // peaks
const FRAME = 512, FAINT = 1e-6, FAINT_SHARE = 0.7; // samples; of the loudest frame's power; of all frames
const EDGE = 5000, FAINT_BAND = 1e-6, SPECTRA = 16; // Hz; of the strongest band's power; frames that are looked at
const GAP = 80, BRINK = 0.1, AROUND = 160; // samples; of the peak; samples
const LOST = 0.02, ALIKE = 0.7, MUTE = 1e-3; // of the promised length; of the channels' power; of the loudest channel

// wave: Float32Array at 16 kHz; stored: what clip.js tells of the file.
export function flags(wave, stored) {
  const peak = highest(wave);
  return [...lengthAndLevel(wave, peak), ...faults(wave, peak), ...narrow(wave, stored.rate), ...storage(stored)];
}

const highest = (samples) => samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
const power = (samples) => samples.reduce((sum, sample) => sum + sample * sample, 0);
const whole = (value) => String(value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value)); // halves as Python rounds them
const decibel = (peak) => whole(20 * Math.log10(Math.max(peak, 1e-10)));

function lengthAndLevel(wave, peak) {
  const seconds = wave.length / RATE;
  const found = seconds < SHORT ? [`short ${whole(1000 * seconds)} ms`] : [];
  const zeros = ends(wave);
  const faint = faintShare(wave);
  const still = zeros[0] + zeros[1];
  if (Math.max(...zeros) > SILENCE || still > seconds / 2 || faint > FAINT_SHARE) {
    found.push(`silent ${whole(100 * Math.max(faint, Math.min(1, still / seconds)))} %`);
  }
  if (peak < QUIET) found.push(`quiet ${decibel(peak)} dB`);
  if (peak > LOUD) found.push(`loud +${decibel(peak)} dB`);
  return found;
}

// Seconds before the first and after the last sample that is no digital silence.
function ends(wave) {
  const loud = (sample) => Math.abs(sample) >= STEP;
  const first = wave.findIndex(loud);
  if (first < 0) return [wave.length / RATE, wave.length / RATE];
  return [first / RATE, (wave.length - 1 - wave.findLastIndex(loud)) / RATE];
}

const framesOf = (wave) => Array.from({ length: Math.floor(wave.length / FRAME) }, (_, i) => wave.subarray(i * FRAME, (i + 1) * FRAME));

function faintShare(wave) {
  const powers = framesOf(wave).map(power);
  const most = powers.reduce((a, b) => Math.max(a, b), 0);
  return powers.length ? powers.filter((one) => one < FAINT * most).length / powers.length : 0;
}

function faults(wave, peak) {
  const found = [];
  const full = runs(wave, (sample) => Math.abs(sample) >= FULL).filter(([start, stop]) => stop - start >= RUN);
  const clipped = full.reduce((sum, [start, stop]) => sum + stop - start, 0) / wave.length;
  if (peak <= LOUD && clipped > CLIPPED) found.push(`clipped ${(100 * clipped).toFixed(1)} %`);
  const mean = wave.reduce((sum, sample) => sum + sample, 0) / wave.length;
  const offset = Math.abs(mean) / Math.sqrt(power(wave) / wave.length);
  if (offset > OFFSET) found.push(`dc ${whole(100 * offset)} %`);
  const lost = gaps(wave, peak);
  if (lost.length) found.push(`dropout ${lost.length} × ${whole((1000 * median(lost)) / RATE)} ms`);
  return found;
}

// Where samples are so without a break: [[first, behind the last], …].
function runs(wave, so) {
  const found = [];
  let start = -1;
  for (let i = 0; i <= wave.length; i++) {
    const here = i < wave.length && so(wave[i]);
    if (here && start < 0) start = i;
    if (!here && start >= 0) { found.push([start, i]); start = -1; }
  }
  return found;
}

// Lengths of digital silence with loud speech right before and right after.
function gaps(wave, peak) {
  const loud = (from, to) => highest(wave.subarray(Math.max(0, from), to)) > BRINK * peak;
  return runs(wave, (sample) => Math.abs(sample) < STEP)
    .filter(([start, stop]) => stop - start >= GAP && start > 0 && stop < wave.length)
    .filter(([start, stop]) => loud(start - AROUND, start) && loud(stop, stop + AROUND))
    .map(([start, stop]) => stop - start);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

// Where sound ends, if that is too low: told by the rate of the file, else looked for in spectra.
function narrow(wave, rate) {
  const edge = rate < RATE ? rate / 2 : edgeOf(wave);
  return edge < EDGE || rate < RATE ? [`narrow ${(edge / 1000).toFixed(1)} kHz`] : [];
}

function edgeOf(wave) {
  const frames = framesOf(wave);
  if (!frames.length) return EDGE;
  const chosen = frames.filter((_, i) => i % Math.ceil(frames.length / SPECTRA) === 0).map(spectrum);
  const powers = Array.from({ length: FRAME / 2 + 1 }, (_, k) => Math.max(...chosen.map((one) => one[k])));
  const most = Math.max(...powers);
  return (powers.findLastIndex((one) => one >= FAINT_BAND * most) * RATE) / FRAME;
}

// Powers of a frame under a Hann window: a plain DFT, for it is done 16 times a clip.
function spectrum(frame) {
  const windowed = frame.map((sample, n) => sample * (0.5 - 0.5 * Math.cos((2 * Math.PI * n) / (FRAME - 1))));
  return Array.from({ length: FRAME / 2 + 1 }, (_, k) => {
    let real = 0, imaginary = 0;
    for (let n = 0; n < FRAME; n++) {
      real += windowed[n] * TURN[(k * n) % FRAME];
      imaginary += windowed[n] * TURN[(k * n + FRAME / 4) % FRAME];
    }
    return real * real + imaginary * imaginary;
  });
}

const TURN = Float64Array.from({ length: FRAME }, (_, n) => Math.cos((2 * Math.PI * n) / FRAME));

// What only decoding sees.
function storage({ seconds, promised, levels, kept, unclosed, cut, unread, unchecked }) {
  const found = channels(levels, kept);
  if (unclosed) found.push("unclosed");
  if (promised && seconds < (1 - LOST) * promised) found.push(`cut ${seconds.toFixed(2)} of ${promised.toFixed(2)} s`);
  else if (cut) found.push(`cut after ${seconds.toFixed(2)} s`);
  if (unread) found.push(`unread after ${seconds.toFixed(2)} s`);
  if (unchecked) found.push(`unchecked ${unchecked}`);
  return found;
}

// levels: RMS of each channel; kept: power of their mean over the mean of their powers.
function channels(levels, kept) {
  const loudest = Math.max(...levels);
  const mute = levels.flatMap((level, i) => (level < MUTE * loudest ? [i + 1] : []));
  if (mute.length) return [`channels ${mute.join(", ")} of ${levels.length} silent`];
  return kept < ALIKE ? [`channels differ, ${whole(10 * Math.log10(Math.max(kept, 1e-10)))} dB in the mean`] : [];
}
