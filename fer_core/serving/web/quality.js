// Is a face good enough for a prediction? The warnings of fer_core/images/quality.py, with the thresholds of page.json.

import { grey, resize } from "./pixels.js";

const SIDE = 48; // brightness and sharpness are measured at this size

/** Why the prediction may be unreliable, in words; empty for a good image. `window`: the face as it was cut out. */
export function warnings(face, window, image, limits) {
  const found = [];
  const side = Math.max(window.width, window.height);
  const wanted = Math.max(image.width, image.height);
  if (side < wanted) found.push(`too small (${side} pixels, the network takes ${wanted})`);
  const { data } = resize(grey(window), SIDE, SIDE);
  const bright = mean(data);
  if (bright < limits.dark) found.push(`too dark (mean grey ${bright.toFixed(0)} of 255, below ${limits.dark})`);
  const sharp = sharpness(data);
  if (sharp < limits.blurred) found.push(`blurred (sharpness ${sharp.toFixed(2)}, below ${limits.blurred})`);
  const { turn, tilt } = pose(face.points);
  if (turn > limits.turned) {
    found.push(`turned to the side (nose ${turn.toFixed(2)} eye distances off, above ${limits.turned})`);
  }
  if (tilt > limits.tilted) found.push(`tilted (${tilt.toFixed(0)} degrees, above ${limits.tilted})`);
  return found;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function variance(values) {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / values.length;
}

function sharpness(data) {
  const edges = [];
  for (let y = 1; y < SIDE - 1; y++) {
    for (let x = 1; x < SIDE - 1; x++) {
      const at = y * SIDE + x;
      edges.push(data[at - 1] + data[at + 1] + data[at - SIDE] + data[at + SIDE] - 4 * data[at]);
    }
  }
  const spread = variance(data);
  return spread > 0 ? variance(edges) / spread : 0;
}

// How far the nose is off the middle of the eyes by their distance, and the degrees by which their line is not level.
function pose([left, right, nose]) {
  const [across, down] = [right[0] - left[0], right[1] - left[1]];
  const apart = Math.hypot(across, down);
  if (apart < 1) return { turn: Infinity, tilt: 0 };
  const off = (nose[0] - (left[0] + right[0]) / 2) * across + (nose[1] - (left[1] + right[1]) / 2) * down;
  return { turn: Math.abs(off) / apart ** 2, tilt: Math.abs((Math.atan2(down, across) * 180) / Math.PI) };
}
