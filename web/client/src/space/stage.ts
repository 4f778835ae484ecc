// Being on a stage: one's microphone out, the others in. It goes on while one looks at other pages.
import { effect, signal } from "@preact/signals";
import { JoinSpaceDocument, LeaveSpaceDocument, SetMutedDocument, type PersonFragment } from "../documents";
import { announce, say } from "../parts/said";
import * as player from "../player/player";
import { tell } from "../wire/client";
import { me } from "../wire/session";
import { Line, type LineRefused } from "./line";

export interface Stage {
  spaceId: string;
  title: string;
  host: PersonFragment;
}

export const stage = signal<Stage | null>(null);
export const isUp = signal(false);
export const isMuted = signal(false);
/** Of one's own microphone, 0 to 1. */
export const level = signal(0);

const LEVEL_EVERY_MS = 100;
/** A microphone that comes right back is nobody's concern. */
const LOST_AFTER_MS = 3_000;

const others = document.createElement("audio");
others.id = "others";
document.body.append(others);

// Other tabs of this browser look at it before they sign out.
const ON_AIR = "spaces.on-air";

let lines: Line[] = [];
let letGo: (() => void) | undefined;
let microphone: MediaStream | null = null;
let context: AudioContext | null = null;
let timer: ReturnType<typeof setInterval> | undefined;

/** Ask for the microphone, connect, and be heard. Throws what the person must know. */
export async function goOn(next: Stage, muted: boolean): Promise<void> {
  if (stage.value?.spaceId === next.spaceId) return;
  await withMicrophone((stream) => connect(next, muted, stream));
}

/** Ask for the microphone first, so that nothing begins without one; what throws closes it again. */
export async function withMicrophone(use: (stream: MediaStream) => Promise<void>): Promise<void> {
  const stream = await openMicrophone();
  try {
    await use(stream);
  } catch (error) {
    close(stream);
    throw error;
  }
}

/** Be heard by an open microphone. Throws what the person must know. */
export async function connect(next: Stage, muted: boolean, stream: MediaStream): Promise<void> {
  stepDown();
  try {
    const joined = await tell(JoinSpaceDocument, { spaceId: next.spaceId });
    if (joined.whipUrl === null || joined.whepUrl === null || joined.mediaToken === null)
      throw new Error("You are a listener in this Space. Raise your hand to speak.");
    player.close();
    microphone = stream;
    stage.value = next;
    holdAir();
    showMuted(joined.participant?.isMuted ?? muted);
    const [track] = stream.getAudioTracks();
    const refused = ({ status }: LineRefused): void => {
      if (stage.value?.spaceId !== next.spaceId) return;
      stepDown();
      const elsewhere = "You speak from another device now, and the microphone here is closed.";
      say(status === 409 ? elsewhere : "You are not on the stage any more.", { bad: true, urgent: true });
      // Another device plays what this one would.
      if (status !== 409) listenOn(next);
    };
    track?.addEventListener("ended", () => {
      if (microphone !== stream) return;
      closeMicrophone();
      say("Your microphone is gone, and nobody hears you.", { bad: true, urgent: true });
    });
    lines = [
      new Line(joined.whipUrl, joined.mediaToken, track ?? null, { state: (up) => (isUp.value = up), refused }),
      new Line(joined.whepUrl, joined.mediaToken, null, {
        track: (heard) => void hear(heard),
        state: () => undefined,
        refused: () => undefined,
      }),
    ];
    measure(stream);
    await Promise.all(lines.map((line) => line.start()));
  } catch (error) {
    close(stream);
    throw error;
  }
}

function close(stream: MediaStream | null): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

async function openMicrophone(): Promise<MediaStream> {
  if (!("mediaDevices" in navigator)) throw new Error("A microphone needs https. Ask who runs this server.");
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError") throw new Error("The browser does not let this page use the microphone. Allow it, and try again.");
    if (name === "NotFoundError") throw new Error("There is no microphone. Plug one in, and try again.");
    throw new Error("The microphone cannot be opened. Another program may have it.");
  }
}

async function hear(track: MediaStreamTrack): Promise<void> {
  others.srcObject = new MediaStream([track]);
  await others.play().catch(() => undefined);
}

function measure(stream: MediaStream): void {
  context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    // -60 dB to 0 dB.
    const loudness = Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-9) / 6));
    level.value = isMuted.peek() ? 0 : loudness;
  }, LEVEL_EVERY_MS);
}

function showMuted(muted: boolean): void {
  isMuted.value = muted;
  for (const track of microphone?.getAudioTracks() ?? []) track.enabled = !muted;
}

export async function setMuted(muted: boolean): Promise<void> {
  const now = stage.value;
  const who = me.value;
  if (now === null || who === null) return;
  // Off takes effect here at once, whatever the network does; on only once the server agrees.
  if (muted) showMuted(true);
  await tell(SetMutedDocument, { spaceId: now.spaceId, userId: who.id, muted });
  showMuted(muted);
}

/** What the server says of this person: a host may have muted them, or sent them back among those who listen. */
export function heardOf(spaceId: string, { muted, isSpeaker, isIn }: { muted: boolean; isSpeaker: boolean; isIn: boolean }): void {
  const now = stage.value;
  if (now?.spaceId !== spaceId) return;
  if (isSpeaker) {
    if (muted && !isMuted.value) announce("You were muted.");
    if (muted !== isMuted.value) showMuted(muted);
    return;
  }
  stepDown({ silently: true });
  if (isIn) listenOn(now);
}

/** Whoever is not heard any more hears on. */
function listenOn({ spaceId, title, host }: Stage): void {
  void player.playLive(spaceId, { spaceId, title, host });
}

export function closeMicrophone(): void {
  const now = stage.value;
  stepDown();
  if (now !== null) listenOn(now);
}

/** Hang up, without leaving the Space. `silently`: the server has ended it already. */
export function stepDown({ silently = false } = {}): void {
  for (const line of lines) line.stop({ silently });
  lines = [];
  clearInterval(timer);
  close(microphone);
  microphone = null;
  void context?.close();
  context = null;
  others.srcObject = null;
  isUp.value = false;
  level.value = 0;
  stage.value = null;
  letGo?.();
}

function holdAir(): void {
  const held = new Promise<void>((resolve) => (letGo = resolve));
  void navigator.locks.request(ON_AIR, { mode: "shared" }, () => held);
}

/** Whether this person is on the air, in this tab or in another one. */
export async function isOnAir(): Promise<boolean> {
  if (stage.value !== null || !("locks" in navigator)) return stage.value !== null;
  const { held = [] } = await navigator.locks.query();
  return held.some((lock) => lock.name === ON_AIR);
}

export async function leave(spaceId: string): Promise<void> {
  await tell(LeaveSpaceDocument, { spaceId });
  if (stage.value?.spaceId === spaceId) stepDown({ silently: true });
  if (player.track.value?.id === spaceId) player.close();
}

// Whether one is heard is said once it is so, and once it has not been for a while.
let wasUp = false;
effect(() => {
  if (stage.value === null) return void (wasUp = false);
  if (isUp.value) {
    if (!wasUp) announce("Your microphone is open.");
    wasUp = true;
    return;
  }
  if (!wasUp) return;
  const timer = setTimeout(() => {
    wasUp = false;
    announce("Nobody hears you: your microphone lost its connection. It is tried again.", { urgent: true });
  }, LOST_AFTER_MS);
  return () => clearTimeout(timer);
});

// Another tab may have signed out.
effect(() => {
  if (me.value !== null || stage.peek() === null) return;
  stepDown();
  say("You are signed out, and your microphone is closed.", { bad: true, urgent: true });
});

addEventListener("pagehide", () => {
  for (const line of lines) line.stop();
});
