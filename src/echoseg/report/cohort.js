"use strict";
// Sorts and filters the tables. Without it they stand in the order of the call, whole.
(() => {
  const rowsOf = new Map();

  const key = (cell, kind) => {
    if (kind === "text") return cell.textContent.trim().toLowerCase();
    return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  };

  // What was not measured stays at the end, whichever way one sorts.
  const compare = (a, b, kind, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (kind !== "text" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  };

  const sort = (table, column, sign) => {
    const heads = [...table.tHead.rows[0].cells];
    const kind = heads[column].dataset.kind;
    const keyed = rowsOf.get(table).map((row, place) => ({ row, place, key: key(row.cells[column], kind) }));
    keyed.sort((a, b) => compare(a.key, b.key, kind, sign) || a.place - b.place);
    const all = document.createDocumentFragment();
    for (const one of keyed) all.append(one.row);
    table.tBodies[0].append(all);
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  };

  const filter = () => {
    const words = document.getElementById("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const flags = new Set([...document.querySelectorAll("input[name=flag]:checked")].map((box) => box.value));
    for (const [table, rows] of rowsOf) {
      let shown = 0;
      for (const row of rows) {
        const text = row.dataset.text;
        const fits = flags.has(row.dataset.flag) && words.every((word) => text.includes(word));
        row.hidden = !fits;
        shown += fits;
      }
      const status = table.closest(".listing").querySelector(".shown");
      status.textContent = shown === rows.length ? `${rows.length}` : `${shown} of ${rows.length}`;
    }
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const rows = [...table.tBodies[0].rows];
    for (const row of rows) row.dataset.text = row.textContent.toLowerCase();
    rowsOf.set(table, rows);
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.firstElementChild.addEventListener("click", () => {
        sort(table, column, head.getAttribute("aria-sort") === "ascending" ? -1 : 1);
      });
    });
  }
  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;
  const form = document.querySelector("form.filter");
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
