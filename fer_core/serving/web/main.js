// The page: where the image comes from, which networks are asked, and what is shown of their answers.

import { about, column, element } from "./answers.js";
import { watch } from "./camera.js";
import * as engine from "./client.js";
import { open } from "./photos.js";
import * as stage from "./stage.js";

const find = (selector) => document.querySelector(selector);
const status = (text) => { find("#status").textContent = text; };

const state = { site: null, networks: [], answer: null, face: 0, stop: null, turn: 0 };

function problem(error) {
  find("#problem").textContent = error?.message ?? "";
  find("#problem").hidden = !error;
}

const cardOf = (name) => state.site.networks.find((card) => card.name === name);

/** Ask the networks about an image, of the example whose button is given or another. Of several at once only the last one is shown. */
async function look(bitmap, description, button = null) {
  const turn = begin(button);
  stage.show(await createImageBitmap(bitmap), description);
  find("#faces").replaceChildren();
  status("Looking for faces …");
  const answer = await engine.predict(bitmap, state.networks);
  if (turn !== state.turn) return;
  state.answer = answer;
  state.face = 0;
  draw();
}

// What is shown from now on is another image; answers to the one before come too late. Returns the image's turn.
function begin(button = null) {
  for (const one of document.querySelectorAll("#examples button")) one.setAttribute("aria-pressed", String(one === button));
  problem(null);
  state.turn += 1;
  return state.turn;
}

/** Ask the networks about the camera's next frame; it is drawn while the one after it is being answered. */
async function lookOn(bitmap) {
  const { turn } = state;
  const answer = await engine.follow(bitmap, state.networks);
  if (turn !== state.turn || !state.stop) return;
  state.answer = answer;
  state.face = Math.min(state.face, Math.max(0, answer.faces.length - 1));
  answered();
  requestAnimationFrame(() => { if (state.answer === answer) draw(); });
}

function draw() {
  const { faces, whole } = state.answer;
  const isCamera = Boolean(state.stop);
  const count = faces.length === 1 ? "1 face" : `${faces.length} faces`;
  if (isCamera) say(faces.length ? `${count}; ${rate()} frames a second` : "No face is seen.");
  else if (faces.length) status(`${count}, ${Math.round(whole)} ms`);
  else status("No face was found. Use a photo in which a face is larger than 32 pixels and not covered.");
  frame();
  const face = faces[state.face];
  find("#warnings").hidden = !face?.warnings.length;
  find("#warnings").replaceChildren(...(face?.warnings ?? []).map((text) => element("li", {}, `The face is ${text}.`)));
  find("#answers").replaceChildren(
    ...(face ? state.networks.map((name) => column(cardOf(name), face.probabilities[name], state.site.threshold, map)) : []),
  );
  if (isCamera) for (const button of document.querySelectorAll(".map")) button.hidden = true;
}

// The boxes; where the page has another size they lie elsewhere.
function frame() {
  stage.frame(state.answer, cardOf(state.networks[0]), state.site.threshold, state.face, (at) => {
    state.face = at;
    if (!state.stop) stage.paint(null);
    draw();
  });
}

let said = 0;
// Once a second: a screen reader reads each change aloud.
function say(text) {
  if (performance.now() - said < 1000) return;
  said = performance.now();
  status(text);
}

const times = []; // of the camera's answers in the last two seconds
function answered() {
  times.push(performance.now());
  while (times.at(-1) - times[0] > 2000) times.shift();
}
const rate = () => (times.length > 1 ? ((1000 * (times.length - 1)) / (times.at(-1) - times[0])).toFixed(1) : "–");

/** Draw the map of a network's prediction over the face, or take it away again. */
async function map(card, target, button, line) {
  const shown = button.getAttribute("aria-pressed") === "true";
  for (const one of document.querySelectorAll(".map button")) one.setAttribute("aria-pressed", "false");
  for (const one of document.querySelectorAll(".map p")) one.textContent = "What does the prediction depend on?";
  stage.paint(null);
  if (shown) return;
  const { turn, face } = state;
  button.disabled = true;
  try {
    const found = await engine.explain(card.name, face, target, (share) => {
      line.textContent = `Covering parts of the face … ${Math.round(100 * share)} %`;
    });
    if (turn !== state.turn || face !== state.face) return;
    const limit = stage.paint(found);
    button.setAttribute("aria-pressed", "true");
    line.replaceChildren(
      `When a red part is covered, the score of “${card.expressions[target]}” falls; for a blue part it rises. `,
      element("span", { class: "limits" }, (-limit).toFixed(2), element("span", { class: "scale", role: "img", "aria-label": "from blue to red" }), limit.toFixed(2)),
      found.whole ? "" : ". The map is of the face and its mirror image; the prediction averages ten crops, which a map would take too long for.",
    );
  } catch (error) {
    problem(error);
  } finally {
    button.disabled = false;
  }
}

async function example(button, { file, text }) {
  stopCamera();
  await look(await createImageBitmap(await (await fetch(file)).blob(), { colorSpaceConversion: "none" }), text, button);
}

async function photo(file) {
  if (!file) return;
  stopCamera();
  status("");
  await look(await open(file), `Your photo, ${file.name}`);
}

function stopCamera() {
  state.stop?.();
  state.stop = null;
  find("#camera").setAttribute("aria-pressed", "false");
  find("#camera").textContent = "Start the camera";
}

async function camera() {
  const video = find("#video");
  if (state.stop) {
    const last = state.answer && video.videoWidth ? await createImageBitmap(video) : null;
    stopCamera();
    if (last) await look(last, "The last image of the camera");
    return;
  }
  begin();
  status("Waiting for the camera …");
  times.length = 0;
  state.stop = await watch(video, lookOn, (error) => {
    stopCamera();
    status("");
    problem(error);
  });
  stage.showVideo();
  find("#camera").setAttribute("aria-pressed", "true");
  find("#camera").textContent = "Stop the camera";
}

/** Run what somebody asked for; what goes wrong is told in a sentence. */
const told = (work) => async (...given) => {
  try {
    await work(...given);
  } catch (error) {
    status("");
    problem(error);
  }
};

function choices() {
  const boxes = state.site.networks.map((card, at) => {
    const input = element("input", { type: "checkbox", value: card.name, checked: at === 0 });
    input.addEventListener("change", told(async () => {
      const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
      if (!chosen.length) input.checked = true; // one network is asked at least
      else state.networks = chosen;
      if (!state.stop) await again();
    }));
    find("#networks").append(element("label", {}, input, card.title));
    return input;
  });
  state.networks = [state.site.networks[0].name];
  find("#networks").hidden = boxes.length === 1;
}

async function again() {
  const bitmap = await createImageBitmap(find("#picture"));
  await look(bitmap, find("#picture").getAttribute("aria-label"), find("#examples button[aria-pressed='true']"));
}

function examples() {
  for (const one of state.site.examples) {
    const image = element("img", { src: one.file, alt: one.text, width: 176, height: 176 });
    const button = element("button", { type: "button", title: one.text, "aria-pressed": "false" }, image);
    button.addEventListener("click", told(() => example(button, one)));
    find("#examples").append(button);
  }
}

function listen() {
  find("#file").addEventListener("change", told(async ({ target }) => {
    const [file] = target.files;
    target.value = ""; // so that the same photo can be opened again
    await photo(file);
  }));
  find("#camera").addEventListener("click", told(camera));
  document.addEventListener("paste", told(({ clipboardData }) => photo(clipboardData.files[0])));
  document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", told(async (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    await photo(event.dataTransfer.files[0]);
  }));
  addEventListener("resize", () => { if (state.answer) frame(); });
}

// The smallest module with an instruction of 128 bits: whether it is valid tells whether the runtime can work.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

function check() {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(SIMD))) {
    throw new Error("This browser has no WebAssembly with SIMD, which the networks need. Use a browser of 2023 or later.");
  }
  if (typeof OffscreenCanvas === "undefined") {
    throw new Error("This browser cannot draw outside of the page, which the networks need. Use a browser of 2023 or later.");
  }
}

async function keep() {
  if (!("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register("sw.js").catch(() => null); // a private window has none; the page works without
}

async function main() {
  check();
  state.site = await (await fetch("page.json")).json();
  find("#limits").textContent = state.site.notes.join(" ");
  find("#cards").append(...state.site.networks.map(about));
  choices();
  examples();
  listen();
  const started = engine.start();
  const first = find("#examples button");
  const host = await started;
  const threads = host.threads > 1 ? `${host.threads} threads` : "1 thread";
  find("#host").textContent = `FERscope ${state.site.version}; the networks run by ${host.gpu ? "WebGPU" : `WebAssembly, ${threads}`}.`;
  await example(first, state.site.examples[0]);
  document.body.dataset.ready = "true";
  await keep();
}

told(main)();
