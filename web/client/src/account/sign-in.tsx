import { useState } from "preact/hooks";
import { SignInDocument, SignUpDocument } from "../documents";
import { Logo } from "../parts/icons";
import { go, wanted } from "../router";
import { newVisitor, Refused, tell } from "../wire/client";
import { signedIn } from "../wire/session";

export function SignIn({ isNew }: { isNew: boolean }) {
  const [handle, setHandle] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [keep, setKeep] = useState(false);
  const [problem, setProblem] = useState<{ text: string; field: string | undefined } | null>(null);
  const [isSending, setSending] = useState(false);

  const send = async (event: Event) => {
    event.preventDefault();
    setSending(true);
    setProblem(null);
    const bare = handle.trim().replace(/^@/, "");
    try {
      const { token, expiresAt, user } = isNew
        ? await tell(SignUpDocument, { handle: bare, name: name.trim() || bare, password })
        : await tell(SignInDocument, { handle: bare, password });
      if (token === null || expiresAt === null || user === null) throw new Error("The server gave no session.");
      signedIn({ token, expiresAt, me: { ...user } }, keep);
      newVisitor();
      go(wanted(), { replace: true });
    } catch (failed) {
      const field = failed instanceof Refused ? failed.path.at(-1) : undefined;
      setProblem({ text: failed instanceof Error ? failed.message : String(failed), field });
      setSending(false);
    }
  };
  const wrong = (field: string) =>
    problem?.field === field ? ({ "aria-invalid": true, "aria-describedby": "problem" } as const) : {};
  const other = (isNew ? "/sign-in" : "/sign-up") + location.search;

  return (
    <div class="door">
      <Logo />
      <h1>{isNew ? "Make an account" : "Welcome back"}</h1>
      <p class="quiet">
        {isNew ? "Host Spaces, speak, and keep your place in what you hear." : "Sign in to host, speak and share."}
      </p>
      <form onSubmit={(event) => void send(event)}>
        {isNew && (
          <label class="field">
            Name
            <input autocomplete="name" required maxLength={100} value={name} onInput={(event) => setName(event.currentTarget.value)} {...wrong("name")} />
          </label>
        )}
        <label class="field">
          Handle
          <input
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            required
            maxLength={31}
            value={handle}
            onInput={(event) => setHandle(event.currentTarget.value)}
            {...wrong("handle")}
          />
          {isNew && <small>3 to 30 letters, digits and underscores.</small>}
        </label>
        <label class="field">
          Password
          <input
            type="password"
            autocomplete={isNew ? "new-password" : "current-password"}
            required
            minLength={isNew ? 8 : 1}
            maxLength={128}
            value={password}
            onInput={(event) => setPassword(event.currentTarget.value)}
            {...wrong("password")}
          />
          {isNew && <small>At least 8 characters.</small>}
        </label>
        <label class="check">
          <input type="checkbox" checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} />
          Stay signed in on this device
        </label>
        {problem !== null && (
          <p class="problem" id="problem" role="alert">
            {problem.text}
          </p>
        )}
        <button class="button primary wide" disabled={isSending}>
          {isNew ? "Sign up" : "Sign in"}
        </button>
      </form>
      <p class="quiet">
        {isNew ? "You have an account? " : "New here? "}
        <a href={other}>{isNew ? "Sign in" : "Make an account"}</a>
      </p>
    </div>
  );
}
