// The image with the boxes of its faces, and a map drawn over one of them.

import { element, percent, verdict } from "./answers.js";

const canvas = document.querySelector("#picture");
const video = document.querySelector("#video");
const boxes = document.querySelector("#faces");
const BLUE = [33, 102, 172]; // the ends of the scale, as in fer_core/explanation/overlay.py
const RED = [178, 24, 43];
const STRENGTH = 0.6; // opacity where the map reaches its limit
const INSIDE = 0.995; // share of the map's pixels within its limit

let source; // the image without a map

/** Show an image; the bitmap stays with the stage. */
export function show(bitmap, description) {
  source?.close();
  source = bitmap;
  video.hidden = true;
  canvas.hidden = false;
  canvas.setAttribute("aria-label", description);
  redraw();
}

/** Show the camera instead of an image. */
export function showVideo() {
  canvas.hidden = true;
  video.hidden = false;
  boxes.replaceChildren();
}

function redraw() {
  canvas.width = source.width;
  canvas.height = source.height;
  canvas.getContext("2d").drawImage(source, 0, 0);
}

/** Boxes of the faces as buttons; `choose` is told which face is looked at. */
export function frame({ width, height, faces }, card, threshold, chosen, choose) {
  const stage = boxes.getBoundingClientRect();
  const zoom = Math.min(stage.width / width, stage.height / height);
  const place = (value, all) => `${(100 * value) / all}%`;
  const left = (stage.width - width * zoom) / 2;
  const top = (stage.height - height * zoom) / 2;
  while (boxes.children.length > faces.length) boxes.lastChild.remove();
  for (const [at, { box, probabilities }] of faces.entries()) {
    // The camera's buttons stay from frame to frame, so that a click and the keyboard's focus are not lost.
    const button = boxes.children[at] ?? boxes.appendChild(element("button", { type: "button" }, element("span")));
    const { name, share, sure } = verdict(card, probabilities[card.name], threshold);
    const words = sure ? `${name} ${percent(share, 0)}` : "not sure";
    button.setAttribute("aria-pressed", String(at === chosen));
    button.setAttribute("aria-label", `Face ${at + 1}: ${words}`);
    button.firstChild.textContent = words;
    button.style.left = place(left + box[0] * zoom, stage.width);
    button.style.top = place(top + box[1] * zoom, stage.height);
    button.style.width = place(box[2] * zoom, stage.width);
    button.style.height = place(box[3] * zoom, stage.height);
    button.classList.toggle("low", top + (box[1] + box[3]) * zoom > stage.height - 28);
    button.classList.toggle("right", left + box[0] * zoom > stage.width - 120);
    button.onclick = () => choose(at);
  }
}

/** Draw a map over its face, or with null take it away. Returns the value of the scale's last colour. */
export function paint(map) {
  redraw();
  if (map === null) return 0;
  const sorted = map.values.map(Math.abs).sort();
  const limit = sorted[Math.floor(INSIDE * (sorted.length - 1))] || sorted.at(-1);
  const layer = new ImageData(map.width, map.height);
  map.values.forEach((value, at) => {
    const level = limit > 0 ? Math.max(-1, Math.min(1, value / limit)) : 0;
    const end = level > 0 ? RED : BLUE;
    for (let c = 0; c < 3; c++) layer.data[4 * at + c] = 255 + Math.abs(level) * (end[c] - 255);
    layer.data[4 * at + 3] = 255 * STRENGTH * Math.abs(level);
  });
  const small = new OffscreenCanvas(map.width, map.height);
  small.getContext("2d").putImageData(layer, 0, 0);
  const { left, top, side } = map.frame;
  canvas.getContext("2d").drawImage(small, left, top, side, side);
  return limit;
}
