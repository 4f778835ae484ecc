import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Icon } from "./icons";
import { depth, Said } from "./said";

/** The browser's own modal dialog: it keeps the focus, and closes on Escape. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  const name = useId();
  const [at] = useState(() => depth.peek() + 1);
  useEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    depth.value++;
    return () => {
      dialog?.close();
      depth.value--;
    };
  }, []);
  return (
    <dialog
      ref={box}
      aria-labelledby={name}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      // Who presses Escape twice and nothing else is not asked again: it is closed by then.
      onClose={() => {
        if (box.current !== null) onClose();
      }}
      onClick={(event) => {
        if (event.target === box.current) onClose();
      }}
    >
      <div class="dialog">
        <header>
          <h2 id={name}>{title}</h2>
          <button class="round" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
      <Said at={at} />
    </dialog>
  );
}

interface Asked {
  title: string;
  children: ComponentChildren;
  /** On the button that leaves all as it is. */
  stay: string;
  /** On the button that does it. */
  act: string;
  onAct: () => void;
  onClose: () => void;
}

/** What cannot be undone is asked about once more. */
export function Sure({ title, children, stay, act, onAct, onClose }: Asked) {
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <div class="row end">
        <button class="button" onClick={onClose}>
          {stay}
        </button>
        <button class="button danger" onClick={onAct}>
          {act}
        </button>
      </div>
    </Dialog>
  );
}

/** How a form ends: what went wrong, a way out, and the button that sends it. */
export function FormEnd(props: { send: string; onClose: () => void; problem?: string; isSending?: boolean; danger?: boolean | undefined }) {
  return (
    <>
      {props.problem && (
        <p class="problem" role="alert">
          {props.problem}
        </p>
      )}
      <div class="row end">
        <button class="button" type="button" onClick={props.onClose}>
          Cancel
        </button>
        <button class={`button ${props.danger ? "danger" : "primary"}`} disabled={props.isSending}>
          {props.send}
        </button>
      </div>
    </>
  );
}
