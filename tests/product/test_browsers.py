"""Two browsers in one Space hear each other, soon, and not themselves."""

import asyncio
import contextlib
from dataclasses import dataclass

import numpy as np
import pytest
from playwright.async_api import Page

from tests.media.lateness import lateness
from tests.product.browser import browser_page
from tests.product.town import Place, Town

pytestmark = pytest.mark.needs_chromium

LEVEL = 0.2
PULSES = 5
PULSE_MS, EVERY_MS = 250, 500
MOST_MOUTH_TO_EAR_S = 0.3

# The mouth sends a pulse every half second; the ear writes down each 10 ms how loud each tone is. Both read
# the machine's clock where the sound is made and heard, so what lies between is the whole way.
_WORKLETS = """
registerProcessor("mouth", class extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    Object.assign(this, processorOptions, { at: 0, begun: [] });
    this.port.onmessage = () => this.port.postMessage(this.begun);
  }
  process(_inputs, [[output]]) {
    const now = Date.now();
    const pulse = Math.floor((now - this.start) / this.every);
    const sounds = now >= this.start && pulse < this.pulses && (now - this.start) % this.every < this.length;
    if (sounds && this.begun[pulse] === undefined) this.begun[pulse] = now;
    for (let i = 0; i < output.length; i++) {
      output[i] = sounds ? this.level * Math.sin(2 * Math.PI * this.frequency * this.at / sampleRate) : 0;
      this.at++;
    }
    return true;
  }
});
registerProcessor("ear", class extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    Object.assign(this, processorOptions, { at: 0, heard: [] });
    this.sums = this.frequencies.map(() => [0, 0]);
    this.port.onmessage = () => this.port.postMessage(this.heard);
  }
  process([[input]]) {
    for (let i = 0; i < (input?.length ?? 0); i++) {
      this.frequencies.forEach((frequency, number) => {
        const angle = 2 * Math.PI * frequency * this.at / sampleRate;
        this.sums[number][0] += input[i] * Math.cos(angle);
        this.sums[number][1] += input[i] * Math.sin(angle);
      });
      if (++this.at % 480 === 0) {
        this.heard.push([Date.now(), ...this.sums.map(([x, y]) => Math.hypot(x, y) / 240)]);
        this.sums = this.frequencies.map(() => [0, 0]);
      }
    }
    return true;
  }
});
"""
_START = """async ({ worklets, whip, whep, token, mouth, frequencies }) => {
  const context = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklets], { type: "text/javascript" })));
  const destination = context.createMediaStreamDestination();
  const [track] = destination.stream.getAudioTracks();
  await connect({ url: whip, token, track });
  const { receiver } = await connect({ url: whep, token });
  const stream = new MediaStream([receiver.track]);
  // Chromium lets a remote track flow into WebAudio only while an element plays it.
  const element = Object.assign(new Audio(), { srcObject: stream, muted: true });
  await element.play();
  window.ear = new AudioWorkletNode(context, "ear", { processorOptions: { frequencies } });
  context.createMediaStreamSource(stream).connect(ear);
  window.speak = (start) => {
    window.mouth = new AudioWorkletNode(context, "mouth", { processorOptions: { ...mouth, start } });
    window.mouth.connect(destination);
  };
}"""
_TELL = """async () => {
  const tell = (node) => new Promise((resolve) => {
    node.port.onmessage = ({ data }) => resolve(data);
    node.port.postMessage("");
  });
  return { begun: await tell(mouth), heard: await tell(ear) };
}"""


@dataclass(frozen=True)
class Told:
    """When this page's pulses began, and how loud it heard each tone when, all by the machine's clock in ms."""

    begun_ms: list[float]
    at_ms: np.ndarray
    levels: np.ndarray


async def begin(page: Page, place: Place, *, frequency_hz: float, frequencies_hz: list[float]) -> None:
    """Connect both ways."""
    mouth = {
        "frequency": frequency_hz,
        "level": LEVEL,
        "pulses": PULSES,
        "length": PULSE_MS,
        "every": EVERY_MS,
    }
    arguments = {
        "worklets": _WORKLETS,
        "whip": place.whip_url,
        "whep": place.whep_url,
        "token": place.token,
        "mouth": mouth,
        "frequencies": frequencies_hz,
    }
    await page.evaluate(_START, arguments)


async def tell(page: Page) -> Told:
    """What has happened in a page."""
    told = await page.evaluate(_TELL)
    heard = np.array(told["heard"])
    return Told(told["begun"], heard[:, 0], heard[:, 1:])


def mouth_to_ear_s(begun_ms: list[float], hearer: Told, tone: int) -> list[float]:
    """For each pulse, how long it took to the other's ear."""
    loud = hearer.levels[:, tone] > LEVEL / 2
    onsets = hearer.at_ms[np.flatnonzero(loud[1:] & ~loud[:-1]) + 1]
    return [min(onsets[onsets >= begun] - begun, default=np.inf) / 1000 for begun in begun_ms]


async def test_two_browsers_hear_each_other_within_300_ms_and_not_themselves(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space = await host.live_space(record=True)
    await guest.speak_in(space, host)
    tones = [400.0, 1000.0]  # 10 ms hold whole periods of both
    async with contextlib.AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(browser_page(f"{town.url}/healthz")) for _ in tones]
        places = [await person.join(space) for person in (host, guest)]
        for page, place, frequency_hz in zip(pages, places, tones, strict=True):
            await begin(page, place, frequency_hz=frequency_hz, frequencies_hz=tones)
        start_ms = await pages[0].evaluate("Date.now()") + 500
        async with lateness() as late:
            for number, page in enumerate(pages):
                # One a quarter of a second behind the other, so that each is also heard alone.
                await page.evaluate("(start) => speak(start)", start_ms + number * EVERY_MS / 2)
            await asyncio.sleep((PULSES + 1) * EVERY_MS / 1000 + 1)
        told = [await tell(page) for page in pages]
    for number, (speaker, hearer) in enumerate([(told[0], told[1]), (told[1], told[0])]):
        took_s = mouth_to_ear_s(speaker.begun_ms, hearer, number)
        print(
            f"{tones[number]:.0f} Hz: mouth to ear {np.round(took_s, 3)} s, machine late by {late.worst_s:.3f} s"
        )
        assert len(took_s) == PULSES
        assert np.median(took_s) < late.allowing(MOST_MOUTH_TO_EAR_S)
        assert np.quantile(hearer.levels[:, number], 0.95) == pytest.approx(LEVEL, rel=0.2)
        # Half of the time it speaks. (The other's pulses begin and end with a click, which has every pitch.)
        assert np.quantile(speaker.levels[:, number], 0.9) < LEVEL / 20
