"use strict";
// The player: frames on a canvas, contours as paths above it, a cursor in the charts. All of it comes from the data in the page.
(() => {
  const island = document.getElementById("cine");
  if (!island) return;
  const cine = JSON.parse(island.textContent);
  const count = cine.numbers.length;
  const element = (id) => document.getElementById(id);
  const [player, stage, poster, scrub, play] = ["player", "stage", "poster", "scrub", "play"].map(element);
  const [readout, speed, outlines] = ["readout", "speed", "outlines"].map(element);
  const paths = Object.entries(cine.contours).map(([name, all]) => [element("contour-" + name), all]);
  const charts = [...document.querySelectorAll("svg.linked")];
  const UNKNOWN_FPS = 25;

  // Pictures are decoded by the browser when they are first drawn; it keeps what it has room for.
  const pictures = cine.pictures.map((code) => {
    const picture = new Image();
    picture.src = "data:image/jpeg;base64," + code;
    return picture;
  });
  cine.pictures = null;
  island.remove();

  const canvas = document.createElement("canvas");
  canvas.width = poster.naturalWidth || cine.size[0];
  canvas.height = poster.naturalHeight || cine.size[1];
  canvas.setAttribute("role", "img");
  canvas.id = "canvas";
  const pen = canvas.getContext("2d");

  let place = cine.start;
  let playing = false;
  let clock = null; // seconds of the animation frame before
  let position = 0; // frame of the cine, with its fraction, while it plays

  const draw = () => {
    const picture = pictures[place];
    const paint = () => {
      if (pictures[place] !== picture) return; // another frame is wanted by now
      if (canvas.width !== picture.naturalWidth) [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
      pen.drawImage(picture, 0, 0);
    };
    if (picture.complete && picture.naturalWidth) paint();
    else picture.addEventListener("load", paint, { once: true });
  };

  const x = (number) => {
    const [left, right] = cine.plot;
    return left + (cine.frames > 1 ? number / (cine.frames - 1) : 0) * (right - left);
  };

  const show = (wanted) => {
    place = Math.min(count - 1, Math.max(0, wanted));
    const number = cine.numbers[place];
    draw();
    for (const [path, all] of paths) path.setAttribute("d", all[place]);
    for (const chart of charts) {
      const line = chart.querySelector(".cursor");
      const point = chart.querySelector(".cursorpoint");
      line.setAttribute("x1", x(number));
      line.setAttribute("x2", x(number));
      if (!point) continue;
      const height = cine.heights[place];
      point.setAttribute("cx", height === null ? -50 : x(number));
      point.setAttribute("cy", height === null ? -50 : height);
    }
    const mark = cine.marks[place];
    const words = cine.captions[place] + (mark ? " · " + mark : "");
    readout.textContent = words;
    scrub.value = String(place);
    scrub.setAttribute("aria-valuetext", words);
    canvas.setAttribute("aria-label", "Cine, " + words);
    player.dataset.frame = String(number);
  };

  const nearest = (number) => {
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cine.numbers[middle] < number) low = middle + 1;
      else high = middle;
    }
    return low > 0 && number - cine.numbers[low - 1] < cine.numbers[low] - number ? low - 1 : low;
  };

  const tick = (milliseconds) => {
    if (!playing) return;
    const seconds = milliseconds / 1000;
    if (clock !== null) {
      position += (seconds - clock) * (cine.fps || UNKNOWN_FPS) * Number(speed.value);
      if (position >= cine.frames) position %= cine.frames;
      const next = nearest(Math.floor(position));
      if (next !== place) show(next);
    }
    clock = seconds;
    requestAnimationFrame(tick);
  };

  const run = (go) => {
    playing = go && count > 1;
    clock = null;
    position = cine.numbers[place];
    play.textContent = playing ? "❚❚ Pause" : "▶ Play";
    player.dataset.playing = String(playing);
    if (playing) requestAnimationFrame(tick);
  };

  const stopAt = (wanted) => {
    run(false);
    show(wanted);
  };

  // The next frame of that name, around the end.
  const jump = (mark) => {
    for (let step = 1; step <= count; step += 1) {
      const other = (place + step) % count;
      if (cine.marks[other] === mark) {
        stopAt(other);
        return;
      }
    }
  };

  const outline = (on) => {
    outlines.checked = on;
    stage.classList.toggle("bare", !on);
  };

  const keys = {
    " ": () => run(!playing),
    ArrowLeft: () => stopAt(place - 1),
    ArrowRight: () => stopAt(place + 1),
    Home: () => stopAt(0),
    End: () => stopAt(count - 1),
    d: () => jump("ED"),
    s: () => jump("ES"),
    c: () => outline(!outlines.checked),
  };

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !keys[event.key]) return;
    const tag = event.target.tagName;
    if (tag === "SELECT" || (tag === "BUTTON" && event.key === " ") || (tag === "INPUT" && event.target !== scrub && event.key === " ")) return;
    event.preventDefault();
    keys[event.key]();
  });

  const seek = (chart, event) => {
    const matrix = chart.getScreenCTM();
    if (!matrix) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    const [left, right] = cine.plot;
    stopAt(nearest(Math.round(((at.x - left) / (right - left)) * (cine.frames - 1))));
  };

  for (const chart of charts) {
    chart.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      chart.setPointerCapture(event.pointerId);
      seek(chart, event);
    });
    chart.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) seek(chart, event);
    });
  }

  scrub.max = String(count - 1);
  scrub.addEventListener("input", () => stopAt(Number(scrub.value)));
  play.addEventListener("click", () => run(!playing));
  element("back").addEventListener("click", () => stopAt(place - 1));
  element("ahead").addEventListener("click", () => stopAt(place + 1));
  element("ed").addEventListener("click", () => jump("ED"));
  element("es").addEventListener("click", () => jump("ES"));
  element("ed").hidden = !cine.marks.includes("ED");
  element("es").hidden = !cine.marks.includes("ES");
  outlines.addEventListener("change", () => outline(outlines.checked));
  stage.addEventListener("click", () => run(!playing));

  poster.replaceWith(canvas);
  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;
  document.documentElement.classList.add("live");
  show(place);
})();
