"use strict";
// Texts reach the page as text alone: names of files and of classes may be anything.

const find = selector => document.querySelector(selector);
const limits = { photographs: Number(document.body.dataset.photographs), bytes: Number(document.body.dataset.bytes) };
const GROUP = 8; // photographs of a request, so that answers come while others are sent
const TRIES = 5; // where the server is busy
const columns = JSON.parse(document.body.dataset.columns);
const lines = []; // of the table as CSV
let asked = 0, answered = 0, round = 0, sending = Promise.resolve();

function element(name, content = "", attributes = {}) {
  const made = document.createElement(name);
  made.append(...(Array.isArray(content) ? content : [String(content)]));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function say() {
  const of = `${answered} of ${asked} photograph${asked === 1 ? "" : "s"}`;
  find("#status").textContent = asked ? `${of} answered.` : "No photograph was asked about.";
  find("table").hidden = find("#clear").disabled = !asked;
  find("#csv").disabled = !lines.length;
}

function ask(files) {
  const photographs = [...files].map(file => ({ file, row: newRow(file) }));
  asked += photographs.length;
  say();
  for (const group of groupsOf(photographs)) {
    const current = round;
    sending = sending.then(() => current === round ? answer(group, current) : null);
  }
}

// Groups that a request may bring; what is too large alone stays alone and is refused.
function* groupsOf(photographs) {
  let group = [], bytes = 0;
  for (const of of photographs) {
    if (group.length && (group.length === Math.min(GROUP, limits.photographs) || bytes + of.file.size > limits.bytes / 2)) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(of);
    bytes += of.file.size;
  }
  if (group.length) yield group;
}

async function answer(group, current) {
  let found;
  try {
    if (group[0].file.size > limits.bytes) throw new Error("the photograph is larger than the server takes");
    found = await post("api/predict", group.map(of => of.file));
  } catch (error) {
    const rows = group.map(of => failed(of.file.name, error.message));
    found = { answers: group.map(() => ({ error: error.message })), table: csv([columns, ...rows]) };
  }
  if (current !== round) return;
  group.forEach((of, place) => fill(of, found.answers[place]));
  lines.push(...found.table.split("\n").filter(line => line).slice(lines.length ? 1 : 0));
  answered += group.length;
  say();
}

// A row of the table for a photograph whose request failed.
function failed(name, error) {
  const known = { path: name, image_id: name.replace(/(.)\.[^.]+$/, "$1"), error, notice: find(".notices p").textContent };
  return columns.map(column => known[column] ?? "");
}

// As the server writes it: what a spreadsheet would calculate has an apostrophe before it.
function csv(rows) {
  const cell = text => `"${(/^'*[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  return rows.map(row => `${row.map(cell).join(",")}\n`).join("");
}

async function post(path, files) {
  for (let left = TRIES; ; left--) {
    const form = new FormData();
    for (const file of files) form.append("photographs", file, file.name);
    const response = await fetch(path, { method: "POST", body: form }).catch(() => {
      throw new Error("the server cannot be reached");
    });
    if (response.status === 503 && left) {
      await new Promise(done => setTimeout(done, 1000 * Number(response.headers.get("Retry-After") || 1)));
      continue;
    }
    const found = await response.json();
    if (!response.ok) throw new Error(found.error);
    return found;
  }
}

function newRow(file) {
  const picture = element("img", "", { alt: "" });
  picture.src = URL.createObjectURL(file);
  picture.onload = picture.onerror = () => URL.revokeObjectURL(picture.src);
  const row = element("tr", [
    element("th", [picture, file.name], { scope: "row", role: "rowheader" }),
    element("td", "Waiting for the answer.", { role: "cell" }),
    element("td", "", { role: "cell" }),
  ], { role: "row" });
  find("tbody").append(row);
  return row;
}

function fill({ file, row }, found) {
  const [, told, shares] = row.children;
  if (found.error) {
    told.replaceChildren(element("p", `No answer: ${found.error}.`, { class: "warning" }));
    return;
  }
  const warnings = found.flags.length + Number(found.unlike === true);
  const said = found.says.map((line, place) => element("p", line, place < warnings ? { class: "warning" } : {}));
  const why = element("button", "What it rests on", { type: "button", "aria-label": `What the answer to ${file.name} rests on` });
  why.onclick = () => explain(file, told, why);
  told.replaceChildren(element("p", found.prediction, { class: "prediction" }), ...said, why);
  const order = Object.entries(found.probabilities).sort((a, b) => b[1] - a[1]);
  const list = element("dl", order.slice(0, 10).map(([name, p]) => {
    const meter = element("meter", percent(p), { min: 0, max: 1, value: p, "aria-hidden": "true" });
    return element("div", [element("dt", name), element("dd", [meter]), element("dd", percent(p))]);
  }), { class: "shares" });
  shares.replaceChildren(list);
}

const percent = p => `${(100 * p).toFixed(1)} %`;

async function explain(file, told, why) {
  why.disabled = true;
  why.textContent = "Looking";
  try {
    const found = await post("api/explain", [file]);
    const pictures = found.pictures.map(({ shows, png }) =>
      element("figure", [element("img", "", { src: `data:image/png;base64,${png}`, alt: shows }), element("figcaption", shows)]));
    const note = element("p", "Where the maps of the network speak for the class: the brighter, the more. It is no outline of the lesion.", { class: "faint" });
    told.append(element("div", pictures, { class: "rests", role: "group", "aria-label": "What the answer rests on", tabindex: "-1" }), note);
    why.remove();
    told.querySelector(".rests").focus();
    find("#status").textContent = `What the answer to ${file.name} rests on is shown.`;
  } catch (error) {
    why.replaceWith(element("p", `It cannot be shown: ${error.message}.`, { class: "warning" }));
  }
}

function save() {
  const link = element("a", "", { download: "predictions.csv" });
  link.href = URL.createObjectURL(new Blob([lines.map(line => `${line}\n`).join("")], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function clear() {
  asked = answered = lines.length = 0;
  round += 1;
  find("tbody").replaceChildren();
  say();
  find("#files").focus();
}

async function openCamera() {
  const video = find("video");
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
    await video.play();
    find("#viewfinder").hidden = false;
    find("#take").focus();
  } catch {
    find("#status").textContent = "The browser gives no camera: choose a photograph instead.";
  }
}

function takePhotograph() {
  const video = find("video"), canvas = element("canvas", "", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const name = `camera ${asked + 1}.png`;
  canvas.toBlob(blob => ask([new File([blob], name, { type: "image/png" })]), "image/png");
}

function closeCamera() {
  for (const track of find("video").srcObject?.getTracks() ?? []) track.stop();
  find("#viewfinder").hidden = true;
  find("#camera").focus();
}

for (const input of document.querySelectorAll("input[type=file]")) {
  input.onchange = () => { ask(input.files); input.value = ""; };
}
const drop = find("#drop");
drop.ondragover = event => { event.preventDefault(); drop.classList.add("over"); };
drop.ondragleave = () => drop.classList.remove("over");
drop.ondrop = event => { event.preventDefault(); drop.classList.remove("over"); ask(event.dataTransfer.files); };
// Without a safe origin a page has no camera; phones offer theirs in place of files.
find("#camera").hidden = !navigator.mediaDevices;
find("#phone").hidden = Boolean(navigator.mediaDevices);
find("#camera").onclick = openCamera;
find("#take").onclick = takePhotograph;
find("#put-away").onclick = closeCamera;
find("#csv").onclick = save;
find("#clear").onclick = clear;
