// The service worker: it keeps the page's files, so that the page works without a network after the first visit, and lets
// the runtime use several threads, which browsers allow only to pages that are isolated from others.

/* global FILES, VERSION */
importScripts("files.js"); // FILES, VERSION: written with the page

const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(VERSION).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches.keys()
      .then((names) => Promise.all(names.filter((name) => name !== VERSION && name.startsWith("ferscope-")).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(VERSION);
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept) return isolated(kept, request);
  const fresh = await fetch(request);
  if (fresh.ok) await cache.put(request, fresh.clone());
  return isolated(fresh, request);
}

function isolated(response, request) {
  if (new URL(request.url).origin !== self.location.origin) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATED)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
