/* Sound and picture of Label Studio's page: fetched once, painted at once, in colours that show calls. Runs before Label Studio's scripts. */
"use strict";
(() => {
  const SETTINGS = "ls:audio-tag:settings";
  const WRITTEN = "podcast:audio-settings";
  const STOCK = {
    playpauseHotkey: "audio:playpause",
    stepBackHotkey: "audio:step-backward",
    stepForwardHotkey: "audio:step-forward",
    loopRegion: false,
    autoPlayNewSegments: true,
  };
  /* These made calls stand out on three recordings; in Label Studio's own default, mel, the frequency scale is wrong. */
  const OURS = {
    spectrogramScale: "linear",
    spectrogramFftSamples: 1024,
    spectrogramColorScheme: "inferno",
    spectrogramMinDb: -45,
    spectrogramMaxDb: -20,
    spectrogramWindowingFunction: "hann",
  };

  /* A person's own choice stays: a setting is ours to write while it is absent, or still what we wrote last time. */
  function writeSettings() {
    const stored = read(SETTINGS) || STOCK;
    const written = read(WRITTEN) || {};
    const now = { ...stored };
    for (const [name, value] of Object.entries(OURS)) {
      if (!(name in stored) || (name in written && stored[name] === written[name])) now[name] = value;
    }
    localStorage.setItem(SETTINGS, JSON.stringify(now));
    localStorage.setItem(WRITTEN, JSON.stringify(OURS));
  }

  function read(name) {
    try {
      const value = JSON.parse(localStorage.getItem(name));
      return value && typeof value === "object" ? value : null;
    } catch {
      return null;
    }
  }

  /* Label Studio fetches the audio for its player, waits until that can play, and then fetches it again for its picture.
     Here the player's address is fetched once, and both get the copy in memory. Where that fails, all is as it was. */
  const copies = new Map();
  const source = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "src");
  Object.defineProperty(HTMLMediaElement.prototype, "src", {
    ...source,
    set(address) {
      if (this.dataset.testid !== "waveform-audio" || !/^(https?:|\/)/.test(address)) {
        source.set.call(this, address);
        return;
      }
      copy(address).then(
        (blob) => source.set.call(this, blob),
        () => source.set.call(this, address),
      );
    },
  });

  async function copy(address) {
    const key = plain(address);
    for (const [old, blob] of copies) {
      if (old !== key) {
        URL.revokeObjectURL(blob);
        copies.delete(old);
      }
    }
    if (copies.has(key)) return copies.get(key);
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${answer.status}`);
    const blob = URL.createObjectURL(await answer.blob());
    copies.set(key, blob);
    return blob;
  }

  /* One address however it is written: Label Studio adds `lsref` and escapes anew for the second request. */
  function plain(address) {
    const url = new URL(address, location.href);
    url.searchParams.delete("lsref");
    url.searchParams.sort();
    return url.href;
  }

  const open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, address, ...rest) {
    const blob = method === "GET" && /[?&]lsref=/.test(address) ? copies.get(plain(address)) : undefined;
    return open.call(this, method, blob || address, ...rest);
  };

  /* The code that computes spectrograms arrives late on a page's first session, and nothing draws after it: draw once more. */
  const drawn = new WeakSet();
  function paint() {
    const visualizer = podcast.audio()?._ws?.visualizer;
    const renderer = visualizer?.spectrogramRenderer;
    if (!renderer?.fftProcessor || !renderer.audio?.dataLength || drawn.has(renderer)) return;
    drawn.add(renderer);
    renderer.spectrogramNeedsRedraw = true;
    visualizer.draw();
  }

  window.podcast = {
    /* The page's one <Audio> control, of the annotation that is open. */
    audio() {
      const names = window.Htx?.annotationStore?.selected?.names;
      return names && [...names.values()].find((tag) => tag.type === "audio");
    },
  };
  writeSettings();
  setInterval(paint, 100);
})();
