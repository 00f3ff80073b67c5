/* Boxes that do not hide what they frame, each with a tab to play it, and keys to listen to one box: P plays, L repeats, H is half speed. */
"use strict";
(() => {
  const EDGE_PX = 2;
  const LEAST_TAB_PX = 15;
  const TOOLS_PX = 112;
  const KEYS = { p: "play", l: "repeat", h: "slow" };
  const WAYS = { play: {}, repeat: { repeat: true }, slow: { rate: 0.5 } };

  let stage = null; /* the player at hand, and what this script added to it */
  let playing = null; /* the box that is being played, and how */
  let last = null; /* the id of the box that was played last */
  let pointed = null; /* the box under the pointer */

  /* Once for each player: Label Studio makes one for each session. */
  function attach(ws) {
    const lane = make("div", { className: "podcast-lane" });
    const tools = make("div", { className: "podcast-tools", hidden: true }, [
      tool("▶", "Play this box (P)", () => listen(pointed, "play")),
      tool("↻", "Play it again and again (L)", () => listen(pointed, "repeat")),
      tool("½", "Play it at half speed (H)", () => listen(pointed, "slow")),
      tool("×", "Delete this box", () => remove(pointed)),
    ]);
    lane.append(tools);
    stage = { ws, lane, tools, tabs: new Map() };
    playing = last = pointed = null;
    const { container } = ws.visualizer;
    container.classList.add("podcast-stage");
    container.append(lane);
    /* A press on a tab is no drag and no seek on the picture below it, and Space stays the minute's key after it. */
    lane.addEventListener("click", (event) => event.stopPropagation());
    lane.addEventListener("mousedown", (event) => {
      event.stopPropagation();
      event.preventDefault();
    });
    container.addEventListener("mousemove", (event) => event.buttons || point(under(event)));
    container.addEventListener("mouseleave", () => point(null));
    ws.regions.renderAll = draw;
    ws.on("pause", stopped);
    const select = ws.player.playSelection.bind(ws.player);
    ws.player.playSelection = (from, to) => {
      if (!playing) return select(from, to);
      const { start, end } = playing.box;
      ws.player.loop = { start, end };
      return { start, end };
    };
    ws.regions.redraw();
  }

  /* In place of Label Studio's filled boxes: a frame, bright on the dark picture. Drawn for every frame while the sound plays, so
     widths are read once, before anything is written. */
  function draw() {
    const { visualizer, currentTime, duration } = stage.ws;
    const { width, height } = visualizer;
    const scale = (width * visualizer.getZoom()) / duration;
    const left = visualizer.getScrollLeft() * width * visualizer.getZoom();
    const top = visualizer.getLayer("timeline").isVisible ? visualizer.timelineHeight : 0;
    this.layerGroup.clear();
    const tabs = [];
    for (const box of this.regions) {
      box.active = box.start <= currentTime && box.end >= currentTime;
      const from = box.start * scale - left;
      const to = box.end * scale - left;
      if (!box.visible) continue;
      const strong = box.selected || box.highlighted || box === pointed || box === playing?.box;
      if (to > 0 && from < width) frame(this.layerGroup, box, { from, to, top, bottom: height, strong });
      if (box.isRegion) tabs.push({ box, from, to, shown: to > 0 && from < width });
    }
    showTabs(tabs, top, width);
  }

  function frame(layer, { selected, color }, { from, to, top, bottom, strong }) {
    const edge = strong ? EDGE_PX + 1 : EDGE_PX;
    if (selected) {
      layer.fillStyle = "rgba(255, 255, 255, 0.14)";
      layer.fillRect(from, top, to - from, bottom - top);
    }
    layer.fillStyle = bright(color, strong ? 0.9 : 0.6);
    layer.fillRect(from, top, edge, bottom - top);
    layer.fillRect(to - edge, top, edge, bottom - top);
    layer.fillRect(from, top, to - from, edge);
    layer.fillRect(from, bottom - edge, to - from, edge);
  }

  /* The label's colour with so much white in it. */
  function bright({ rgba }, white) {
    const [r, g, b] = rgba.map((part) => Math.round(part + (255 - part) * white));
    return `rgb(${r}, ${g}, ${b})`;
  }

  function showTabs(items, top, width) {
    const told = JSON.stringify([top, width, pointed?.id, playing?.box.id, items.map(({ box, from, to }) => [box.id, box.labels, from, to])]);
    if (told === stage.told) return;
    stage.told = told;
    const { tabs, lane, tools } = stage;
    lane.style.top = `${top}px`;
    for (const [id, tab] of tabs) {
      if (items.some(({ box }) => box.id === id)) continue;
      tab.remove();
      tabs.delete(id);
    }
    for (const { box, from, to, shown } of items) {
      if (!tabs.has(box.id)) {
        tabs.set(box.id, tool("▶", "", () => listen(find(box.id), "play"), "podcast-box"));
        lane.append(tabs.get(box.id));
      }
      const tab = tabs.get(box.id);
      const wide = Math.max(LEAST_TAB_PX, to - from);
      tab.title = `${box.labels?.[0] || "Box"}: play it (P)`;
      tab.style.cssText = `left: ${(from + to - wide) / 2}px; width: ${wide}px; --podcast-colour: ${bright(box.color, 0.6)}`;
      tab.hidden = !shown;
      tab.dataset.playing = box === playing?.box;
    }
    const at = items.find(({ box, shown }) => shown && box === pointed);
    tools.hidden = !at;
    if (at) tools.style.left = `${Math.min(Math.max(0, (at.from + at.to - TOOLS_PX) / 2), width - TOOLS_PX)}px`;
  }

  function point(box) {
    if (box === pointed) return;
    pointed = box;
    stage.ws.regions.redraw();
  }

  /* The box under the pointer: that of the buttons while it is on them, else that of the tab or of the picture. */
  function under(event) {
    if (event.target.closest(".podcast-tools")) return pointed;
    for (const [id, tab] of stage.tabs) if (tab === event.target) return find(id);
    const x = event.clientX - stage.ws.visualizer.container.getBoundingClientRect().left;
    const boxes = stage.ws.regions.regions.filter((box) => box.isRegion && box.visible && box.xStart <= x && x <= box.xEnd);
    return boxes.includes(pointed) ? pointed : boxes.at(-1) || null;
  }

  const find = (id) => stage.ws.regions.findRegion(id);

  /* Which box a key means: the one under the pointer, else the chosen one; else P goes from box to box, and L and H stay with the last. */
  function meant(way) {
    const boxes = stage.ws.regions.regions.filter((box) => box.isRegion && box.visible).sort((a, b) => a.start - b.start);
    const [chosen] = boxes.filter((box) => box.selected);
    const again = way !== "play" && boxes.find((box) => box.id === last);
    const now = stage.ws.currentTime;
    return (boxes.includes(pointed) && pointed) || chosen || again || boxes.find((box) => box.end > now + 0.01) || boxes[0];
  }

  /* Plays one box; asked for the same once more, it stops. */
  function listen(box, way) {
    const { ws } = stage;
    const same = playing && playing.box === box && playing.way === way;
    ws.pause();
    if (!box || same) return;
    const { repeat = false, rate = ws.rate } = WAYS[way];
    playing = { box, way, before: { rate: ws.rate, settings: ws.settings } };
    last = box.id;
    ws.settings = { ...ws.settings, loopRegion: repeat };
    ws.rate = rate;
    ws.seek(box.start);
    ws.play();
  }

  function stopped() {
    if (!playing) return;
    const { rate, settings } = playing.before;
    playing = null;
    stage.ws.settings = settings;
    stage.ws.rate = rate;
    stage.ws.regions.redraw();
  }

  function remove(box) {
    const region = box && podcast.audio().findRegionByWsRegion(box);
    if (!region || region.isReadOnly()) return;
    stage.ws.pause();
    pointed = null;
    region.annotation.deleteRegion(region);
  }

  /* Label Studio gives keys of its own choice to answers that have none, call types for instance: only those that the page names count. */
  const typing = (element) => element.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable=true]");
  window.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (!stage?.ws.loaded || stage.ws !== podcast.audio()?._ws || !/^[a-z0-9]$/.test(key)) return;
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (KEYS[key]) {
      event.preventDefault();
      const way = KEYS[key];
      listen(playing?.way === way && !pointed ? playing.box : meant(way), way);
    } else if (named(key)) return;
    event.stopImmediatePropagation();
  }, true);

  /* Whether the page names this key; those of a list that is only seen for boxes of some labels, while such a box is chosen. */
  function named(key) {
    const labels = window.Htx.annotationStore.selected?.highlightedNode?.labels ?? [];
    const seen = (list) => !list || list.getAttribute("whenLabelValue").split(",").some((label) => labels.includes(label));
    return [...podcast.config().querySelectorAll(`[hotkey="${key}" i]`)].some((item) => seen(item.closest("[whenLabelValue]")));
  }

  function tool(text, title, onclick, className = "") {
    return make("button", { type: "button", textContent: `${text}\uFE0E`, title, tabIndex: -1, className, onclick });
  }

  const { make } = podcast;
  setInterval(() => {
    const ws = podcast.audio()?._ws;
    if (ws?.loaded && ws !== stage?.ws && podcast.ours()) attach(ws);
  }, 100);
})();
