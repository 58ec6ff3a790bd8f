"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);

  // Tables: a click on a heading sorts by its column, another one the other way round.
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const headings = [...table.tHead.rows[0].cells];
    const key = (row, column) => {
      const cell = row.cells[column];
      if (cell.dataset.value === undefined) return cell.textContent;
      return cell.dataset.value === "" ? Infinity : Number(cell.dataset.value);
    };
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const order = (one, other) => {
          const [a, b] = [key(one, column), key(other, column)];
          return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
        };
        body.append(...[...body.rows].sort(order));
      });
    });
  }

  // Charts over time: a line and the values of the moment under the mouse.
  const onHover = (figure, hovers) => {
    const svg = figure.querySelector("svg");
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    figure.append(tip);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("stroke", "#222222");
    svg.append(line);
    const hide = () => {
      tip.hidden = true;
      line.removeAttribute("d");
    };
    svg.addEventListener("mouseleave", hide);
    svg.addEventListener("mousemove", (event) => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      const inside = ({ frame: [left, top, width, height] }) =>
        x >= left && x <= left + width && y >= top && y <= top + height;
      const hover = hovers.find(inside);
      if (!hover) return hide();
      const [left, top, width, height] = hover.frame;
      const at = Math.round(((x - left) / width) * (hover.moments.length - 1));
      const time = document.createElement("b");
      time.textContent = hover.moments[at];
      const values = hover.series.filter((series) => series.values[at] !== "").map((series) => {
        const value = document.createElement("div");
        value.textContent = `${series.label}: ${series.values[at]}`;
        return value;
      });
      tip.replaceChildren(time, ...values);
      tip.hidden = false;
      const middle = left + (width * at) / (hover.moments.length - 1);
      line.setAttribute("d", `M${middle} ${top}v${height}`);
      const room = figure.clientWidth - tip.offsetWidth;
      tip.style.left = `${Math.max(0, Math.min(middle / scale + 12, room))}px`;
      tip.style.top = `${Math.max(0, top / scale)}px`;
    });
  };

  // Maps: the cells of another moment, each cell of the picture the worst of its group.
  const paths = ({ columns, group }, cells, states) => {
    const worst = [];
    let at = 0;
    for (const [, count, letter] of cells.matchAll(/(\d*)(\D)/g)) {
      const end = at + (count === "" ? 1 : Number(count));
      const rank = states.indexOf(letter);
      for (let cell = Math.floor(at / group); cell * group < end; cell += 1) {
        worst[cell] = Math.max(worst[cell] ?? 0, rank);
      }
      at = end;
    }
    const result = new Map();
    for (let from = 0, to; from < worst.length; from = to) {
      for (to = from + 1; to < worst.length && worst[to] === worst[from]; to += 1);
      const letter = states[worst[from]];
      let path = result.get(letter) ?? "";
      for (let at = from; at < to; ) {
        const [row, column] = [Math.floor(at / columns), at % columns];
        const length = Math.min(to - at, columns - column);
        const rows = length === columns ? Math.floor((to - at) / columns) : 1;
        path += `M${column} ${row}h${length}v${rows}h-${length}z`;
        at += length * rows;
      }
      result.set(letter, path);
    }
    return result;
  };
  const onSlide = (figure, { maps, states }) => {
    const slider = figure.querySelector(".slider");
    const [input, output] = [slider.querySelector("input"), slider.querySelector("output")];
    const grids = figure.querySelectorAll("svg g.cells");
    slider.hidden = false;
    input.addEventListener("input", () => {
      maps.forEach((map, number) => {
        const [time, cells] = map.moments[Math.min(Number(input.value), map.moments.length - 1)];
        if (number === 0) output.textContent = time;
        const drawn = paths(map, cells, states);
        for (const path of grids[number].querySelectorAll("path")) {
          path.setAttribute("d", drawn.get(path.dataset.state) ?? "");
        }
      });
    });
  };

  for (const figure of document.querySelectorAll("figure.chart")) {
    const chart = charts[Number(figure.dataset.chart)];
    if (chart.hovers.length > 0) onHover(figure, chart.hovers);
    if (chart.maps.length > 0) onSlide(figure, chart);
  }
})();
