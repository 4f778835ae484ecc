// The service worker (src/worker.ts) stands by from the first visit on: it answers when nothing else does.

// The one script address that is made at run time, and it is a constant.
const policy = window.trustedTypes?.createPolicy("spaces", { createScriptURL: () => "/worker.js" });
const workerUrl = (policy?.createScriptURL("") ?? "/worker.js") as string;

declare global {
  interface Window {
    trustedTypes?: {
      createPolicy: (name: string, rules: { createScriptURL: (url: string) => string }) => { createScriptURL: (url: string) => unknown };
    };
  }
}

export const register = (): Promise<ServiceWorkerRegistration> => navigator.serviceWorker.register(workerUrl);

/** Once the page is there. Without it all goes on, but for a page when offline. */
export function standBy(): void {
  if ("serviceWorker" in navigator) addEventListener("load", () => void register().catch(() => undefined));
}
