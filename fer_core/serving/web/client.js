// The page's side of the worker in engine.js: each call is a message and a promise of its answer.

const ADDRESS = new URL("./", import.meta.url).href;

// A worker of its own address would not be bound by the page's content policy; one that begins as a blob inherits it.
function open() {
  const source = `import ${JSON.stringify(new URL("engine.js", ADDRESS).href)};`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  return new Worker(url, { type: "module" });
}

const worker = open();
const waiting = new Map();
let last = 0;

worker.addEventListener("message", ({ data: { id, answer, problem, share } }) => {
  const { resolve, reject, progress } = waiting.get(id);
  if (share !== undefined) return progress(share);
  waiting.delete(id);
  return problem === undefined ? resolve(answer) : reject(new Error(problem));
});
worker.addEventListener("error", (event) => {
  for (const { reject } of waiting.values()) reject(new Error(event.message || "The networks could not be started."));
});

function call(method, given, { transfer = [], progress = () => {} } = {}) {
  last += 1;
  return new Promise((resolve, reject) => {
    waiting.set(last, { resolve, reject, progress });
    worker.postMessage({ id: last, method, given }, transfer);
  });
}

/** Load the runtime and the detector: { threads, gpu }. */
export const start = () => call("start", [ADDRESS, self.crossOriginIsolated]);

/** Faces of an ImageBitmap, which is used up, with the probabilities of the networks named. */
export const predict = (bitmap, names) => call("predict", [bitmap, names, ADDRESS], { transfer: [bitmap] });

/** As `predict`, of the camera's next frame: faces are followed, each with its `number`, and probabilities are smoothed over time. */
export const follow = (bitmap, names) => call("follow", [bitmap, names, ADDRESS], { transfer: [bitmap] });

/** The map of a face of the last image: { width, height, values, whole, frame }. */
export const explain = (name, face, target, progress) => call("explain", [name, face, target, ADDRESS], { progress });
