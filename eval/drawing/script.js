"use strict";
// The page is complete without this script; it only sorts tables, shows tooltips at once, and
// brings out one variant everywhere while the pointer rests on it.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const label = head.querySelector(".head");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label.textContent;
    label.replaceChildren(button);
    button.addEventListener("click", () => sort(table, heads, column));
  });
}

function sort(table, heads, column) {
  const falling = heads[column].getAttribute("aria-sort") === "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", falling ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  const key = (row) => row.cells[column].dataset.v;
  rows.sort((a, b) => {
    const [left, right] = [key(a), key(b)];
    if (left === undefined || right === undefined) {
      return (left === undefined) - (right === undefined);
    }
    const order = isNaN(left) || isNaN(right) ? left.localeCompare(right) : left - right;
    return falling ? -order : order;
  });
  table.tBodies[0].append(...rows);
}

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
for (const title of document.querySelectorAll("svg g > title")) {
  const group = title.parentNode;
  group.dataset.tip = title.textContent;
  title.remove();
}

document.addEventListener("pointerover", (event) => {
  const linked = event.target.closest("[data-k]");
  document.body.classList.toggle("linked", linked !== null);
  for (const part of document.querySelectorAll("[data-k]")) {
    part.classList.toggle("on", linked !== null && part.dataset.k === linked.dataset.k);
  }
  const told = event.target.closest("[data-tip]");
  tip.hidden = told === null;
  tip.textContent = told === null ? "" : told.dataset.tip;
});
document.addEventListener("pointermove", (event) => {
  if (tip.hidden) return;
  const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(8, left)}px`;
  const top = event.clientY + 18;
  const above = top + tip.offsetHeight > innerHeight;
  tip.style.top = `${above ? event.clientY - tip.offsetHeight - 12 : top}px`;
});
