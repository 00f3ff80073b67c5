/* Answers side by side: a click on a box plays it, and a line shows where the sound is. */
"use strict";
(() => {
  const audio = document.querySelector("audio.whole");
  const lanes = document.querySelector(".lanes");
  const lines = [...document.querySelectorAll(".track")].map((track) => {
    const line = Object.assign(document.createElement("i"), { className: "now" });
    track.append(line);
    return line;
  });
  let end = Infinity;

  lanes.addEventListener("click", (event) => {
    const box = event.target.closest("[data-start]");
    if (!box) return;
    end = Number(box.dataset.end);
    audio.currentTime = Number(box.dataset.start);
    audio.play();
  });
  audio.addEventListener("pause", () => (end = Infinity)); /* whoever goes on hears the rest */
  (function follow() {
    if (audio.currentTime >= end) audio.pause();
    for (const line of lines) line.style.left = `${(100 * audio.currentTime) / Number(lanes.dataset.length)}%`;
    requestAnimationFrame(follow);
  })();
})();
