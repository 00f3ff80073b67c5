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

  /* Label Studio's decoder brings all sound to 44.1 kHz, so that half of the picture of a listening copy would be empty, unless this
     is there: the sound that is heard is not touched. It decodes a minute in a tenth of the time that ffmpeg takes. */
  window.WebAudioOfflineAudioContext = new OfflineAudioContext(1, 2, 24_000);

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

  function copy(address) {
    const key = plain(address);
    for (const [old, { blob }] of copies) {
      if (old === key) continue;
      URL.revokeObjectURL(blob);
      copies.delete(old);
    }
    if (!copies.has(key)) {
      const made = {};
      copies.set(key, made);
      made.ready = fetch(address).then(async (answer) => {
        if (!answer.ok) throw new Error(`${answer.status}`);
        made.blob = URL.createObjectURL(await answer.blob());
        return made.blob;
      });
      made.ready.catch(() => copies.delete(key));
    }
    return copies.get(key).ready;
  }

  /* The server's answer with the next session names its audio long before the page has made a player for it. */
  const ask = window.fetch;
  window.fetch = async function (address, options) {
    const answer = await ask.call(this, address, options);
    if (answer.ok && /\/api\/dm\/actions\/?\?(.*&)?id=next_task\b/.test(String(address?.url || address))) {
      answer.clone().json().then(({ data }) => /^(https?:|\/)/.test(data?.audio) && copy(data.audio)).catch(() => {});
    }
    return answer;
  };

  /* One address however it is written: Label Studio adds `lsref` and escapes anew for the second request. */
  function plain(address) {
    const url = new URL(address, location.href);
    url.searchParams.delete("lsref");
    url.searchParams.sort();
    return url.href;
  }

  const open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, address, ...rest) {
    const blob = method === "GET" && /[?&]lsref=/.test(address) ? copies.get(plain(address))?.blob : undefined;
    return open.call(this, method, blob || address, ...rest);
  };

  /* The code that computes spectrograms arrives late on a page's first session, and nothing draws after it: draw once more. */
  const drawn = new WeakSet();
  function paint() {
    const visualizer = podcast.audio()?._ws?.visualizer;
    const renderer = visualizer?.spectrogramRenderer;
    if (!renderer?.fftProcessor || !renderer.audio?.dataLength || drawn.has(renderer)) return;
    drawn.add(renderer);
    measureOnce(renderer.fftProcessor.webfftInstance);
    renderer.spectrogramNeedsRedraw = true;
    visualizer.draw();
  }

  /* For every session Label Studio measures anew, for a second in which nothing else moves, which of nine ways to compute spectra is the
     fastest here. What it found the first time is kept by the browser, and is asked for from then on. */
  let measured = false;
  function measureOnce(spectra) {
    if (measured || !spectra?.profile) return;
    measured = true;
    const kind = Object.getPrototypeOf(spectra);
    const { profile } = kind;
    kind.profile = function (seconds) {
      return profile.call(this, seconds, false);
    };
  }

  /* The spectrogram takes the height that the rest of the page leaves, and that of the wave, which shows no calls; Label Studio's
     own switch brings the wave back. Done once for each player and window: who drags the picture's lower edge keeps what they made. */
  const LEAST_PX = 160;
  const fitted = new WeakMap();
  function fit() {
    const ws = podcast.audio()?._ws;
    const page = document.querySelector(".lsf-main-view__annotation");
    if (!ws?.loaded || !page || fitted.get(ws) === innerHeight || !podcast.ours()) return;
    const { visualizer } = ws;
    if (!fitted.has(ws)) {
      for (const name of ["waveform", "waveform-resize"]) ws.getLayer(name).setVisibility(false);
      spare(ws);
    }
    fitted.set(ws, innerHeight);
    const room = scroller(page);
    const bottom = room.getBoundingClientRect().bottom - Number.parseFloat(getComputedStyle(room).paddingBottom);
    const free = bottom - page.getBoundingClientRect().bottom - room.scrollTop;
    const height = Math.max(LEAST_PX, Math.floor(visualizer.spectrogramHeight + free));
    visualizer.initialSpectrogramHeight = Math.max(height, visualizer.initialSpectrogramHeight); /* the most that it allows */
    visualizer.handleHeightChange("spectrogram", height);
  }

  /* While the sound plays, Label Studio computes the whole picture anew for every frame, which leaves a modest machine two frames a
     second: a picture that would come out the same is left as it is. */
  function spare(ws) {
    const renderer = ws.visualizer.spectrogramRenderer;
    const draw = renderer.draw.bind(renderer);
    renderer.draw = (context) => {
      const same =
        !renderer.spectrogramNeedsRedraw &&
        context.width === renderer.lastSpectrogramRenderedWidth &&
        context.zoom === renderer.lastSpectrogramRenderedZoom &&
        context.scrollLeftPx === renderer.lastSpectrogramRenderedScrollLeftPx;
      if (!ws.playing || !same) draw(context);
    };
  }

  /* Label Studio leaves the lines of the frequency scale where they were when the picture's height changes. */
  function scale() {
    const visualizer = podcast.audio()?._ws?.visualizer;
    const grid = visualizer?.spectrogramRenderer?.gridRendererPlugin;
    if (!grid || grid.height === visualizer.spectrogramHeight) return;
    grid.height = visualizer.spectrogramHeight;
    grid.requestGridRedraw();
    visualizer.draw();
  }

  function scroller(element) {
    const found = element.parentElement;
    return /auto|scroll/.test(getComputedStyle(found).overflowY) || found === document.body ? found : scroller(found);
  }

  /* The list of boxes and their history stay folded away, for the picture's width; who unfolds them finds them so the next time. */
  const PANELS = "panelState";
  function foldPanels() {
    if (localStorage.getItem(PANELS)) return;
    const panel = (order, ...names) => ({
      order,
      top: 0,
      left: 0,
      relativeLeft: 0,
      relativeTop: 0,
      zIndex: 10,
      width: 320,
      height: 300,
      visible: true,
      detached: false,
      alignment: "right",
      maxHeight: 500,
      panelViews: names.map((name, at) => ({ name, title: name[0].toUpperCase() + name.slice(1), active: at === 0 })),
    });
    const panelData = { "info-history": panel(1, "info", "history"), "regions-relations": panel(2, "regions", "relations") };
    localStorage.setItem(PANELS, JSON.stringify({ panelData, collapsedSide: { left: false, right: true } }));
  }

  let parsed = {}; /* once, and not ten times a second */
  window.podcast = {
    /* The labeling configuration of the page, and whether it is one of ours: Label Studio's other projects keep their page. */
    config() {
      const text = window.Htx.config;
      if (parsed.text !== text) parsed = { text, page: new DOMParser().parseFromString(text, "text/xml") };
      return parsed.page;
    },
    ours: () => Boolean(podcast.config().querySelector("Choice[reviewState]")),
    make(name, properties = {}, children = []) {
      const element = Object.assign(document.createElement(name), properties);
      element.append(...children);
      return element;
    },
    /* The page's one <Audio> control, of the annotation that is open. */
    audio() {
      const names = window.Htx?.annotationStore?.selected?.names;
      return names && [...names.values()].find((tag) => tag.type === "audio");
    },
  };
  writeSettings();
  foldPanels();
  setInterval(() => {
    fit();
    scale();
    paint();
  }, 100);
})();
