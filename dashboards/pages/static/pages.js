// Without this file every page works; with it choices act at once, arrow keys move in a grid, and live pages follow.
"use strict";

const LOOK_MS = 5000;
const CHOOSING_MS = 20000;
let chosenAt = 0;

// While somebody chooses nothing moves.
for (const kind of ["focusin", "keydown", "pointerdown", "change"]) {
  document.addEventListener(kind, (event) => {
    if (event.target.closest?.("form.choose")) chosenAt = Date.now();
  });
}

// A choice is shown as soon as it is made; what was chosen keeps the focus.
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

// A page whose trials go on is read again now and then.
function follow() {
  const main = document.querySelector("main[data-live]");
  const choosing = Date.now() - chosenAt < CHOOSING_MS && main?.querySelector("select:focus");
  if (main && !document.hidden && !choosing && !main.querySelector("details[open]")) read("");
}

// The page at this address, in the place of what is shown; it keeps its place, and what has the focus.
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
    const held = focusedAddress();
    const select = chosen || document.activeElement?.closest?.("form.choose select")?.name;
    main.replaceChildren(...fresh.querySelector("main").childNodes);
    main.toggleAttribute("data-live", fresh.querySelector("main").hasAttribute("data-live"));
    document.querySelector("header").replaceWith(fresh.querySelector("header"));
    showEnds();
    if (select) main.querySelector(`select[name="${select}"]`)?.focus({ preventScroll: true });
    if (held) [...main.querySelectorAll("a")].find((link) => link.getAttribute("href") === held)?.focus({ preventScroll: true });
  } catch {
    // The service is away; the next look may find it again.
  }
}

function focusedAddress() {
  const focused = document.activeElement?.closest?.("main a");
  return focused ? focused.getAttribute("href") : null;
}

// A log is shown from its end.
function showEnds() {
  for (const log of document.querySelectorAll("pre.log")) log.scrollTop = log.scrollHeight;
}

showEnds();
setInterval(follow, LOOK_MS);
