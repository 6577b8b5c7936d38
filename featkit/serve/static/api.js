// Talks to the server this page came from, and to no other.

// The token stands behind # in the address, where no server and no log sees it, and leaves the address at once.
let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
if (token) history.replaceState(null, "", location.pathname);

export function useToken(given) { token = given; }

export class Refused extends Error {
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

export const model = () => ask("/model");

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// A busy server is asked again, a few times.
export async function predict(file, hop) {
  for (let tries = 0; ; tries++) {
    try {
      return await ask(`/predict?hop=${hop}&peaks=600`, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
    } catch (error) {
      if (error.code !== "busy" || tries === 8) throw error;
      await pause(error.again);
    }
  }
}

export function stream(rate) {
  const protocols = token ? ["featkit", `token.${token}`] : ["featkit"];
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/stream?rate=${rate}`, protocols);
  socket.binaryType = "arraybuffer";
  return socket;
}
