// Web Push: this browser's subscription goes to the server over plain HTTP (docs/notifications.md).
import { register } from "../wire/service-worker";
import { session } from "../wire/session";

const PATH = "/notifications/push";

export const mayPush = (): boolean => "serviceWorker" in navigator && "PushManager" in window;

async function subscription(): Promise<PushSubscription | null> {
  const registration = await navigator.serviceWorker.getRegistration();
  return (await registration?.pushManager.getSubscription()) ?? null;
}

export async function isPushing(): Promise<boolean> {
  return mayPush() && Notification.permission === "granted" && (await subscription()) !== null;
}

export async function startPushing(): Promise<void> {
  if ((await Notification.requestPermission()) !== "granted") throw new Error("The browser does not let this page notify you.");
  const registration = await register();
  await navigator.serviceWorker.ready;
  const { publicKey } = (await (await fetch(PATH)).json()) as { publicKey: string };
  const made = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: publicKey });
  const answer = await send("POST", made.toJSON());
  if (!answer.ok) throw new Error("The server did not take this device.");
}

export async function stopPushing(): Promise<void> {
  const now = await subscription();
  if (now === null) return;
  await send("DELETE", { endpoint: now.endpoint });
  await now.unsubscribe();
}

function send(method: string, body: unknown): Promise<Response> {
  const headers = { Authorization: `Bearer ${session.peek()?.token ?? ""}`, "Content-Type": "application/json" };
  return fetch(PATH, { method, headers, body: JSON.stringify(body) });
}
