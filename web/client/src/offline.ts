// What the service worker shows in place of a page that cannot be had: it looks for the server, and then loads that page.
import "./style.css";

const LOOK_EVERY_MS = 4_000;
const HERE = "/offline";

async function look(): Promise<void> {
  const answer = await fetch(HERE, { method: "HEAD", cache: "no-store" }).catch(() => null);
  if (!answer?.ok) return;
  if (location.pathname === HERE) location.replace("/");
  else location.reload();
}

setInterval(() => void look(), LOOK_EVERY_MS);
addEventListener("online", () => void look());
addEventListener("visibilitychange", () => document.hidden || void look());
