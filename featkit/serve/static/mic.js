// The microphone as it hears: what browsers do to make calls clear takes away what a voice tells.
const AS_IT_IS = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

const REASONS = {
  NotAllowedError: "The browser may not use the microphone. Allow it in the address bar and try again.",
  NotFoundError: "There is no microphone.",
  NotReadableError: "The microphone is used by another program.",
};

// Calls onFrame(Int16Array) for every 1024 samples. -> { rate, stop }
export async function listen(onFrame) {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers open the microphone only on this computer (127.0.0.1) or over https.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS });
  } catch (error) {
    throw new Error(REASONS[error.name] ?? `The microphone cannot be opened (${error.name}).`);
  }
  const free = () => stream.getTracks().forEach((track) => track.stop());
  let context, source;
  try {
    [context, source] = connected(stream);
    await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "frames");
    node.port.onmessage = ({ data }) => onFrame(new Int16Array(data));
    source.connect(node).connect(context.destination); // its output is silence
    await context.resume();
    return { rate: context.sampleRate, stop: () => { node.port.onmessage = null; free(); return context.close(); } };
  } catch (error) {
    free();
    context?.close();
    throw new Error(`The microphone cannot be read (${error.message}).`);
  }
}

// At 16 kHz where the browser can convert; Firefox may not, then at the microphone's own rate, and who recognises converts.
function connected(stream) {
  try {
    return joined(stream, new AudioContext({ sampleRate: 16000 }));
  } catch {
    return joined(stream, new AudioContext());
  }
}

// A browser has few contexts: one that is of no use is closed.
function joined(stream, context) {
  try {
    return [context, context.createMediaStreamSource(stream)];
  } catch (error) {
    context.close();
    throw error;
  }
}

export function loudness(frame) {
  let sum = 0;
  for (const sample of frame) sum += sample * sample;
  const decibels = 10 * Math.log10(sum / frame.length / 32768 ** 2 + 1e-9);
  return Math.max(0, Math.min(1, (decibels + 60) / 55));
}

// Frames of 16-bit integers -> a wav file.
export function wav(frames, rate) {
  const bytes = 2 * frames.reduce((sum, frame) => sum + frame.length, 0);
  const head = new DataView(new ArrayBuffer(44));
  const put = (at, text) => [...text].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  put(0, "RIFF"); head.setUint32(4, 36 + bytes, true); put(8, "WAVEfmt ");
  head.setUint32(16, 16, true); head.setUint16(20, 1, true); head.setUint16(22, 1, true);
  head.setUint32(24, rate, true); head.setUint32(28, 2 * rate, true); head.setUint16(32, 2, true); head.setUint16(34, 16, true);
  put(36, "data"); head.setUint32(40, bytes, true);
  return new Blob([head, ...frames], { type: "audio/wav" });
}
