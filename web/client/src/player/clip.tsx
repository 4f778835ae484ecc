// A clip: at most half a minute of a recording, with a card of its own.
import { useState } from "preact/hooks";
import { CreateClipDocument } from "../documents";
import { Dialog, FormEnd } from "../parts/dialog";
import { PlayIcon } from "../parts/icons";
import { say } from "../parts/said";
import { clock, length } from "../parts/times";
import { Waveform } from "../parts/waveform";
import { addCard } from "../timeline/cards";
import { tell } from "../wire/client";
import * as player from "./player";

const LONGEST_MS = 30_000;
const SHORTEST_MS = 1_000;
const BACK_MS = 10_000;
const STEP_MS = 250;
const BARS = 110;

export function ClipDialog({ track, atMs, onClose }: { track: player.Track; atMs: number; onClose: () => void }) {
  const duration = player.durationMs.value;
  const earliest = player.startMs.value;
  const [from, setFrom] = useState(Math.max(earliest, Math.min(atMs, duration) - BACK_MS));
  const [wanted, setWanted] = useState(Math.min(LONGEST_MS, 15_000));
  const [title, setTitle] = useState("");
  const [comment, setComment] = useState("");
  const [problem, setProblem] = useState("");
  const [isSending, setSending] = useState(false);
  const until = Math.min(duration, from + wanted);
  const isPlaying = player.phase.value === "playing";
  const listen = () => (isPlaying ? player.pause() : void player.playRecording(track.id, track, from, until));
  const send = async (event: Event) => {
    event.preventDefault();
    setSending(true);
    setProblem("");
    try {
      const { item } = await tell(CreateClipDocument, {
        recordingId: track.id,
        startMs: Math.floor(from),
        endMs: Math.floor(until),
        title: title.trim(),
        comment: comment.trim() === "" ? null : comment.trim(),
      });
      if (item) addCard(item);
      say("Your clip is on your timeline.");
      onClose();
    } catch (failed) {
      setProblem(failed instanceof Error ? failed.message : String(failed));
      setSending(false);
    }
  };
  return (
    <Dialog title="Cut a clip" onClose={onClose}>
      <form onSubmit={(event) => void send(event)}>
        <p class="quoted">{track.title}</p>
        <div class="trim">
          <div class="track">
            <Waveform peaks={player.peaks.value} bars={BARS} durationMs={duration} startMs={from} playedMs={until} />
            <input
              type="range"
              aria-label="Start of the clip"
              aria-valuetext={length(from - earliest)}
              min={earliest}
              max={Math.max(earliest, duration - SHORTEST_MS)}
              step={STEP_MS}
              value={from}
              onInput={(event) => setFrom(Number(event.currentTarget.value))}
            />
          </div>
        </div>
        <label class="field">
          Length
          <input
            type="range"
            aria-valuetext={length(until - from)}
            min={SHORTEST_MS}
            max={LONGEST_MS}
            step={STEP_MS}
            value={wanted}
            onInput={(event) => setWanted(Number(event.currentTarget.value))}
          />
        </label>
        <p class="row">
          <button class="button small" type="button" onClick={listen}>
            <PlayIcon playing={isPlaying} /> {isPlaying ? "Pause" : "Listen to it"}
          </button>
          <span class="digits">
            {clock(from - earliest)} to {clock(until - earliest)}
          </span>
        </p>
        <label class="field">
          Title
          <input required maxLength={200} value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
        </label>
        <label class="field">
          Comment
          <textarea rows={2} maxLength={1000} value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
        </label>
        <FormEnd send="Cut the clip" problem={problem} isSending={isSending} onClose={onClose} />
      </form>
    </Dialog>
  );
}
