// Waveform, timeline and bars. SVG, so that colours follow the theme and sizes the page.
import { capital, percent } from "./tones.js";

const SVG = "http://www.w3.org/2000/svg";

export function element(name, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text; // never HTML: names of files and labels are strangers' words
  made.append(...children);
  return made;
}

function path(points, tone) {
  const made = document.createElementNS(SVG, "path");
  made.setAttribute("d", points);
  if (tone) made.style.setProperty("--tone", tone);
  return made;
}

function svg(width, height, paths) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("viewBox", `0 0 ${width} ${height}`);
  made.setAttribute("preserveAspectRatio", "none");
  made.setAttribute("aria-hidden", "true"); // the box around it has the words
  made.append(...paths);
  return made;
}

// peaks: [[lowest, highest], …] in −1 to 1; quiet recordings are drawn larger.
export function waveform(box, peaks) {
  const loudest = Math.max(0.02, ...peaks.map(([low, high]) => Math.max(-low, high)));
  const at = (value) => (50 - (46 * value) / loudest).toFixed(1);
  const upper = peaks.map(([, high], i) => `${i} ${at(Math.max(high, 0.008 * loudest))}`);
  const lower = peaks.map(([low], i) => `${i} ${at(Math.min(low, -0.008 * loudest))}`).reverse();
  box.replaceChildren(svg(peaks.length - 1 || 1, 100, [path(`M${[...upper, ...lower].join("L")}Z`)]));
}

// A band of stacked shares. times: seconds of the points; rows: for each point the shares in the order of labels.
export function timeline(box, { times, rows, from, to, tones }) {
  if (!rows.length) return box.replaceChildren();
  const x = (seconds) => (1000 * (seconds - from)) / (to - from || 1);
  const spots = rows.length === 1 ? [[from, rows[0]], [to, rows[0]]] : times.map((time, i) => [time, rows[i]]);
  const below = spots.map(() => 0);
  const paths = tones.map((tone, k) => {
    const low = spots.map(([time], i) => `${x(time).toFixed(1)} ${(100 * below[i]).toFixed(2)}`);
    spots.forEach(([, row], i) => { below[i] += row[k]; });
    const high = spots.map(([time], i) => `${x(time).toFixed(1)} ${(100 * below[i]).toFixed(2)}`);
    return path(`M${[...low, ...high.reverse()].join("L")}Z`, tone);
  });
  box.replaceChildren(svg(1000, 100, paths));
}

// Text with `code` in it, as a model card has it.
export const withCode = (text) => text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? element("code", { text: part }) : part));

// The name of a file, which breaks where people would break it, before it breaks anywhere.
export const breakable = (name) => name.split(/(?<=[_-])|(?=\.)/).flatMap((part, i) => (i ? [element("wbr"), part] : [part]));

// One bar a label, that of `told` stands out; called again it moves them.
export function bars(list, labels, shares, tones, told) {
  if (list.children.length !== labels.length) {
    list.replaceChildren(...labels.map((label, i) => {
      const fill = element("div");
      fill.style.setProperty("--tone", tones[i]);
      const track = element("div", { class: "track", "aria-hidden": "true" }, fill);
      return element("li", {}, element("span", { class: "name", text: capital(label) }), track, element("span", { class: "value" }));
    }));
  }
  [...list.children].forEach((row, i) => {
    const fill = row.querySelector(".track div");
    fill.style.width = `${100 * shares[i]}%`;
    fill.hidden = percent(shares[i]) === percent(0) || shares[i] === null; // the least bar would be two pixels
    row.querySelector(".value").textContent = percent(shares[i]);
    row.querySelector(".name").classList.toggle("top-one", labels[i] === told);
  });
}

export function table(target, head, rows) {
  const cells = (name, values) => values.map((text) => element(name, { text, ...(name === "th" ? { scope: "col" } : {}) }));
  target.replaceChildren(
    element("thead", {}, element("tr", {}, ...cells("th", head))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells("td", row)))),
  );
}
