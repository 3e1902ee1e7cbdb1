// Every page works without this file. It applies choices at once, moves with arrow keys, and refreshes live pages.
"use strict";

const LOOK_MS = 5000;
const CHOOSING_MS = 20000;
let chosenAt = 0;

// Nothing refreshes while the user chooses.
for (const kind of ["focusin", "keydown", "pointerdown", "change"]) {
  document.addEventListener(kind, (event) => {
    if (event.target.closest?.("form.choose")) chosenAt = Date.now();
  });
}

// A choice takes effect at once and keeps the focus.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form.choose");
  if (!form) return;
  history.pushState(null, "", `${form.action}?${new URLSearchParams(new FormData(form))}`);
  read(event.target.name);
});
addEventListener("popstate", () => read(""));

// Arrow keys move between the cells of a heat map.
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.(".heat td");
  const step = STEPS[event.key];
  if (!cell || !step || event.ctrlKey || event.altKey || event.metaKey) return;
  const table = cell.closest("table");
  let [row, column] = [cell.parentElement.rowIndex + step[0], cell.cellIndex + step[1]];
  for (; table.rows[row]?.cells[column]; row += step[0], column += step[1]) {
    const link = table.rows[row].cells[column].querySelector("a");
    if (link) {
      event.preventDefault();
      link.focus();
      return;
    }
  }
});

// A page with unfinished trials refreshes every LOOK_MS, until the user stops it.
const FOCUSABLE = "a, button, select, summary, [tabindex]";
const pause = document.querySelector("button.pause");
let paused = false;

pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Resume updates" : "Pause updates";
});

function follow() {
  const main = document.querySelector("main[data-live]");
  const choosing = Date.now() - chosenAt < CHOOSING_MS && main?.querySelector("select:focus");
  if (main && !paused && !document.hidden && !choosing && !main.querySelector("details[open]")) read("");
}

// Replace the content by the page at this address; scroll positions and focus stay.
async function read(chosen) {
  const main = document.querySelector("main");
  const address = location.href;
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    const fresh = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
    if (address !== location.href) return;
    if (!fresh || !fresh.querySelector("main")) {
      if (chosen) location.reload();
      return;
    }
    const putBack = places(main);
    const header = document.querySelector("header");
    const select = chosen || document.activeElement?.closest?.("form.choose select")?.name;
    main.replaceChildren(...fresh.querySelector("main").childNodes);
    main.toggleAttribute("data-live", fresh.querySelector("main").hasAttribute("data-live"));
    if (header.outerHTML !== fresh.querySelector("header").outerHTML) header.replaceWith(fresh.querySelector("header"));
    putBack();
    if (select) main.querySelector(`select[name="${select}"]`)?.focus({ preventScroll: true });
    offerPause();
  } catch {
    // The service does not answer; the next refresh tries again.
  }
}

// The focus and the scroll position of each region; a log at its end stays there as it grows.
function places(main) {
  const scrolled = [...main.querySelectorAll(".scroll, pre.log")].map((one) => ({
    left: one.scrollLeft,
    top: one.scrollTop,
    atEnd: one.matches("pre.log") && one.scrollTop + one.clientHeight >= one.scrollHeight - 4,
  }));
  const focused = main.contains(document.activeElement) ? document.activeElement : null;
  const href = focused?.getAttribute("href");
  const at = [...main.querySelectorAll(FOCUSABLE)].indexOf(focused);
  return () => {
    [...main.querySelectorAll(".scroll, pre.log")].forEach((one, index) => {
      const before = scrolled[index] || { left: 0, top: 0, atEnd: one.matches("pre.log") };
      one.scrollLeft = before.left;
      one.scrollTop = before.atEnd ? one.scrollHeight : before.top;
    });
    const all = [...main.querySelectorAll(FOCUSABLE)];
    const same = href ? all.find((link) => link.getAttribute("href") === href) : all[at];
    if (focused) same?.focus({ preventScroll: true });
  };
}

function offerPause() {
  pause.hidden = !document.querySelector("main[data-live]");
}

// A log opens at its end.
for (const log of document.querySelectorAll("pre.log")) log.scrollTop = log.scrollHeight;
offerPause();
setInterval(follow, LOOK_MS);
