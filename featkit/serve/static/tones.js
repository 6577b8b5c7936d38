// A colour for each emotion, the same everywhere on the page and readable on light and dark.
const KNOWN = {
  anger: [25, 0.19, 0.62], happiness: [88, 0.16, 0.78], sadness: [258, 0.15, 0.58], neutral: [240, 0.015, 0.66], fear: [305, 0.17, 0.6],
  disgust: [142, 0.15, 0.62], surprise: [190, 0.12, 0.72], boredom: [62, 0.07, 0.56], calm: [222, 0.09, 0.76], contempt: [345, 0.14, 0.66],
};
const SAME = {
  angry: "anger", happy: "happiness", joy: "happiness", sad: "sadness", fearful: "fear", disgusted: "disgust", surprised: "surprise",
  bored: "boredom", frustration: "contempt", excited: "surprise", excitement: "surprise",
};

export function toneOf(label, index) {
  const key = label.toLowerCase();
  const [hue, chroma, light] = KNOWN[SAME[key] ?? key] ?? [(index * 137.5 + 10) % 360, 0.14, 0.66];
  return `oklch(${light} ${chroma} ${hue})`;
}

// Of nothing there is no share.
export const percent = (share) => share === null ? "–" : `${(100 * share).toFixed(share < 0.0995 && share >= 0.0005 ? 1 : 0)} %`;

// Below a second tenths say nothing.
export const length = (seconds) => (seconds < 0.9995 ? `${Math.round(1000 * seconds)} ms` : `${seconds.toFixed(1)} s`);

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
