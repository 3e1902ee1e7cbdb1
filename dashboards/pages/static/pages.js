// Without this file every page works; with it choices act at once, arrow keys move in a grid, and live pages follow.
"use strict";

const LOOK_MS = 5000;

// A choice is shown as soon as it is made.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form.choose");
  if (form) form.requestSubmit();
});

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

// A page whose trials go on is read again now and then; it keeps its place, and what has the focus.
async function follow() {
  const main = document.querySelector("main[data-live]");
  if (!main || document.hidden || main.querySelector("select:focus, details[open]")) return;
  const held = focusedAddress();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (!fresh) return;
    main.replaceChildren(...fresh.childNodes);
    if (!fresh.hasAttribute("data-live")) main.removeAttribute("data-live");
    if (held) [...main.querySelectorAll("a")].find((link) => link.getAttribute("href") === held)?.focus({ preventScroll: true });
  } catch {
    // The service is away; the next look may find it again.
  }
}

function focusedAddress() {
  const focused = document.activeElement?.closest?.("main a");
  return focused ? focused.getAttribute("href") : null;
}

setInterval(follow, LOOK_MS);
