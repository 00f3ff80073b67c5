/* The labelling page's own words: the round at hand, "Clear all boxes", and a question before an answer that cannot be meant. */
"use strict";
(() => {
  const { make } = podcast;
  document.documentElement.dataset.podcast = document.currentScript.dataset.podcast;

  const QUESTIONS = {
    boxes_beside_no_calls: "You left boxes of calls, and said that there are no calls. Which is it?",
    audio_not_loaded: "The sound did not load, so nobody can have heard this minute.",
    not_heard: "You have heard less than half of this minute.",
  };
  const KEPT = "heard"; /* the control in label_config.xml that keeps the answer */
  let kept = null; /* of the answer that is being sent: Label Studio takes the player apart before it sends */

  /* What has been heard so far. `played` of a media element holds every stretch that was played, each once. */
  function hearing() {
    const tag = podcast.audio();
    /* Where the sound did not load, Label Studio never hands the player to its controls; it is in the page all the same. */
    const player = tag?._ws?.player?.audio?.el || [...document.querySelectorAll("audio[data-testid=waveform-audio]")].at(-1);
    if (!tag || !player) return null;
    const loaded = Boolean(tag._ws?.loaded) && !player.error && Number.isFinite(player.duration);
    let heard = 0;
    for (let at = 0; at < player.played.length; at += 1) heard += player.played.end(at) - player.played.start(at);
    return { loaded, heard_s: round(heard), duration_s: loaded ? round(player.duration) : null };
  }

  /* Who changes an answer need not listen again: what was heard before it counts, but not to somebody who copies it. */
  function withEarlier(now, annotation) {
    const earlier = annotation.serializeAnnotation().find((item) => item.from_name === KEPT);
    if (!now || !earlier || annotation.parent_annotation) return now;
    try {
      const { loaded, heard_s, duration_s, asked } = JSON.parse(earlier.value.text.at(-1));
      return { loaded: now.loaded || loaded, heard_s: Math.max(now.heard_s, heard_s), duration_s: now.duration_s ?? duration_s, asked };
    } catch {
      return now; /* nothing that this page wrote */
    }
  }

  const round = (seconds) => Math.round(seconds * 1000) / 1000;

  function doubts(annotation, now) {
    const found = [];
    const results = annotation.serializeAnnotation();
    const boxes = results.some((item) => item.value.labels?.some((label) => calls().includes(label)));
    const none = results.some((item) => item.value.choices?.some((choice) => noCalls().includes(choice)));
    if (boxes && none) found.push("boxes_beside_no_calls");
    if (now && !now.loaded) found.push("audio_not_loaded");
    else if (now && now.heard_s < now.duration_s / 2) found.push("not_heard");
    return found;
  }

  /* The answers and the labels that label_config.xml gives this meaning. */
  const noCalls = () => valuesOf("Choice[reviewState=no_calls]");
  const calls = () => valuesOf("Label[certainty]");

  function valuesOf(selector) {
    return [...podcast.config().querySelectorAll(selector)].map((element) => element.getAttribute("value"));
  }

  let busy = false;
  async function maySave(store, annotation) {
    if (busy) return false;
    const now = withEarlier(hearing(), annotation);
    const found = streamed() ? doubts(annotation, now) : [];
    busy = true;
    const sure = !found.length || (await ask(found));
    busy = false;
    kept = sure && now && annotation.names.has(KEPT) ? item({ ...now, asked: [...new Set([...(now.asked || []), ...found])] }) : null;
    return sure;
  }

  function item(heard) {
    return {
      id: `${KEPT}${Math.random().toString(36).slice(2, 10)}`,
      from_name: KEPT,
      to_name: podcast.audio().name,
      type: "textarea",
      value: { text: [JSON.stringify(heard)] },
    };
  }

  function ask(found) {
    const dialog = make("dialog", { className: "podcast-ask" }, [
      ...found.map((name) => make("p", { textContent: QUESTIONS[name] })),
      make("div", {}, [
        make("button", { textContent: "Go back", value: "back", autofocus: true }),
        make("button", { textContent: "Send it anyway", value: "send" }),
      ]),
      make("small", { textContent: "Ctrl+Enter sends, Esc goes back." }),
    ]);
    document.body.append(dialog);
    return new Promise((answer) => {
      dialog.addEventListener("keydown", (event) => {
        event.stopPropagation(); /* Label Studio's keys stay out of it */
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        dialog.close("send");
      });
      dialog.addEventListener("click", (event) => event.target.value && dialog.close(event.target.value));
      dialog.addEventListener("close", () => {
        dialog.remove();
        answer(dialog.returnValue === "send");
      });
      dialog.showModal();
    });
  }

  /* Label Studio sends an answer by fetch; what was heard and asked goes with it, as the text of a control that nobody sees. */
  const send = window.fetch;
  window.fetch = function (address, options) {
    const method = options?.method?.toUpperCase();
    const url = String(address?.url || address);
    const saved = (method === "POST" && /\/api\/tasks\/\d+\/annotations\b(?!\/)/.test(url)) || (method === "PATCH" && /\/api\/annotations\/\d+/.test(url));
    if (saved && typeof options.body === "string") options = { ...options, body: withHearing(options.body) };
    const answer = send.call(this, address, options);
    if (saved) answer.then(refresh, () => {});
    return answer;
  };

  function withHearing(text) {
    const body = JSON.parse(text);
    if (!kept || !Array.isArray(body.result)) return text;
    body.result = [...body.result.filter((result) => result.from_name !== KEPT), kept];
    kept = null;
    return JSON.stringify(body);
  }

  /* The bar: in Label Studio's top row, so that it takes no room from the page. */
  const count = make("summary");
  const card = make("div", { className: "podcast-card" });
  const bar = make("div", { className: "podcast-bar" }, [
    make("button", { textContent: "Clear all boxes", onclick: () => window.Htx?.annotationStore?.selected?.deleteAllRegions() }),
    make("details", {}, [count, card]),
  ]);

  async function refresh() {
    const project = streamed();
    if (!project) return;
    const answer = await send(`${prefix()}/rounds/${project}/`);
    if (!answer.ok) return;
    const view = await answer.json();
    count.replaceChildren(make("progress", { max: view.total, value: view.done }), `${view.done} of ${view.total} done, ${view.mine} by you`);
    card.replaceChildren(
      make("strong", { textContent: view.title }),
      ...view.card.map((pieces) => make("p", {}, pieces.map(piece))),
      make("p", {}, [make("a", { textContent: "All rounds, and how calls sound", href: `${prefix()}/rounds/` })]),
    );
  }

  const piece = ({ text, href }) => (href ? make("a", { textContent: text, href, target: "_blank", rel: "noopener noreferrer" }) : text);
  const prefix = () => location.pathname.slice(0, location.pathname.indexOf("/projects/"));

  /* The number of the round whose label stream is open: Label Studio changes pages without loading them. */
  function streamed() {
    const labeling = new URLSearchParams(location.search).get("labeling") === "1";
    return labeling ? /\/projects\/(\d+)\/data/.exec(location.pathname)?.[1] : undefined;
  }

  /* A volunteer's way out of the page is the rounds: Label Studio would open its own lists without asking the server. */
  document.addEventListener("click", (event) => {
    const link = document.documentElement.dataset.podcast === "volunteer" && event.target.closest?.("a[href]");
    if (!link || bar.contains(link) || link.origin !== location.origin || link.pathname.endsWith("/logout")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    location.assign(`${prefix()}/rounds/`);
  }, true);

  let shown;
  const watched = new WeakSet();
  setInterval(() => {
    const project = streamed();
    bar.hidden = !project;
    const manager = window.dataManager;
    if (manager?.on && !watched.has(manager)) {
      watched.add(manager);
      manager.on("lsf:beforeSaveAnnotation", maySave);
    }
    if (!project || project === shown) return;
    shown = project;
    document.body.append(bar);
    refresh();
  }, 200);
})();
