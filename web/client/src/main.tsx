import "@fontsource-variable/figtree/wght.css";
import "./style.css";
import "./space/space.css";
import "./moderation/moderation.css";
import "./parts/system-colours.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app";
import { keepFocus } from "./parts/focus";
import { connectMediaSession } from "./player/media-session";
import { comeBack, track } from "./player/player";
import { stage } from "./space/stage";
import { standBy } from "./wire/service-worker";

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  render(<App />, root);
}
keepFocus();
connectMediaSession();
comeBack();
standBy();
// Room at the foot of the page for what stands there.
effect(() => void document.body.classList.toggle("has-player", track.value !== null || stage.value !== null));
// A menu that is open closes when one goes on, by pointer or by keyboard, and on Escape.
addEventListener("focusin", ({ target }) => {
  for (const open of document.querySelectorAll<HTMLDetailsElement>("details.account[open]"))
    if (!open.contains(target as Node)) open.open = false;
});
addEventListener("click", (event) => {
  for (const open of document.querySelectorAll<HTMLDetailsElement>("details.account[open]"))
    if (!open.querySelector("summary")?.contains(event.target as Node)) open.open = false;
});
addEventListener("keydown", ({ key }) => {
  const open = key === "Escape" && document.querySelector<HTMLDetailsElement>("details.account[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary")?.focus();
});
