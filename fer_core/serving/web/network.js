// A network with its card: from a face in an image to probabilities, as fer_core/serving/predictor.py does it.

import { cut, grey, resize, round, soften } from "./pixels.js";

const AT_ONCE = 64; // images of one pass

export class Network {
  /** `run`: (Float32Array, dims) -> outputs by name; `card`: its entry of page.json. */
  constructor(run, card) {
    this.run = run;
    this.card = card;
  }

  /** Where the face is cut out of the image, in its pixels: { left, top, side }; it may stick out of the image. */
  frame({ box: [left, top, width, height] }) {
    const side = Math.max(1, round(Math.max(width, height) * (1 + this.card.face.margin)));
    return { left: round(left + width / 2 - side / 2), top: round(top + height / 2 - side / 2), side };
  }

  /** The face at the network's size and channels, and the cut that its warnings come from. */
  prepare(image, face) {
    const { left, top, side } = this.frame(face);
    const window = cut(image, left, top, side);
    return { window, picture: this.fit(soften(window, this.card.face.soft)) };
  }

  /** A cut out face, or an image that is a face, brought to the network's size and channels. */
  fit(face) {
    const { channels, height, width, grey: isGrey, size } = this.card.image;
    const lit = channels === 1 || isGrey ? grey(face) : face;
    const prepared = resize(size ? resize(lit, size, size) : lit, width, height);
    return prepared.channels === channels ? prepared : tripled(prepared);
  }

  /** Probabilities in the card's order, of one prepared face. */
  async probabilities(picture) {
    const [logits] = await this.logits([this.normalised(picture)]);
    return softmax(logits.map((value) => value / this.card.temperature));
  }

  /** Logits of normalised inputs, averaged over the views of test-time augmentation. */
  async logits(inputs, tta = this.card.tta.kind) {
    const kind = tta === "ten-crop-if-close" ? "flip" : tta;
    const views = this.views(kind);
    const shown = inputs.flatMap((input) => views.map((view) => this.seen(input, view)));
    const all = await this.passes(shown);
    const mean = inputs.map((_, at) => {
      const own = all.slice(at * views.length, (at + 1) * views.length);
      return own[0].map((_, place) => own.reduce((sum, logits) => sum + logits[place], 0) / own.length);
    });
    if (tta === kind) return mean;
    for (const [at, logits] of mean.entries()) {
      if (this.isClose(logits)) [mean[at]] = await this.logits([inputs[at]], "ten-crop");
    }
    return mean;
  }

  /** Whether the second expression is nearly as probable as the first, so that ten crops are taken. */
  isClose(logits) {
    const [first, second] = [...logits].sort((a, b) => b - a);
    return second - first >= Math.log(this.card.tta.close);
  }

  async passes(inputs) {
    const { channels, height, width } = this.card.image;
    const found = [];
    for (let start = 0; start < inputs.length; start += AT_ONCE) {
      const some = inputs.slice(start, start + AT_ONCE);
      const batch = new Float32Array(some.length * channels * height * width);
      for (const [at, input] of some.entries()) batch.set(input, at * input.length);
      const { data } = (await this.run(batch, [some.length, channels, height, width])).logits;
      const size = data.length / some.length;
      for (let at = 0; at < some.length; at++) found.push(Array.from(data.subarray(at * size, (at + 1) * size)));
    }
    if (!found.every((logits) => logits.every(Number.isFinite))) {
      throw new Error(`The output of ${this.card.title} is not finite, so it cannot be used on this device.`);
    }
    return found;
  }

  /** A face's pixels as the network's input: channels one after the other, normalised. */
  normalised({ data }) {
    const { channels, height, width, standardise, mean, std } = this.card.image;
    const place = height * width;
    const input = new Float32Array(channels * place);
    for (let c = 0; c < channels; c++) for (let at = 0; at < place; at++) input[c * place + at] = data[at * channels + c] / 255;
    if (standardise === "image") {
      const centre = input.reduce((sum, value) => sum + value, 0) / input.length;
      const spread = Math.sqrt(input.reduce((sum, value) => sum + (value - centre) ** 2, 0) / input.length);
      return input.map((value) => (value - centre) / (spread + 1 / 255));
    }
    return input.map((value, at) => {
      const c = Math.floor(at / place);
      return (value - (mean[c] ?? mean[0])) / (std[c] ?? std[0]);
    });
  }

  /** The crops, mirrored or not, that test-time augmentation averages over. */
  views(kind) {
    const { height, width } = this.card.image;
    let crops = [[0, 0, height, width]];
    if (kind === "ten-crop") {
      const tall = round(this.card.tta.crop * height);
      const wide = round(this.card.tta.crop * width);
      const [down, right] = [height - tall, width - wide];
      const middle = [Math.floor(down / 2), Math.floor(right / 2)];
      crops = [[0, 0], [0, right], [down, 0], [down, right], middle].map((corner) => [...corner, tall, wide]);
    }
    return crops.flatMap((crop) => (kind === "none" ? [false] : [false, true]).map((mirrored) => ({ crop, mirrored })));
  }

  /** One view of a normalised input, at the input's size. */
  seen(input, { crop: [top, left, tall, wide], mirrored }) {
    const { channels, height, width } = this.card.image;
    if (tall === height && wide === width && !mirrored) return input;
    const out = new Float32Array(input.length);
    const columns = Array.from({ length: width }, (_, x) => between(mirrored ? width - 1 - x : x, width, wide));
    for (let y = 0, to = 0; y < channels * height; y++) {
      const [y0, y1, v] = between(y % height, height, tall);
      const channel = (y - (y % height) + top) * width + left;
      const above = channel + y0 * width;
      const below = channel + y1 * width;
      for (const [x0, x1, u] of columns) {
        out[to++] = (input[above + x0] * (1 - u) + input[above + x1] * u) * (1 - v) + (input[below + x0] * (1 - u) + input[below + x1] * u) * v;
      }
    }
    return out;
  }
}

// The two places of a crop's line that an enlarged line's place lies between, and the weight of the second.
function between(at, size, crop) {
  const place = Math.max(0, ((at + 0.5) * crop) / size - 0.5);
  const first = Math.floor(place);
  return [first, Math.min(first + 1, crop - 1), place - first];
}

function tripled({ width, height, data }) {
  return { width, height, channels: 3, data: Uint8Array.from({ length: data.length * 3 }, (_, at) => data[Math.floor(at / 3)]) };
}

function softmax(logits) {
  const top = Math.max(...logits);
  const odds = logits.map((value) => Math.exp(value - top));
  const total = odds.reduce((sum, value) => sum + value);
  return odds.map((value) => value / total);
}
