"use strict";
// é is one sign to some keyboards and two to others
var folded = function (text) { return text.normalize("NFC").toLocaleLowerCase(); };
document.querySelectorAll("[data-list]").forEach(function (card) {
  var body = card.querySelector("tbody"), box = card.querySelector("input"), shown = card.querySelector("[data-shown]");
  if (!body) return;
  var rows = Array.from(body.rows);
  if (box) box.addEventListener("input", function () {
    var wanted = folded(box.value.trim()), count = 0;
    rows.forEach(function (row) {
      row.hidden = wanted !== "" && !folded(row.textContent).includes(wanted);
      if (!row.hidden) count += 1;
    });
    shown.textContent = count;
  });
  card.querySelectorAll("th button").forEach(function (button) {
    button.addEventListener("click", function () {
      var head = button.parentElement, at = head.cellIndex;
      var up = head.getAttribute("aria-sort") !== "ascending";
      card.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      var key = function (row) {
        var cell = row.cells[at];
        return cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v);
      };
      rows.sort(function (a, b) {
        var x = key(a), y = key(b);
        var order = typeof x === "number" ? x - y : x.localeCompare(y);
        return up ? order : -order;
      }).forEach(function (row) { body.appendChild(row); });
    });
  });
});
