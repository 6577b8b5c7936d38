// What a file tells by its first and last bytes, before and after a decoder: its rate, how much it holds, whether it is whole.
const is = (bytes, word, at) => [...word].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));

// A whole number of `count` bytes, the highest first.
const number = (bytes, at, count) => bytes.subarray(at, at + count).reduce((sum, byte) => 256 * sum + byte, 0);

// -> { rate, samples, exact, cut, unread, checked }: Hz; samples that are promised, 0 where that is not told; whether they must
// be there; an end that is none; more after the end; whether the format tells of its end at all.
export function headOf(bytes) {
  const start = is(bytes, "ID3", 0) ? 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]) : 0;
  const told = { rate: 48000, samples: 0, exact: false, cut: false, unread: false, checked: true }; // 48 or 44.1 kHz mostly, and 48 loses nothing
  if (is(bytes, "fLaC", start)) return { ...told, ...flac(bytes, start) };
  if (is(bytes, "OggS", 0)) return { ...told, ...ogg(bytes) };
  if (is(bytes, "RIFF", 0)) return { ...told, rate: bytes[24] | (bytes[25] << 8) | (bytes[26] << 16) };
  const layered = bytes[start] === 0xff && (bytes[start + 1] & 0xe0) === 0xe0 && (bytes[start + 1] & 0x06) !== 0; // else AAC
  if (layered) return { ...told, ...mpeg(bytes, start) };
  return { ...told, cut: is(bytes, "ftyp", 4) && boxesEnd(bytes) > bytes.length, checked: false };
}

// RFC 9639, section 8.2: 20 bits of rate, 8 of format, 36 of samples; 0 samples where the writer did not know.
function flac(bytes, start) {
  const at = start + 18;
  return { rate: number(bytes, at, 3) >> 4, samples: (bytes[at + 3] & 15) * 2 ** 32 + number(bytes, at + 4, 4), exact: true };
}

// RFC 3533, section 6: byte 5 of a page holds flags, 4 for the last one; byte 14 begins the number of the stream, and byte 26
// tells how many lengths of segments follow.
function ogg(bytes) {
  const rate = is(bytes, "\x01vorbis", 28) ? bytes[40] | (bytes[41] << 8) | (bytes[42] << 16) : 48000;
  let at = bytes.length - 4;
  while (at > 0 && !is(bytes, "OggS", at)) at--;
  const lengths = bytes.subarray(at + 27, at + 27 + bytes[at + 26]);
  const whole = at + 27 + bytes[at + 26] + lengths.reduce((sum, length) => sum + length, 0) <= bytes.length;
  if (!whole) return { rate, cut: true };
  if (number(bytes, at + 14, 4) !== number(bytes, 14, 4)) return { rate, unread: true };
  return { rate, cut: !(bytes[at + 5] & 4) };
}

const MPEG = { 3: [44100, 48000, 32000], 2: [22050, 24000, 16000], 0: [11025, 12000, 8000] }; // Hz, by version

// Encoders write into a first frame, which is silent, how many follow; LAME also, how many samples it put before and after.
function mpeg(bytes, start) {
  const version = (bytes[start + 1] >> 3) & 3;
  const rate = MPEG[version]?.[(bytes[start + 2] >> 2) & 3] ?? 48000;
  for (let at = start + 4; at < start + 64; at++) {
    if ((is(bytes, "Xing", at) || is(bytes, "Info", at)) && bytes[at + 7] & 1) {
      const around = number(bytes, at + 141, 3);
      return { rate, samples: Math.max(0, number(bytes, at + 8, 4) * (version === 3 ? 1152 : 576) - (around >> 12) - (around & 4095)) };
    }
  }
  return { rate };
}

// Where the last box of an MP4 ends, as its length says. ISO/IEC 14496-12, section 4.2: length, name; 0 is "to the end".
function boxesEnd(bytes) {
  let at = 0;
  while (at + 8 <= bytes.length) {
    const size = number(bytes, at, 4);
    if (!size) return bytes.length;
    at += size === 1 ? number(bytes, at + 8, 8) : Math.max(8, size);
  }
  return at;
}
