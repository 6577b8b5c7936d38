// Talks to the server this page came from, and to no other.
import { wav } from "./mic.js";

const own = ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
export const PRIVACY = own ? "Recordings stay on this computer" : `Recordings go to ${location.hostname} and nowhere else`;
export const FORMATS = "wav, flac, mp3, ogg";
export const TOO_SLOW = "The server hears more slowly than you speak: it cannot recognise live with this model.";

// The token stands behind # in the address, where no server and no log sees it, and leaves the address at once.
let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
if (token) history.replaceState(null, "", location.pathname);

class Refused extends Error {
  constructor(status, { code, reason }) {
    super(reason);
    this.status = status;
    this.code = code;
  }
}

async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
  } catch {
    throw new Refused(0, { code: "unreachable", reason: "The server does not answer. Is it still running?" });
  }
  const answer = await response.json().catch(() => ({ code: "unreadable", reason: `The server answered ${response.status}.` }));
  if (response.ok) return answer;
  const refused = new Refused(response.status, answer);
  refused.again = Number(response.headers.get("Retry-After")) || 1;
  throw refused;
}

// What the server says of its model, once it has been shown its token.
export async function model() {
  const form = document.getElementById("token-form");
  for (;;) {
    try {
      return await ask("model");
    } catch (error) {
      if (error.code !== "wrong_token") throw error;
      form.hidden = false;
      tell(token ? "This is not the token of the server; look again where it was started." : "");
      await typed(form);
    } finally {
      form.hidden = true;
    }
  }
}

function tell(text) {
  const notice = document.getElementById("notice");
  notice.textContent = text;
  notice.hidden = !text;
}

function typed(form) {
  const field = document.getElementById("token");
  field.focus();
  return new Promise((done) => {
    form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      token = field.value;
      done();
    }, { once: true });
  });
}

// The answer to one clip. What the server cannot decode (m4a, webm) the browser often can.
export async function predict(file, hop) {
  try {
    return await asked(file, hop);
  } catch (error) {
    if (error.code !== "not_audio") throw error;
    const audio = await decoded(file).catch(() => { throw error; });
    const answer = await asked(audio, hop);
    answer.quality.push(`unchecked ${file.name.split(".").at(-1).toUpperCase()}`); // browsers decode a part without a word
    return answer;
  }
}

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// A busy server is asked again, a few times.
async function asked(file, hop) {
  for (let tries = 0; ; tries++) {
    try {
      return await ask(`predict?hop=${hop}&peaks=600`, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
    } catch (error) {
      if (error.code !== "busy" || tries === 8) throw error;
      await pause(error.again);
    }
  }
}

// -> a wav file at 16 kHz, mono.
async function decoded(file) {
  const context = new OfflineAudioContext(1, 1, 16000);
  const audio = await context.decodeAudioData(await file.arrayBuffer());
  const mono = new Int16Array(audio.length);
  const channels = Array.from({ length: audio.numberOfChannels }, (_, i) => audio.getChannelData(i));
  for (let i = 0; i < mono.length; i++) {
    const mean = channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length;
    mono[i] = Math.max(-32768, Math.min(32767, Math.round(32768 * mean)));
  }
  return wav([mono], 16000);
}

// A stream of the microphone at a rate, Hz: heard(event) for every window, ended(reason) when the server closes it.
// -> send(Int16Array), false when the server is far behind, and close().
export function stream(rate, heard, ended) {
  const protocols = token ? ["featkit", `token.${token}`] : ["featkit"];
  const socket = new WebSocket(new URL(`stream?rate=${rate}`, location.href).href.replace(/^http/, "ws"), protocols);
  const early = []; // sent before the socket is open
  let why = "The server has ended the stream.";
  socket.onopen = () => early.splice(0).forEach((frame) => socket.send(frame));
  socket.onmessage = ({ data }) => {
    const told = JSON.parse(data);
    if (told.code) why = told.reason;
    else heard(told);
  };
  socket.onclose = () => ended(why);
  const send = (frame) => {
    if (socket.readyState === WebSocket.CONNECTING) early.push(frame);
    else socket.send(frame);
    return socket.bufferedAmount < 1e6;
  };
  return { send, close: () => socket.close() };
}
