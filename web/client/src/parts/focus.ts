// Where the keyboard stands when what had the focus is gone, hidden or switched off: browsers begin at the top again.

/** So soon after a press, what appears is taken to be opened by it. */
const OPENS_WITHIN_MS = 150;
/** A button that is off for so long does not come back at once. */
const OFF_FOR_MS = 1_000;
const PLACES = "dialog, details, li, ul, ol, form, fieldset, section, aside, article, main, [role=group], [role=region]";
const HEADINGS = "h1, h2, h3";

let had: HTMLElement | null = null;
/** Then nothing must move beneath the pointer. */
let isByPointer = false;
let pressed: { control: HTMLElement; at: number } | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
/** What stands in for a control that is off, until that is on again. */
let standIn: { place: HTMLElement; control: HTMLElement } | null = null;
/** What an element stood in, nearest first: once it is taken away it no longer knows. */
const around = new WeakMap<Element, readonly HTMLElement[]>();
const openers = new WeakMap<Element, HTMLElement>();

function remember(element: HTMLElement): void {
  const places: HTMLElement[] = [];
  for (let place = element.parentElement; place !== null; place = place.parentElement) places.push(place);
  around.set(element, places);
}

const isOff = (element: HTMLElement): boolean => element.matches(":disabled");
const canTake = (element: HTMLElement): boolean => element.isConnected && element.checkVisibility() && !isOff(element);

const placeOf = (element: HTMLElement): HTMLElement | undefined =>
  around.get(element)?.find((one) => one.isConnected && one.matches(PLACES) && one.checkVisibility());

/** The same control, made anew where it stood; in a list it would be another one's. */
function twin(element: HTMLElement): HTMLElement | null {
  const place = placeOf(element);
  if (place === undefined || place.matches("ul, ol, main")) return null;
  const named = (one: Element) => one.getAttribute("aria-label") ?? one.textContent;
  const same = [...place.querySelectorAll<HTMLElement>(element.localName)].filter((one) => canTake(one) && named(one) === named(element));
  return same.length === 1 ? (same[0] ?? null) : null;
}

/** What opened a place, or the menu in which that stands. */
function openerOf(place: Element): HTMLElement | null {
  const opener = openers.get(place);
  if (opener === undefined || canTake(opener)) return opener ?? null;
  const menu = opener.closest("details")?.querySelector("summary") ?? null;
  return menu !== null && canTake(menu) ? menu : twin(opener);
}

/** What opened the place where the element stood; else its like; else the nearest place that is left, by its heading. */
function neighbour(element: HTMLElement): HTMLElement | null {
  for (const gone of [element, ...(around.get(element) ?? [])].filter((one) => !one.isConnected)) {
    const opener = openerOf(gone);
    if (opener !== null) return opener;
  }
  const place = placeOf(element) ?? document.querySelector<HTMLElement>("main");
  if (place === null) return null;
  if (place.matches("details")) return place.querySelector("summary");
  if (place.matches("li, ul, ol")) return place;
  const heading = [...place.querySelectorAll<HTMLElement>(HEADINGS)].find((one) => one.checkVisibility());
  return twin(element) ?? heading ?? place;
}

function stand(on: HTMLElement | null): void {
  if (on === null) return;
  if (on.tabIndex < 0 && !on.hasAttribute("tabindex")) {
    on.tabIndex = -1;
    on.addEventListener("blur", () => on.removeAttribute("tabindex"), { once: true });
  }
  on.focus({ preventScroll: isByPointer });
}

function look(): void {
  const now = document.activeElement;
  if (standIn !== null && (now !== standIn.place || !standIn.control.isConnected)) standIn = null;
  if (standIn !== null && canTake(standIn.control)) return stand(standIn.control);
  if (had === null || (now !== null && now !== document.body)) return;
  if (canTake(had)) return stand(had);
  clearTimeout(timer);
  if (had.isConnected && isOff(had)) timer = setTimeout(replace, OFF_FOR_MS);
  else replace();
}

function replace(): void {
  const lost = had;
  if (lost === null || document.activeElement !== document.body) return;
  if (canTake(lost)) return stand(lost);
  const place = neighbour(lost);
  stand(place);
  standIn = place !== null && lost.isConnected && isOff(lost) ? { place, control: lost } : null;
}

/** From now on the focus is kept. */
export function keepFocus(): void {
  addEventListener("focusin", ({ target }) => {
    if (!(target instanceof HTMLElement)) return;
    had = target;
    remember(target);
  });
  // Who presses beside everything wants the focus nowhere.
  addEventListener("pointerdown", () => {
    had = null;
    isByPointer = true;
  }, true);
  addEventListener("keydown", () => (isByPointer = false), true);
  addEventListener("click", ({ target }) => {
    const control = target instanceof Element ? target.closest<HTMLElement>("button, summary, input") : null;
    if (control === null) return;
    remember(control);
    pressed = { control, at: performance.now() };
  }, true);
  let isWaiting = false;
  const seen = new MutationObserver((changes) => {
    const opener = pressed !== null && performance.now() - pressed.at < OPENS_WITHIN_MS ? pressed.control : null;
    for (const { addedNodes } of opener === null ? [] : changes)
      for (const node of addedNodes) if (node instanceof Element && opener !== null) openers.set(node, opener);
    if (isWaiting) return;
    isWaiting = true;
    // The browser itself takes the focus from what is off only with the next picture.
    requestAnimationFrame(() => setTimeout(() => {
      isWaiting = false;
      look();
    }));
  });
  seen.observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["disabled", "open", "hidden"] });
}
