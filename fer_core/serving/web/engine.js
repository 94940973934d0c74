// The worker: it finds faces and asks networks, so that the page stays quick. Its client is client.js.

import { findFaces, followFaces } from "./mtcnn.js";
import { Network } from "./network.js";
import { occlusion } from "./occlusion.js";
import { rgbOf } from "./pixels.js";
import { warnings } from "./quality.js";
import { Tracker } from "./tracker.js";

const SEARCH = 500; // milliseconds after which the whole camera image is searched again, for who has come ...
const SHARE = 5; // ... but at least as many times as long as a search takes
const CAMERA_SIDE = 320; // pixels at which it is searched; from then on a face is followed at full size

let ort;
let site; // page.json
let providers = ["wasm"];
let detector;
const networks = new Map(); // name -> promise of a Network
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true });
let shown; // the last image, and its faces: what a map is made of
let stream; // of the camera: its tracker, the faces of the last frame and when the whole image is searched again

async function start(address, isolated) {
  site = await (await fetch(new URL("page.json", address))).json();
  const gpu = await hasGpu();
  try {
    await openRuntime(address, isolated, gpu ? "webgpu" : "wasm");
    if (gpu) providers = ["webgpu", "wasm"];
  } catch (error) {
    if (!gpu) throw error;
    await openRuntime(address, isolated, "wasm"); // offline, the larger one may not have been kept
  }
  const parts = await Promise.all(site.detector.map(async (file) => session(new URL(file, address), ["wasm"])));
  detector = Object.fromEntries(["pnet", "rnet", "onet"].map((name, at) => [name, runner(parts[at])]));
  return { threads: ort.env.wasm.numThreads, gpu: providers[0] === "webgpu" };
}

async function hasGpu() {
  if (!("gpu" in navigator) || !("Suspending" in WebAssembly)) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter !== null && !adapter.info?.isFallbackAdapter && !adapter.isFallbackAdapter;
}

async function openRuntime(address, isolated, kind) {
  const { module, glue, binary } = site.runtime[kind];
  const [wasm, start, opened] = await Promise.all([
    bytesOf(new URL(binary.address, address), binary.integrity),
    script(glue, address),
    script(module, address).then((url) => import(url)),
  ]);
  ort = opened;
  ort.env.wasm.wasmPaths = { mjs: start };
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = isolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  ort.env.logLevel = "error";
}

// The address to import a script from. An import checks no hash, so a script of another host is fetched and becomes a blob.
async function script({ address: place, integrity }, address) {
  const url = new URL(place, address);
  if (!integrity) return url.href;
  return URL.createObjectURL(new Blob([await bytesOf(url, integrity)], { type: "text/javascript" }));
}

async function bytesOf(url, integrity = "") {
  const answer = await fetch(url, { integrity }).catch(() => {
    throw new Error(`${url} could not be loaded${integrity ? ", or is not the file that it should be" : ""}. Check the network and open the page again.`);
  });
  if (!answer.ok) throw new Error(`${url} is not there (${answer.status}).`);
  if (!url.pathname.endsWith(".gz")) return answer.arrayBuffer();
  return new Response(answer.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function session(url, executionProviders) {
  const model = new Uint8Array(await bytesOf(url));
  return ort.InferenceSession.create(model, { executionProviders, graphOptimizationLevel: "all" });
}

// A session as a function; one call after the other, since a session takes one at a time.
function runner(opened) {
  const [name] = opened.inputNames;
  let last = Promise.resolve();
  return (data, dims) => {
    const answer = last.then(() => opened.run({ [name]: new ort.Tensor("float32", data, dims) }));
    last = answer.catch(() => {});
    return answer;
  };
}

function network(name, address) {
  if (!networks.has(name)) {
    const card = site.networks.find((one) => one.name === name);
    const opened = session(new URL(card.file, address), providers).catch(() =>
      session(new URL(card.file, address), ["wasm"]),
    );
    networks.set(name, opened.then((one) => new Network(runner(one), card)));
    opened.catch(() => networks.delete(name)); // it may be there next time
  }
  return networks.get(name);
}

// Faces of an image with each network's probabilities, the largest face first.
async function predict(bitmap, names, address) {
  stream = null;
  const image = pixelsOf(bitmap);
  const begun = performance.now();
  const faces = await findFaces(image, detector);
  const found = performance.now();
  const answers = await answered(image, faces, names, address);
  return { width: image.width, height: image.height, faces: answers, finding: found - begun, whole: performance.now() - begun };
}

// The same of the camera's next frame: known faces are followed and keep their numbers and places, probabilities are smoothed.
async function follow(bitmap, names, address) {
  const image = pixelsOf(bitmap);
  const now = performance.now();
  stream ??= { tracker: new Tracker(site.tracking), faces: [], search: 0 };
  let found = now < stream.search ? await followFaces(image, stream.faces, detector) : [];
  if (!found.length || found.length < stream.faces.length) {
    found = await findFaces(image, detector, CAMERA_SIDE);
    stream.search = now + Math.max(SEARCH, SHARE * (performance.now() - now));
  }
  stream.faces = found;
  const tracked = stream.tracker.update(await answered(image, found, names, address), now / 1000);
  tracked.sort((a, b) => a.number - b.number);
  return { width: image.width, height: image.height, faces: tracked };
}

async function answered(image, faces, names, address) {
  shown = { image, faces };
  const opened = await Promise.all(names.map((name) => network(name, address)));
  const answers = [];
  for (const face of faces) {
    const probabilities = {};
    let why = [];
    for (const [at, one] of opened.entries()) {
      const { window, picture } = one.prepare(image, face);
      if (at === 0) why = warnings(face, window, one.card.image, site.limits);
      probabilities[one.card.name] = await one.probabilities(picture);
    }
    answers.push({ ...face, probabilities, warnings: why });
  }
  return answers;
}

function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return rgbOf(context.getImageData(0, 0, width, height));
}

// The map of one face of the last image, with the square of the image that it covers.
async function explain(name, number, target, address, progress) {
  const one = await network(name, address);
  const face = shown.faces[number];
  const { picture } = one.prepare(shown.image, face);
  return { ...(await occlusion(one, picture, target, progress)), frame: one.frame(face) };
}

const METHODS = { start, predict, follow, explain };

addEventListener("message", async ({ data: { id, method, given } }) => {
  try {
    const progress = (share) => postMessage({ id, share });
    postMessage({ id, answer: await METHODS[method](...given, progress) });
  } catch (error) {
    postMessage({ id, problem: error.message });
  }
});
