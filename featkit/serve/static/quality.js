// Flags of a recording, as "clipped 3.1 %", in plain words. What they mean and why: docs/quality.md.
export const WORDS = {
  short: "very short",
  silent: "long silence",
  quiet: "very quiet",
  loud: "far beyond full scale",
  clipped: "too loud for the recorder: peaks are cut off",
  dc: "a constant offset",
  dropout: "sound drops out",
  narrow: "high tones are missing, as on a telephone",
  channels: "channels differ, and their mean was taken",
  unclosed: "the recorder did not finish its file",
  cut: "the file breaks off",
  unread: "the file holds more than is read",
  unchecked: "the format does not tell whether all is there",
};

// Without number and explanation.
export const brief = (flag) => plain(flag).split(/[:,(]/)[0].trim();

export function plain(flag) {
  const [word, ...number] = flag.split(" ");
  return `${WORDS[word] ?? word}${number.length ? ` (${number.join(" ")})` : ""}`;
}
