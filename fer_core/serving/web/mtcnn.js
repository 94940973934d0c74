// The face detector: the cascade of fer_core/faces/mtcnn.py and its package, step by step, so that boxes are the same.
//
// A box is [left, top, right, bottom, score, ...]. The networks want the image with its axes exchanged.

import { area, resize, round } from "./pixels.js";

const LONGEST_SIDE = 1280; // pixels at which an image is searched
export const MIN_SIZE = 32; // smallest longer side of a face's box, in pixels
const WINDOW = 1.25; // the package's unit is the window around the whole head
const LEAST_WINDOW = 20;
const FACTOR = 0.709; // from one size of the pyramid to the next
const SURE = [0.6, 0.7, 0.7].map(Math.fround);
const AT_ONCE = 64; // faces of one pass, so that a wild image does not fill the memory

const fix = Math.trunc;

/**
 * All faces of an RGB image, the largest first: { box: [left, top, width, height], score, points: [[x, y] x 5] }. It is searched
 * with a longer side of at most `longest` pixels.
 */
export async function findFaces(image, networks, longest = LONGEST_SIDE) {
  const shrink = Math.min(1, longest / Math.max(image.width, image.height));
  const size = (side) => Math.max(1, round(side * shrink));
  const small = shrink < 1 ? resize(image, size(image.width), size(image.height)) : image;
  const x = image.width / small.width;
  const y = image.height / small.height;
  const least = MIN_SIZE * shrink;
  const found = await search(small, Math.max(LEAST_WINDOW, round(WINDOW * least)), networks);
  return found
    .filter(({ box }) => Math.max(box[2], box[3]) >= least)
    .map(({ box: [left, top, width, height], score, points }) => ({
      box: [left * x, top * y, width * x, height * y],
      score,
      points: points.map(([px, py]) => [Math.fround(px * x), Math.fround(py * y)]),
    }))
    .sort((a, b) => b.box[2] * b.box[3] - a.box[2] * a.box[3]);
}

/** Faces of the frame before, found again by the last stage alone, around their boxes; in any order, without those that are lost. */
export async function followFaces(image, faces, networks) {
  const around = faces.map(({ box: [left, top, width, height] }) => squared([left, top, left + width, top + height]));
  return around.length ? marked(image, around, networks.onet) : [];
}

async function search(image, window, networks) {
  let boxes = await proposed(image, window, networks.pnet);
  if (boxes.length) boxes = await refined(image, boxes, networks.rnet);
  return boxes.length ? marked(image, boxes, networks.onet) : [];
}

// First stage: windows of all sizes that may hold a face.
async function proposed(image, window, network) {
  const total = [];
  const start = 12 / window;
  let layer = Math.min(image.width, image.height) * start;
  for (let step = 0; layer >= 12; step++, layer *= FACTOR) {
    const scale = start * FACTOR ** step;
    const small = area(image, Math.ceil(image.width * scale), Math.ceil(image.height * scale));
    const input = new Float32Array(small.data.length);
    exchange(small, input, 0);
    const { conv2d_4: moves, softmax } = await network(input, [1, small.width, small.height, 3]);
    total.push(...suppressed(windows(moves, softmax, scale), 0.5));
  }
  return suppressed(total, 0.7).map(([x1, y1, x2, y2, score, r0, r1, r2, r3]) => {
    const width = x2 - x1;
    const height = y2 - y1;
    return squared([x1 + r0 * width, y1 + r1 * height, x2 + r2 * width, y2 + r3 * height, score]).map((value, at) =>
      at < 4 ? fix(value) : value,
    );
  });
}

function windows(moves, softmax, scale) {
  const [, across, down] = softmax.dims;
  const found = [];
  for (let x = 0; x < across; x++) {
    for (let y = 0; y < down; y++) {
      const score = softmax.data[(x * down + y) * 2 + 1];
      if (score >= SURE[0]) found.push([x, y, score]);
    }
  }
  return found.map(([x, y, score]) => {
    // With a single window the package looks its move up in the mirrored place; so must we.
    const at = ((found.length === 1 ? across - 1 - x : x) * down + y) * 4;
    const corner = (cell) => fix((2 * cell + 1) / scale);
    const end = (cell) => fix((2 * cell + 12) / scale);
    return [corner(x), corner(y), end(x), end(y), score, ...moves.data.subarray(at, at + 4)];
  });
}

// Second stage: fewer, better boxes.
async function refined(image, boxes, network) {
  const { dense_2: moves, softmax_1: scores } = await each(image, boxes, 24, network);
  const kept = [];
  boxes.forEach((box, at) => {
    const score = scores[at * 2 + 1];
    if (score > SURE[1]) kept.push([...box.slice(0, 4), score, ...moves.subarray(at * 4, at * 4 + 4)]);
  });
  return suppressed(kept, 0.7).map((box) => squared(moved(box)));
}

// Third stage: the final boxes, with eyes, nose and mouth.
async function marked(image, found, network) {
  const boxes = found.map((box) => box.slice(0, 4).map(fix));
  const { dense_5: moves, dense_6: places, softmax_2: scores } = await each(image, boxes, 48, network);
  const kept = [];
  boxes.forEach((box, at) => {
    const score = scores[at * 2 + 1];
    if (!(score > SURE[2])) return;
    const width = box[2] - box[0] + 1;
    const height = box[3] - box[1] + 1;
    const points = [0, 1, 2, 3, 4].map((point) => [
      Math.fround(width * places[at * 10 + point] + box[0] - 1),
      Math.fround(height * places[at * 10 + 5 + point] + box[1] - 1),
    ]);
    const better = moved([...box, score, ...moves.subarray(at * 4, at * 4 + 4)]);
    better.points = points;
    kept.push(better);
  });
  return suppressed(kept, 0.7, true).map((box) => {
    const left = Math.max(0, fix(box[0]));
    const top = Math.max(0, fix(box[1]));
    return {
      box: [left, top, fix(box[2] - left), fix(box[3] - top)],
      score: box[4],
      points: box.points.map((point) => point.map(fix)),
    };
  });
}

// A network's outputs for the square of `side` pixels of each box, as one typed array an output.
async function each(image, boxes, side, network) {
  const parts = {};
  for (let start = 0; start < boxes.length; start += AT_ONCE) {
    const some = boxes.slice(start, start + AT_ONCE);
    const input = new Float32Array(some.length * side * side * 3);
    some.forEach((box, at) => {
      exchange(area(padded(image, box), side, side, Float32Array), input, at * side * side * 3);
    });
    const outputs = await network(input, [some.length, side, side, 3]);
    for (const [name, { data }] of Object.entries(outputs)) {
      const size = data.length / some.length;
      parts[name] ??= new Float32Array(boxes.length * size);
      parts[name].set(data, start * size);
    }
  }
  return parts;
}

// The box cut out of the image, black outside of it. Places are counted from 1, as in the package.
function padded(image, box) {
  const [x1, y1, x2, y2] = box.map(fix);
  const width = fix(box[2] - box[0] + 1);
  const height = fix(box[3] - box[1] + 1);
  const data = new Uint8Array(width * height * 3);
  const first = Math.max(1, x1);
  const length = (Math.min(image.width, x2) - first + 1) * 3;
  for (let y = Math.max(1, y1); length > 0 && y <= Math.min(image.height, y2); y++) {
    const from = ((y - 1) * image.width + first - 1) * 3;
    data.set(image.data.subarray(from, from + length), ((y - y1) * width + first - x1) * 3);
  }
  return { width, height, channels: 3, data };
}

// Into `input` from `start` on, columns first, from -1 to 1.
function exchange({ width, height, data }, input, start) {
  let from = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const to = start + (x * height + y) * 3;
      input[to] = (data[from++] - 127.5) * 0.0078125;
      input[to + 1] = (data[from++] - 127.5) * 0.0078125;
      input[to + 2] = (data[from++] - 127.5) * 0.0078125;
    }
  }
}

function squared([x1, y1, x2, y2, ...rest]) {
  const height = y2 - y1;
  const width = x2 - x1;
  const side = Math.max(width, height);
  const left = x1 + width * 0.5 - side * 0.5;
  const top = y1 + height * 0.5 - side * 0.5;
  return [left, top, left + side, top + side, rest[0]];
}

function moved([x1, y1, x2, y2, score, r0, r1, r2, r3]) {
  const width = x2 - x1 + 1;
  const height = y2 - y1 + 1;
  return [x1 + r0 * width, y1 + r1 * height, x2 + r2 * width, y2 + r3 * height, score];
}

// Of boxes that overlap by more than the threshold only the one with the highest score (non-maximum suppression).
function suppressed(boxes, threshold, byTheSmaller = false) {
  const size = (box) => (box[2] - box[0] + 1) * (box[3] - box[1] + 1);
  const kept = [];
  let left = boxes.map((_, at) => at).sort((a, b) => boxes[a][4] - boxes[b][4]);
  while (left.length) {
    const best = boxes[left.pop()];
    kept.push(best);
    left = left.filter((at) => {
      const box = boxes[at];
      const width = Math.max(0, Math.min(best[2], box[2]) - Math.max(best[0], box[0]) + 1);
      const height = Math.max(0, Math.min(best[3], box[3]) - Math.max(best[1], box[1]) + 1);
      const both = width * height;
      const whole = byTheSmaller ? Math.min(size(best), size(box)) : size(best) + size(box) - both;
      return both / whole <= threshold;
    });
  }
  return kept;
}
