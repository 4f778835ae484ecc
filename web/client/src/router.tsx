// Which page is shown. Links are plain links: a click on one of ours changes the page without loading it anew.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export const path = signal(location.pathname);
/** What the open page is about, once that is known: a Space's title, a person's name. */
export const subject = signal<string | null>(null);

/** Name the page by what is open in it. */
export function useSubject(name: string | undefined): void {
  useEffect(() => {
    if (name === undefined) return;
    subject.value = name;
    return () => void (subject.value = null);
  }, [name]);
}

/** Pages of the server that look like ours. */
const ELSEWHERE = /^\/(graphql|cards|embed|oembed|media|assets|static|exports|timeline|notifications\/email)(\/|$)/;

export function go(to: string, { replace = false } = {}): void {
  if (to === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"]({}, "", to);
  path.value = location.pathname;
  scrollTo(0, 0);
}

/** Where the person wanted to go before signing in. */
export function wanted(): string {
  const to = new URLSearchParams(location.search).get("to") ?? "/";
  return to.startsWith("/") && !to.startsWith("//") && !to.includes("\\") ? to : "/";
}

export function signInFirst(): void {
  go(`/sign-in?to=${encodeURIComponent(location.pathname)}`);
}

addEventListener("popstate", () => (path.value = location.pathname));
addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link || link.target !== "" || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (ELSEWHERE.test(link.pathname) || link.hash !== "") return;
  event.preventDefault();
  go(link.pathname + link.search);
});
