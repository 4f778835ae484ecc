// One connection for sound: WHIP (RFC 9725) to be heard, WHEP to hear. It comes back by itself when it is lost.

export type Way = "whip" | "whep";

/** The server says no, and asking again would not help. */
export class LineRefused extends Error {
  constructor(readonly status: number) {
    super(`The connection was refused (${status}).`);
  }
}

const GATHERING_MS = 800;
const LOST_AFTER_MS = 3_000;
const LONGEST_PAUSE_MS = 5_000;
const NO = new Set([400, 401, 403, 404, 410, 413, 415]);
// Sessions that an offer may go on with. A longer list says nothing more.
const MOST_SESSIONS = 8;

export class Line {
  private peer: RTCPeerConnection | null = null;
  private location: string | null = null;
  private sessions: string[] = [];
  private failures = 0;
  private isEnded = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `track` is what WHIP sends; `onTrack` gets what WHEP hears. */
  constructor(
    private readonly url: string,
    private readonly token: string,
    private readonly track: MediaStreamTrack | null,
    private readonly on: {
      track?: (track: MediaStreamTrack) => void;
      state: (isUp: boolean) => void;
      refused: (error: LineRefused) => void;
    },
  ) {}

  async start(): Promise<void> {
    clearTimeout(this.timer);
    this.drop();
    const peer = new RTCPeerConnection();
    this.peer = peer;
    peer.addTransceiver(this.track ?? "audio", { direction: this.track === null ? "recvonly" : "sendonly" });
    peer.ontrack = ({ track }) => this.on.track?.(track);
    peer.onconnectionstatechange = () => this.changed(peer);
    try {
      await peer.setLocalDescription();
      await gathered(peer);
      const answer = await this.offer(peer.localDescription?.sdp ?? "");
      if (this.peer !== peer) return;
      await peer.setRemoteDescription({ type: "answer", sdp: answer });
      this.heedEnd(peer);
    } catch (error) {
      if (this.peer !== peer) return;
      if (error instanceof LineRefused) {
        this.stop({ silently: true });
        this.on.refused(error);
      } else this.again();
    }
  }

  private async offer(sdp: string): Promise<string> {
    const headers = new Headers({ "Content-Type": "application/sdp", Authorization: `Bearer ${this.token}` });
    // Coming back must not take over from another device, which would come back too.
    if (this.sessions.length > 0) headers.set("Spaces-Resumes", this.sessions.join(", "));
    const answer = await fetch(this.url, { method: "POST", headers, body: sdp });
    if (NO.has(answer.status) || (await isTakenOver(answer))) throw new LineRefused(answer.status);
    if (answer.status !== 201) throw new Error(`expected 201, got ${answer.status}`);
    const location = answer.headers.get("Location");
    this.location = location === null ? null : new URL(location, this.url).href;
    this.sessions = [...this.sessions, this.location?.split("/").pop() ?? ""].slice(-MOST_SESSIONS);
    return answer.text();
  }

  private changed(peer: RTCPeerConnection): void {
    if (this.peer !== peer) return;
    const isUp = peer.connectionState === "connected";
    this.on.state(isUp);
    clearTimeout(this.timer);
    if (isUp) this.failures = 0;
    else if (peer.connectionState === "failed" || peer.connectionState === "closed") this.again();
    // It often comes back within a moment.
    else if (peer.connectionState === "disconnected") this.timer = setTimeout(() => this.again(), LOST_AFTER_MS);
  }

  /** A server that ends the connection says so; else it would look as if it were up for some seconds more. */
  private heedEnd(peer: RTCPeerConnection): void {
    const transport = peer.getTransceivers()[0]?.sender.transport;
    transport?.addEventListener("statechange", () => {
      if (transport.state === "closed" && this.peer === peer) this.again();
    });
  }

  private again(): void {
    if (this.isEnded) return;
    this.on.state(false);
    const pause = Math.min(LONGEST_PAUSE_MS, 250 * 2 ** this.failures++);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.start(), pause);
  }

  private drop(): void {
    const old = this.peer;
    this.peer = null;
    old?.close();
  }

  /** Hang up; and say so, unless it was the server that ended it. */
  stop({ silently = false } = {}): void {
    this.isEnded = true;
    clearTimeout(this.timer);
    this.drop();
    if (this.location === null || silently) return;
    const headers = { Authorization: `Bearer ${this.token}` };
    fetch(this.location, { method: "DELETE", headers, keepalive: true }).catch(() => undefined);
    this.location = null;
  }
}

async function isTakenOver(answer: Response): Promise<boolean> {
  if (answer.status !== 409) return false;
  const told = (await answer.json().catch(() => null)) as { errors?: { extensions?: { code?: string } }[] } | null;
  return told?.errors?.[0]?.extensions?.code === "CONFLICT";
}

/** Candidates of its own are not what connects us: the server sees where we are. So the wait is short. */
function gathered(peer: RTCPeerConnection): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      if (peer.iceGatheringState === "complete") resolve();
    };
    peer.onicegatheringstatechange = done;
    setTimeout(resolve, GATHERING_MS);
    done();
  });
}
