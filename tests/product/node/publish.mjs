// Plays a file by WHIP with a client and a WebRTC of other people: node publish.mjs FILE URL TOKEN
// FILE is 16-bit mono PCM at 48 kHz. Exits once all was played and the session ended.
import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { WHIPClient } from "@binbat/whip-whep/whip.js";
import wrtc from "@roamhq/wrtc";

const [file, url, token] = process.argv.slice(2);
const SAMPLE_RATE = 48000;
const BLOCK = SAMPLE_RATE / 100;
const bytes = readFileSync(file);
const pcm = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);

const peer = new wrtc.RTCPeerConnection();
const source = new wrtc.nonstandard.RTCAudioSource();
peer.addTrack(source.createTrack());
const connected = new Promise((resolve) => {
  peer.onconnectionstatechange = () => peer.connectionState === "connected" && resolve();
});
const client = new WHIPClient();
await client.publish(peer, url, token);
await connected;

const begun = performance.now();
for (let at = 0; at < pcm.length; at += BLOCK) {
  const samples = new Int16Array(BLOCK);
  samples.set(pcm.subarray(at, at + BLOCK));
  source.onData({ samples, sampleRate: SAMPLE_RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: BLOCK });
  await wait(Math.max(0, begun + ((at + BLOCK) / SAMPLE_RATE) * 1000 - performance.now()));
}
await client.stop();
process.exit(0);
