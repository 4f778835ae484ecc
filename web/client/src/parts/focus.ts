// Whoever goes by keyboard keeps their place: when what has the focus goes away, or cannot be used for a while, what
// stands next to it gets the focus, and not the beginning of the page.

const CONTROLS = "a[href], button:not(:disabled), summary, input:not(:disabled), select, textarea, [tabindex='0']";

/** What had the focus, and all that it lay in, from the inside out. */
let path: Element[] = [];

function isLost(): boolean {
  const now = document.activeElement;
  return path.length > 0 && (now === null || now === document.body || (now instanceof HTMLButtonElement && now.disabled));
}

function regain(): void {
  if (!isLost()) return;
  const [last] = path;
  if (last?.isConnected && last instanceof HTMLElement && last.matches(CONTROLS)) return last.focus();
  const near = path.slice(1).find((place) => place.isConnected && place !== document.body && place !== document.documentElement);
  if (!(near instanceof HTMLElement)) return;
  const next = near.querySelector<HTMLElement>(CONTROLS);
  if (next === null && !near.hasAttribute("tabindex")) near.tabIndex = -1;
  (next ?? near).focus({ preventScroll: true });
}

addEventListener("focusin", ({ target }) => {
  path = [];
  for (let at = target instanceof Element ? target : null; at !== null; at = at.parentElement) path.push(at);
});
// Who clicks beside everything means it.
addEventListener("pointerdown", ({ target }) => {
  if (target instanceof Element && target.closest(CONTROLS) === null) path = [];
});
new MutationObserver(regain).observe(document.body, { subtree: true, childList: true, attributeFilter: ["disabled"] });
