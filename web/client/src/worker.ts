// The service worker: shows what the server pushes, and opens it when it is tapped. It keeps no pages.
export {};
declare const self: ServiceWorkerGlobalScope;

interface Pushed {
  id: string;
  message: string;
  url: string;
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
