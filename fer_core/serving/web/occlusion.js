// How much the score of an expression falls when a square of the face is covered: fer_core/explanation/occlusion.py.

const SHARE = 1 / 6; // of the side: the covering square; from one to the next it is half of that

/**
 * The map { width, height, values, whole } of the expression at `target` in the card's order, of one prepared face. `whole`: the
 * network's own answer was explained; otherwise it averages ten crops, and the map is of the face and its mirror image.
 */
export async function occlusion(network, picture, target, progress) {
  const { channels, height, width } = network.card.image;
  const input = network.normalised(picture);
  const { kind } = network.card.tta;
  const tta = kind === "none" ? "none" : "flip"; // ten crops would take five times as long
  const square = Math.max(2, Math.round(SHARE * Math.min(height, width)));
  const step = Math.max(1, Math.floor(square / 2));
  const places = (side) => Array.from({ length: Math.ceil((side - square) / step) + 1 }, (_, at) => at * step);
  const squares = places(height).flatMap((top) => places(width).map((left) => [top, left]));
  const [whole] = await network.logits([input], tta);
  const sum = new Float32Array(height * width);
  const count = new Float32Array(height * width);
  const inside = ([top, left], mark) => {
    for (let y = top; y < Math.min(top + square, height); y++) {
      for (let x = left; x < Math.min(left + square, width); x++) mark(y * width + x);
    }
  };
  for (let start = 0; start < squares.length; start += 32) {
    const some = squares.slice(start, start + 32);
    const covered = some.map((place) => {
      const copy = input.slice();
      inside(place, (at) => { for (let c = 0; c < channels; c++) copy[c * height * width + at] = 0; }); // the mean grey
      return copy;
    });
    const logits = await network.logits(covered, tta);
    some.forEach((place, at) => {
      const fall = whole[target] - logits[at][target];
      inside(place, (pixel) => { sum[pixel] += fall; count[pixel] += 1; });
    });
    progress(Math.min(1, (start + some.length) / squares.length));
  }
  const isWhole = kind === tta || (kind === "ten-crop-if-close" && !network.isClose(whole));
  return { width, height, values: sum.map((value, at) => value / count[at]), whole: isWhole };
}
