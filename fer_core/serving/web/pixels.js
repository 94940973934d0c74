// Images as the library has them, and its operations on them: the same numbers as OpenCV's, to the last grey level.
//
// An image is { width, height, channels, data }, rows from the top, channels beside each other. `data` is a Uint8Array
// of RGB or grey; inside the face detector a shrunk one may be a Float32Array.

/** Python's rounding: halves go to the even neighbour. */
export function round(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest < 0.5) return low;
  if (rest > 0.5) return low + 1;
  return low % 2 === 0 ? low : low + 1;
}

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const like = ({ channels }, width, height, Kind = Uint8Array) => ({
  width,
  height,
  channels,
  data: new Kind(width * height * channels),
});

/** RGB of a canvas's RGBA; what is transparent was laid on white before. */
export function rgbOf({ width, height, data }) {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    rgb[to++] = data[from];
    rgb[to++] = data[from + 1];
    rgb[to++] = data[from + 2];
  }
  return { width, height, channels: 3, data: rgb };
}

/** One channel, with OpenCV's weights in 15 bits. */
export function grey(image) {
  if (image.channels === 1) return image;
  const { width, height, data } = image;
  const out = new Uint8Array(width * height);
  for (let place = 0, from = 0; place < out.length; place++, from += 3) {
    out[place] = (9798 * data[from] + 19235 * data[from + 1] + 3735 * data[from + 2] + 16384) >> 15;
  }
  return { width, height, channels: 1, data: out };
}

/** The square of `side` pixels from (left, top); where it sticks out of the image the edge is repeated. */
export function cut(image, left, top, side) {
  const { width, height, channels, data } = image;
  const out = like(image, side, side);
  const columns = Int32Array.from({ length: side }, (_, x) => clamp(left + x, 0, width - 1) * channels);
  let to = 0;
  for (let y = 0; y < side; y++) {
    const row = clamp(top + y, 0, height - 1) * width * channels;
    for (let x = 0; x < side; x++) {
      for (let c = 0; c < channels; c++) out.data[to++] = data[row + columns[x] + c];
    }
  }
  return out;
}

/** Brought to size: averaged over area where it shrinks, bilinear where it grows. */
export function resize(image, width, height) {
  if (image.width === width && image.height === height) return image;
  return image.width > width || image.height > height ? area(image, width, height) : linear(image, width, height);
}

// Which pixels each pixel of a shrunk line averages, and with which weights (OpenCV's computeResizeAreaTab): those from
// start[place] to start[place + 1] of the lists.
function shares(from, to) {
  const scale = 1 / (to / from);
  const start = new Int32Array(to + 1);
  const pixels = [];
  const weights = [];
  const take = (at, weight) => { pixels.push(at); weights.push(weight); };
  for (let place = 0; place < to; place++) {
    const begin = place * scale;
    const end = begin + scale;
    const cell = Math.min(scale, from - begin);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(begin), last);
    if (first - begin > 1e-3) take(first - 1, (first - begin) / cell);
    for (let at = first; at < last; at++) take(at, 1 / cell);
    if (end - last > 1e-3) take(last, Math.min(end - last, 1, cell) / cell);
    start[place + 1] = pixels.length;
  }
  return { start, pixels: Int32Array.from(pixels), weights: Float32Array.from(weights) };
}

/** OpenCV's INTER_AREA of bytes; rounded, or as a Float32Array. Where one side grows it is a bilinear interpolation of its own kind. */
export function area(image, width, height, Kind = Uint8Array) {
  const across = image.width / width;
  const down = image.height / height;
  if (across < 1 || down < 1) return stretched(image, width, height, Kind);
  if (Number.isInteger(across) && Number.isInteger(down)) return blocks(image, width, height, across, down, Kind);
  const { channels, data } = image;
  const out = like(image, width, height, Kind);
  const columns = shares(image.width, width);
  const rows = shares(image.height, height);
  const line = width * channels;
  const row = new Float32Array(line);
  const sum = new Float32Array(line);
  for (let y = 0; y < height; y++) {
    sum.fill(0);
    for (let one = rows.start[y]; one < rows.start[y + 1]; one++) {
      averaged(data, rows.pixels[one] * image.width * channels, columns, channels, row);
      const weight = rows.weights[one];
      for (let x = 0; x < line; x++) sum[x] += Math.fround(weight * row[x]);
    }
    place(sum, out.data, y * line);
  }
  return out;
}

// One line of an image, shrunk. Products and sums have 32 bits, as OpenCV's: with 64 a grey level on a half would be rounded otherwise.
function averaged(data, base, { start, pixels, weights }, channels, row) {
  for (let x = 0, to = 0; x + 1 < start.length; x++) {
    for (let c = 0; c < channels; c++) {
      let sum = Math.fround(0);
      for (let one = start[x]; one < start[x + 1]; one++) {
        sum = Math.fround(sum + Math.fround(data[base + pixels[one] * channels + c] * weights[one]));
      }
      row[to++] = sum;
    }
  }
}

function place(line, data, start) {
  if (data instanceof Float32Array) data.set(line, start);
  else for (let x = 0; x < line.length; x++) data[start + x] = round(line[x]);
}

// Shrunk by whole numbers: the mean of each block.
function blocks(image, width, height, across, down, Kind) {
  const { channels, data } = image;
  const out = like(image, width, height, Kind);
  const half = across === 2 && down === 2; // OpenCV rounds halves up here, and to even elsewhere
  const share = Math.fround(1 / (across * down));
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let dy = 0; dy < down; dy++) {
          let at = ((y * down + dy) * image.width + x * across) * channels + c;
          for (let dx = 0; dx < across; dx++, at += channels) sum += data[at];
        }
        out.data[to++] = Kind === Float32Array ? sum * share : half ? (sum + 2) >> 2 : round(Math.fround(sum * share));
      }
    }
  }
  return out;
}

// Two neighbours and the weight of the second, for each pixel of a line that grows. OpenCV gives a column at the edge its
// own pixel alone, and a row at the edge twice the same one, which its rounding tells apart.
function neighbours(from, to, place, rows) {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const weight = new Float32Array(to);
  for (let at = 0; at < to; at++) {
    const [left, share] = place(at);
    first[at] = clamp(left, 0, from - 1);
    second[at] = clamp(left + 1, 0, from - 1);
    weight[at] = rows || (left >= 0 && left < from - 1) ? share : 0;
  }
  return { first, second, weight };
}

function stretched(image, width, height, Kind) {
  const along = (from, to, rows) => {
    const inverse = to / from;
    const scale = 1 / inverse;
    return neighbours(from, to, (at) => {
      const left = Math.floor(at * scale);
      const share = Math.fround(at + 1 - (left + 1) * inverse);
      return [left, share <= 0 ? 0 : share - Math.floor(share)];
    }, rows);
  };
  return between(image, width, height, along(image.width, width), along(image.height, height, true), Kind);
}

/** OpenCV's INTER_LINEAR. */
export function linear(image, width, height) {
  const along = (from, to, rows) => {
    const scale = 1 / (to / from);
    return neighbours(from, to, (at) => {
      const place = Math.fround((at + 0.5) * scale - 0.5);
      return [Math.floor(place), place - Math.floor(place)];
    }, rows);
  };
  return between(image, width, height, along(image.width, width), along(image.height, height, true), Uint8Array);
}

function between(image, width, height, columns, rows, Kind) {
  const { channels, data } = image;
  const out = like(image, width, height, Kind);
  const whole = Kind === Uint8Array;
  const fixed = (share) => [round(Math.fround(1 - share) * 2048), round(share * 2048)]; // OpenCV's 11 bits
  let to = 0;
  for (let y = 0; y < height; y++) {
    const above = rows.first[y] * image.width;
    const below = rows.second[y] * image.width;
    const [b0, b1] = whole ? fixed(rows.weight[y]) : [Math.fround(1 - rows.weight[y]), rows.weight[y]];
    for (let x = 0; x < width; x++) {
      const [a0, a1] = whole ? fixed(columns.weight[x]) : [Math.fround(1 - columns.weight[x]), columns.weight[x]];
      for (let c = 0; c < channels; c++) {
        const left = columns.first[x] * channels + c;
        const right = columns.second[x] * channels + c;
        const top = data[above * channels + left] * a0 + data[above * channels + right] * a1;
        const bottom = data[below * channels + left] * a0 + data[below * channels + right] * a1;
        out.data[to++] = whole
          ? (((b0 * (top >> 4)) >> 16) + ((b1 * (bottom >> 4)) >> 16) + 2) >> 2
          : top * b0 + bottom * b1;
      }
    }
  }
  return out;
}

const FINE = 2; // pixels of a blur's deviation beyond which a face is made smaller first, as in fer_core/faces

/** A cut out face under a Gaussian blur whose deviation is the share `soft` of its longer side. */
export function soften(face, soft) {
  if (!soft) return face;
  let sigma = soft * Math.max(face.width, face.height);
  let image = face;
  if (sigma > FINE) {
    const size = (side) => Math.max(1, round((side * FINE) / sigma));
    image = area(face, size(face.width), size(face.height));
    sigma = FINE;
  }
  return blurred(image, sigma);
}

// OpenCV's kernel for 8-bit images: weights of 8 bits that add up to 256, the rounding error handed on to the next.
function kernel(sigma) {
  const size = round(sigma * 3 * 2 + 1) | 1;
  const half = size >> 1;
  const exact = Array.from({ length: size }, (_, at) => Math.exp(-((at - half) ** 2) / (2 * sigma * sigma)));
  const total = exact.reduce((sum, value) => sum + value);
  const weights = new Int32Array(size);
  let error = 0;
  let sum = 0;
  for (let at = 0; at < half; at++) {
    const wanted = (exact[at] / total) * 256 + error;
    weights[at] = weights[size - 1 - at] = round(wanted);
    error = wanted - weights[at];
    sum += 2 * weights[at];
  }
  weights[half] = 256 - sum;
  return weights;
}

function blurred(image, sigma) {
  const { width, height, channels, data } = image;
  const weights = kernel(sigma);
  const half = weights.length >> 1;
  const out = like(image, width, height);
  const lines = new Int32Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const row = y * width * channels;
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = -half; k <= half; k++) sum += weights[k + half] * data[row + clamp(x + k, 0, width - 1) * channels + c];
        lines[row + x * channels + c] = sum;
      }
    }
  }
  const line = width * channels;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < line; x++) {
      let sum = 0;
      for (let k = -half; k <= half; k++) sum += weights[k + half] * lines[clamp(y + k, 0, height - 1) * line + x];
      out.data[y * line + x] = (sum + 32768) >> 16;
    }
  }
  return out;
}
