// A wav file → the very samples that libsndfile reads. Browsers scale 16-bit samples by another number, and resample.
const PCM = 1, FLOAT = 3, EXTENSIBLE = 0xfffe;
const UNKNOWN = [0, 0xffffffff, 0x7fffffff, 0x7ffff000, 0x7fffff00]; // lengths written by programs that stream

// How a sample is read, by format and bits.
const READERS = {
  [`${PCM}/8`]: (view, at) => (view.getUint8(at) - 128) / 128,
  [`${PCM}/16`]: (view, at) => view.getInt16(at, true) / 32768,
  [`${PCM}/24`]: (view, at) => (view.getInt8(at + 2) * 65536 + view.getUint16(at, true)) / 8388608,
  [`${PCM}/32`]: (view, at) => view.getInt32(at, true) / 2147483648,
  [`${FLOAT}/32`]: (view, at) => view.getFloat32(at, true),
  [`${FLOAT}/64`]: (view, at) => view.getFloat64(at, true),
};

const text = (view, at) => String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));

// -> { lack }, in words, if the file was cut off; { rate, frames, unclosed, unread, mono(), levels() }, which the page reads
// itself; {} for a wav that only the browser reads; null for other files.
export function readWav(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 12 || text(view, 0) !== "RIFF" || text(view, 8) !== "WAVE") return null;
  const { fmt, data } = chunksOf(view);
  if (!fmt || !data) return null;
  const bits = view.getUint16(fmt + 14, true);
  const format = view.getUint16(fmt, true) === EXTENSIBLE ? view.getUint16(fmt + 24, true) : view.getUint16(fmt, true);
  const read = READERS[`${format}/${bits}`];
  const channels = view.getUint16(fmt + 2, true);
  if (data.there < data.claimed) return { lack: `${data.there} of ${data.claimed} bytes` };
  if (!read || !channels) return {};
  const width = bits / 8;
  const frames = Math.floor(data.there / (width * channels));
  return {
    rate: view.getUint32(fmt + 4, true),
    frames,
    unclosed: data.unclosed,
    unread: view.byteLength > 2 * data.claimed + 65536,
    mono: () => Float32Array.from({ length: frames }, (_, i) => mean(view, read, data.at + i * channels * width, channels, width)),
    levels: () => levels(view, read, data.at, frames, channels, width),
  };
}

// RMS of each channel.
function levels(view, read, at, frames, channels, width) {
  const powers = new Array(channels).fill(0);
  for (let i = 0; i < frames * channels; i++) powers[i % channels] += read(view, at + i * width) ** 2;
  return powers.map((power) => Math.sqrt(power / (frames || 1)));
}

// Where the format stands, and the samples: at, bytes that are there, bytes that are claimed, whether nothing was claimed.
function chunksOf(view) {
  const end = view.byteLength;
  const found = {};
  for (let at = 12; at + 8 <= end && !found.data;) {
    const name = text(view, at);
    const size = view.getUint32(at + 4, true);
    const there = end - at - 8;
    const whole = size >= 16 && there >= size;
    if (name === "fmt " && whole && (size >= 26 || view.getUint16(at + 8, true) !== EXTENSIBLE)) found.fmt = at + 8;
    if (name === "data") {
      const unknown = UNKNOWN.includes(size) && (size || view.getUint32(4, true) <= at); // never closed
      found.data = { at: at + 8, there: unknown ? there : Math.min(size, there), claimed: unknown ? there : size, unclosed: unknown && !size };
    }
    at += 8 + size + (size % 2);
  }
  return found;
}

// In 32 bits at every step, as numpy has it.
function mean(view, read, at, channels, width) {
  let sum = Math.fround(read(view, at));
  for (let channel = 1; channel < channels; channel++) sum = Math.fround(sum + Math.fround(read(view, at + channel * width)));
  return sum / channels;
}
