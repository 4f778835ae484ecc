// The service worker: shows what the server pushes, and opens it when it is tapped. It keeps one page, for who is offline.
export {};
declare const self: ServiceWorkerGlobalScope;

interface Pushed {
  id: string;
  message: string;
  url: string;
}

const KEPT = "spaces";
const OFFLINE = "/offline";
const BUILT = "/static/client/assets/";
/** To be saved, not looked at. */
const FILES = /^\/(media|exports)\//;

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(self.registration.navigationPreload?.enable()));

async function keep(): Promise<void> {
  const page = await (await fetch(OFFLINE, { cache: "no-cache" })).text();
  const parts = [...page.matchAll(/="(\/(?:static|assets)\/[^"]+)"/g)].map(([, path]) => path ?? "");
  const cache = await caches.open(KEPT);
  await cache.addAll([OFFLINE, ...parts]);
  const old = (await cache.keys()).filter(({ url }) => ![OFFLINE, ...parts].includes(new URL(url).pathname));
  await Promise.all(old.map((request) => cache.delete(request)));
}

self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (mode === "navigate" && method === "GET") event.respondWith(page(event));
  else if (origin === self.origin && pathname.startsWith(BUILT)) event.respondWith(part(event.request));
});

async function page(event: FetchEvent): Promise<Response> {
  const { destination, url } = event.request;
  try {
    // The browser has asked already, while this worker woke up: so nothing is asked for twice.
    return ((await event.preloadResponse) as Response | undefined) ?? (await fetch(event.request));
  } catch (error) {
    const kept = destination === "document" && !FILES.test(new URL(url).pathname) && (await caches.match(OFFLINE));
    if (!kept) throw error;
    return kept;
  }
}

/** What was built has the hash of what is in it in its name: a kept one is the right one, whoever asks for it. */
async function part(request: Request): Promise<Response> {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}

self.addEventListener("push", (event) => {
  const { id, message, url } = event.data?.json() as Pushed;
  const options = { body: message, tag: id, icon: "/assets/icon.svg", data: { url } };
  event.waitUntil(self.registration.showNotification("Spaces", options));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const { url } = event.notification.data as { url: string };
  event.waitUntil(self.clients.openWindow(url));
});
