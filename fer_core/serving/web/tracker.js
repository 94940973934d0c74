// Faces followed from frame to frame, and their probabilities smoothed over time: fer_core/serving/face_tracker.py.

export class Tracker {
  /** `overlap`: least share of a face's boxes in neighbouring frames; `forget` and `smooth` in seconds. */
  constructor({ overlap, forget, smooth }) {
    this.overlap = overlap;
    this.forget = forget;
    this.smooth = smooth;
    this.tracks = [];
    this.count = 0;
  }

  /** The faces of the frame at `at` seconds, each with the number of its track and smoothed probabilities. */
  update(faces, at) {
    const known = this.tracks.filter(({ seen }) => at - seen <= this.forget);
    const pairs = known
      .flatMap(({ face }, i) => faces.map((other, j) => [overlap(face.box, other.box), i, j]))
      .sort((a, b) => b[0] - a[0] || b[1] - a[1] || b[2] - a[2]);
    const paired = new Map(); // by the face's position
    for (const [share, i, j] of pairs) {
      if (share >= this.overlap && !paired.has(j) && ![...paired.values()].includes(known[i])) paired.set(j, known[i]);
    }
    this.tracks = known;
    return faces.map((face, j) => {
      let track = paired.get(j);
      if (!track) {
        this.count += 1;
        track = { number: this.count, face, seen: at };
        known.push(track);
      }
      const keep = this.smooth ? Math.exp(-(at - track.seen) / this.smooth) : 0;
      track.face = { ...face, number: track.number, probabilities: smoothed(track.face.probabilities, face.probabilities, keep) };
      track.seen = at;
      return track.face;
    });
  }
}

// Of each network; one that was chosen meanwhile has nothing before.
function smoothed(before, now, keep) {
  const mixed = ([name, shares]) => [name, before[name] ? shares.map((share, k) => keep * before[name][k] + (1 - keep) * share) : shares];
  return Object.fromEntries(Object.entries(now).map(mixed));
}

/** Intersection over union of two boxes [left, top, width, height], 0..1. */
export function overlap(one, other) {
  const width = Math.min(one[0] + one[2], other[0] + other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[1] + one[3], other[1] + other[3]) - Math.max(one[1], other[1]);
  const shared = Math.max(0, width) * Math.max(0, height);
  const whole = one[2] * one[3] + other[2] * other[3] - shared;
  return whole > 0 ? shared / whole : 0;
}
