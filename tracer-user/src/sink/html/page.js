"use strict";
// Draws the devices of a report over time, and says what each holds at the time cursor.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [LABEL, SIZE, ADDED, ENDED, HOW, DEPTH, TASK, MARKER] = [0, 1, 2, 3, 4, 5, 6, 7];
  const HEAD = 18, THIN = 3, THICK = 13, MOST_ROWS = 14, MOST_ROWS_SELECTED = 60, AXIS = 22;
  const MOST_LISTED = 300;
  const element = (id) => document.getElementById(id);
  const picture = element("picture"), view = element("view"), tall = element("tall"), canvas = element("canvas");
  const pen = canvas.getContext("2d");
  const length = Math.max(1, data.length);

  // ---- what is shown ----
  let lanes = [];                 // devices that the search leaves, each with its place and height
  let selected = null;            // a device
  let from = 0, to = length;      // the time in view
  let cursor = 0;                 // the time that the stack is shown of
  let finding = -1;               // the current finding's occurrence
  let chosen = null;              // the resource whose call stack is shown

  // The row of a resource: the lowest that is free, as on a stack. Rows that became free are kept in a heap.
  const heapPush = (heap, value) => {
    let at = heap.push(value) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (heap[up] <= heap[at]) break;
      [heap[up], heap[at]] = [heap[at], heap[up]];
      at = up;
    }
  };
  const heapPop = (heap) => {
    const top = heap[0], last = heap.pop();
    if (heap.length > 0) {
      heap[0] = last;
      for (let at = 0; ;) {
        let least = at;
        for (const child of [2 * at + 1, 2 * at + 2]) {
          if (child < heap.length && heap[child] < heap[least]) least = child;
        }
        if (least === at) break;
        [heap[least], heap[at]] = [heap[at], heap[least]];
        at = least;
      }
    }
    return top;
  };
  const place = (device) => {
    const changes = [];
    device.resources.forEach((resource, index) => {
      changes.push([resource[ADDED] ?? device.began, 1, index]);
      if (resource[ENDED] !== null) changes.push([resource[ENDED], 0, index]);
    });
    // What ends at a time makes room for what begins at it, but nothing ends before it began.
    changes.sort((a, b) => a[0] - b[0] || (a[2] === b[2] ? b[1] - a[1] : a[1] - b[1]) || a[2] - b[2]);
    const rows = new Uint32Array(device.resources.length), placed = new Set(), free = [];
    let used = 0;
    for (const [, begins, index] of changes) {
      if (begins) {
        rows[index] = free.length > 0 ? heapPop(free) : used++;
        placed.add(index);
      } else if (placed.delete(index)) {
        heapPush(free, rows[index]);
      }
    }
    device.rows = rows;
    device.depth = used;
  };
  data.devices.forEach((device, index) => {
    device.index = index;
    device.end = device.gone ?? length;
    device.found = [];
    place(device);
  });
  const found = [];
  data.findings.forEach((one) => one.at.forEach(([device, began, time]) => {
    const occurrence = { finding: one, device: data.devices[device], began, time };
    occurrence.device.found.push(occurrence);
    found.push(occurrence);
  }));
  found.sort((a, b) => a.time - b.time);

  // ---- words ----
  const base = BigInt(data.base);
  const moment = (time) => {
    if (data.numbered) return `event ${base + BigInt(Math.round(time))}`;
    const whole = base + BigInt(Math.round(time));
    return `${whole / 1000000000n}.${String(whole % 1000000000n / 1000n).padStart(6, "0")} s`;
  };
  const span = (time) => {
    if (data.numbered) return `${Math.round(time)} events`;
    for (const [unit, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) {
      if (time >= unit) return `${+(time / unit).toPrecision(3)} ${name}`;
    }
    return `${Math.round(time)} ns`;
  };
  const counted = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
  const nameOf = (resource) => resource[MARKER] ? `group (${resource[MARKER]})` : data.labels[resource[LABEL]];
  const began = (resource, device) => resource[ADDED] ?? device.began;
  const holdsAt = (device, time) => device.resources.filter((resource) =>
    began(resource, device) <= time && (resource[ENDED] === null || resource[ENDED] > time));

  // ---- lanes ----
  const matches = (device, wanted) => [device.name, device.bus, device.driver].some((text) => text?.toLowerCase().includes(wanted))
    || device.resources.some((resource) => data.labels[resource[LABEL]].toLowerCase().includes(wanted));
  const rowsOf = (device) => Math.min(device.depth, device === selected ? MOST_ROWS_SELECTED : MOST_ROWS);
  const rowHeight = (device) => device === selected ? THICK : THIN;
  const layOut = () => {
    const wanted = element("search").value.trim().toLowerCase();
    const devices = wanted ? data.devices.filter((device) => matches(device, wanted)) : data.devices;
    let top = AXIS;
    lanes = devices.map((device) => {
      const lane = { device, top, height: HEAD + rowsOf(device) * rowHeight(device) + 5 };
      top += lane.height;
      return lane;
    });
    tall.style.height = `${Math.max(top, view.clientHeight)}px`;
    const resources = devices.reduce((sum, device) => sum + device.resources.length, 0);
    element("shown").textContent = `${counted(devices.length, "device", "devices")}, ${counted(resources, "resource", "resources")}`;
  };
  // No higher than all lanes are, whichever is selected.
  const highest = data.devices.reduce((sum, device) => sum + HEAD + Math.min(device.depth, MOST_ROWS_SELECTED) * THICK + 5, AXIS);
  view.style.maxHeight = `${Math.max(highest + 20, 120)}px`;
  // The first lane that reaches below `y`.
  const laneAt = (y) => {
    let low = 0, high = lanes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lanes[middle].top + lanes[middle].height <= y) low = middle + 1; else high = middle;
    }
    return low;
  };

  // ---- drawing ----
  let colours = {};
  const readColours = () => {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["back", "fore", "faint", "line", "bad", "doubt", "probe", "failed", "bound", "unbind", "resource", "group", "select"]) {
      colours[name] = style.getPropertyValue(`--${name}`).trim();
    }
  };
  const x = (time) => (time - from) / (to - from) * canvas.clientWidth;
  const timeAt = (pixel) => from + pixel / canvas.clientWidth * (to - from);
  const clipped = (begin, end, top, height, colour) => {
    const left = Math.max(0, x(begin)), right = Math.min(canvas.clientWidth, x(end));
    if (right < 0 || left > canvas.clientWidth) return;
    pen.fillStyle = colour;
    pen.fillRect(left, top, Math.max(1, right - left), height);
  };
  const drawResources = (device, top) => {
    const height = rowHeight(device), most = rowsOf(device), width = canvas.clientWidth;
    // Up to where each row is painted already: bars of less than a pixel are painted once.
    const painted = new Float64Array(most).fill(-1);
    for (let index = 0; index < device.resources.length; index++) {
      const row = device.rows[index];
      if (row >= most) continue;
      const resource = device.resources[index];
      const begin = began(resource, device), end = resource[ENDED] ?? device.end;
      if (end < from || begin > to) continue;
      const left = Math.max(0, x(begin)), right = Math.min(width, Math.max(left + 1, x(end)));
      if (right <= painted[row]) continue;
      painted[row] = Math.ceil(right);
      const y = top + row * height;
      pen.fillStyle = resource[MARKER] ? colours.group : colours.resource;
      pen.fillRect(left, y, Math.max(1, right - left - (right - left > 4 ? 1 : 0)), height - 1);
      if (resource === chosen) { pen.strokeStyle = colours.fore; pen.lineWidth = 2; pen.strokeRect(left, y, right - left, height - 1); }
      if (height === THICK && right - left > 40) {
        pen.save();
        pen.beginPath(); pen.rect(left, y, right - left - 3, height); pen.clip();
        pen.fillStyle = colours.back;
        pen.fillText(nameOf(resource), left + 4, y + height / 2);
        pen.restore();
      }
    }
  };
  const drawLane = (lane, scrolled) => {
    const { device } = lane, top = lane.top - scrolled;
    if (device === selected) clipped(from, to, top, lane.height, colours.select);
    for (const [kind, begin, end] of device.bands) {
      if (end < from || begin > to) continue;
      if (kind === "bound") clipped(begin, end, top + HEAD - 2, lane.height - HEAD, colours.bound);
      else clipped(begin, end, top + HEAD - 5, 4, colours[kind]);
    }
    drawResources(device, top + HEAD);
    pen.fillStyle = colours.faint;
    for (const [time] of device.marks) {
      if (time >= from && time <= to) pen.fillRect(x(time), top + HEAD - 1, 1, lane.height - HEAD);
    }
    for (const one of device.found) {
      if (one.time < from || one.began > to) continue;
      const colour = one.finding.severity === "error" ? colours.bad : colours.doubt;
      clipped(one.began, one.time, top + 1, 3, colour);
      pen.fillStyle = colour;
      const at = x(one.time);
      pen.beginPath(); pen.moveTo(at, top + HEAD); pen.lineTo(at - 5, top + 5); pen.lineTo(at + 5, top + 5); pen.fill();
    }
    const name = `${device.name}${device.driver ? `  ${device.driver}` : ""}`;
    pen.font = device === selected ? "bold 12px system-ui, sans-serif" : "12px system-ui, sans-serif";
    pen.fillStyle = colours.back;
    pen.globalAlpha = 0.75;
    pen.fillRect(2, top + 1, pen.measureText(name).width + 6, 14);
    pen.globalAlpha = 1;
    pen.fillStyle = colours.fore;
    pen.fillText(name, 5, top + 8);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = colours.line;
    pen.fillRect(0, top + lane.height - 1, canvas.clientWidth, 1);
  };
  const drawAxis = () => {
    const width = canvas.clientWidth;
    pen.fillStyle = colours.back; pen.fillRect(0, 0, width, AXIS);
    pen.fillStyle = colours.faint;
    const step = Math.max(1, Math.floor(width / 170));
    for (let tick = 0; tick <= step; tick++) {
      const at = tick / step * width, text = moment(timeAt(at));
      pen.textAlign = tick === 0 ? "left" : tick === step ? "right" : "center";
      pen.fillText(text, Math.min(width - 3, Math.max(3, at)), 10);
    }
    pen.textAlign = "left";
    for (const [time] of data.losses) {
      if (time >= from && time <= to) { pen.fillStyle = colours.doubt; pen.fillRect(x(time) - 1, 0, 3, canvas.clientHeight); }
    }
    if (cursor >= from && cursor <= to) { pen.fillStyle = colours.fore; pen.fillRect(x(cursor), 0, 1, canvas.clientHeight); }
  };
  const draw = () => {
    const ratio = window.devicePixelRatio || 1, width = view.clientWidth, height = view.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
      canvas.style.height = `${height}px`;
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.textBaseline = "middle";
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = colours.back; pen.fillRect(0, 0, width, height);
    const scrolled = view.scrollTop;
    for (let index = laneAt(scrolled); index < lanes.length && lanes[index].top - scrolled < height; index++) drawLane(lanes[index], scrolled);
    drawAxis();
  };
  let waiting = false;
  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  };

  // ---- the selected device in words ----
  const line = (list, text, name) => {
    const item = document.createElement("li");
    if (name) item.className = name;
    item.textContent = text;
    list.append(item);
    return item;
  };
  const showCallStack = (resource) => {
    chosen = resource;
    const panel = element("call-stack"), stack = data.label_stacks[resource[LABEL]];
    const by = resource[TASK] === null ? "" : ` by ${data.tasks[resource[TASK]]}`;
    const when = resource[ADDED] === null ? "there before the recording" : `added at ${moment(resource[ADDED])}${by}`;
    const went = resource[ENDED] === null ? "still there at the end" : `${resource[HOW]} at ${moment(resource[ENDED])}, after ${span(resource[ENDED] - (resource[ADDED] ?? 0))}`;
    const frames = stack === null ? ["no call stack was recorded"] : data.stacks[stack];
    panel.textContent = [`${nameOf(resource)}: ${when}; ${went}`, ...frames.map((frame) => `  ${frame}`)].join("\n");
    redraw();
  };
  const showStack = () => {
    const list = element("stack");
    list.replaceChildren();
    const holds = holdsAt(selected, cursor).reverse();
    const resources = holds.filter((resource) => !resource[MARKER]);
    const bytes = resources.reduce((sum, resource) => sum + (resource[SIZE] ?? 0), 0);
    element("now").textContent = `At ${moment(cursor)} it holds ${counted(resources.length, "resource", "resources")}${bytes ? `, ${counted(bytes, "byte", "bytes")}` : ""}${resources.length ? ", newest first:" : "."}`;
    list.start = holds.length;
    for (const resource of holds.slice(0, MOST_LISTED)) {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.textContent = `${"│ ".repeat(resource[DEPTH])}${nameOf(resource)}${resource[SIZE] ? `  ${resource[SIZE]} B` : ""}`;
      button.addEventListener("click", () => showCallStack(resource));
      item.append(button);
      list.append(item);
    }
    if (holds.length > MOST_LISTED) line(list, `and ${holds.length - MOST_LISTED} more`, "other");
  };
  const showMarks = () => {
    const list = element("marks");
    list.replaceChildren();
    let nearest = selected.marks.findIndex(([time]) => time >= cursor);
    if (nearest < 0) nearest = selected.marks.length;
    const first = Math.max(0, nearest - 100);
    if (first > 0) line(list, `${first} earlier`);
    selected.marks.slice(first, nearest + 100).forEach(([time, text], place) =>
      line(list, `${moment(time)}  ${text}`, first + place === nearest ? "here" : ""));
    const rest = selected.marks.length - (nearest + 100);
    if (rest > 0) line(list, `${rest} later`);
  };
  const showDevice = () => {
    if (!selected) return;
    element("device-name").textContent = selected.name;
    element("device-facts").textContent = [
      selected.driver && `driver ${selected.driver}`, selected.bus && `bus ${selected.bus}`,
      `address ${selected.address}`, selected.generation > 1 && `life ${selected.generation} at this address`, selected.state,
      ...selected.doubts.map((doubt) => `not certain: ${doubt}`),
      selected.hidden > 0 && `${counted(selected.hidden, "step", "steps")} not kept`,
    ].filter(Boolean).join(" · ");
    showStack();
    showMarks();
  };
  const select = (device, scroll) => {
    if (device !== selected) { chosen = null; element("call-stack").textContent = ""; }
    selected = device;
    layOut();
    if (scroll) {
      const lane = lanes.find((one) => one.device === device);
      if (lane && (lane.top - AXIS < view.scrollTop || lane.top + lane.height > view.scrollTop + view.clientHeight)) view.scrollTop = lane.top - AXIS - 20;
    }
    showDevice();
    redraw();
  };
  const look = (begin, end) => {
    const width = Math.min(length, Math.max(end - begin, Math.min(length, data.numbered ? 10 : 1000)));
    from = Math.min(Math.max(0, begin), length - width);
    to = from + width;
    redraw();
  };
  const setCursor = (time) => {
    cursor = Math.min(length, Math.max(0, time));
    if (cursor < from || cursor > to) look(cursor - (to - from) / 2, cursor + (to - from) / 2);
    showDevice();
    redraw();
  };
  const zoom = (factor, around = cursor >= from && cursor <= to ? cursor : (from + to) / 2) =>
    look(around - (around - from) * factor, around + (to - around) * factor);
  const step = (direction) => {
    if (lanes.length === 0) return;
    const at = lanes.findIndex((lane) => lane.device === selected);
    select(lanes[Math.min(lanes.length - 1, Math.max(0, at < 0 ? 0 : at + direction))].device, true);
  };
  const stepFinding = (direction) => {
    if (found.length === 0) return;
    finding = finding < 0 && direction < 0 ? found.length - 1 : (finding + direction + found.length) % found.length;
    showFinding(found[finding]);
  };
  const showFinding = (one) => {
    document.querySelectorAll(".finding.current").forEach((old) => old.classList.remove("current"));
    element(one.finding.id)?.classList.add("current");
    if (element("search").value) element("search").value = "";
    const margin = Math.max((one.time - one.began) * 0.5, length / 1000);
    look(one.began - margin, one.time + margin);
    cursor = one.began;
    select(one.device, true);
    element("now").textContent = `${one.finding.rule}: ${one.finding.summary} ${element("now").textContent}`;
  };
  const stepChange = (direction) => {
    if (!selected) return;
    let best = null;
    const offer = (time) => {
      if (time !== null && (direction > 0 ? time > cursor && (best === null || time < best) : time < cursor && (best === null || time > best))) best = time;
    };
    for (const resource of selected.resources) { offer(resource[ADDED]); offer(resource[ENDED]); }
    for (const [time] of selected.marks) offer(time);
    for (const [, begin, end] of selected.bands) { offer(begin); offer(end); }
    if (best !== null) setCursor(best);
  };

  // ---- hands ----
  const keys = {
    ArrowUp: () => step(-1), k: () => step(-1), ArrowDown: () => step(1), j: () => step(1),
    ArrowLeft: (event) => move(event, -1), h: (event) => move(event, -1), ArrowRight: (event) => move(event, 1), l: (event) => move(event, 1),
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => look(0, length),
    ",": () => stepChange(-1), ".": () => stepChange(1), "[": () => stepFinding(-1), "]": () => stepFinding(1),
    "/": () => element("search").focus(), t: () => changeTheme(), "?": () => element("keys").showModal(),
  };
  const move = (event, direction) => {
    const by = direction * (to - from) / (event.shiftKey ? 4 : 100);
    if (event.shiftKey) look(from + by, to + by); else setCursor(cursor + by);
  };
  const changeTheme = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    readColours();
    redraw();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || element("keys").open) return;
    const inText = event.target instanceof HTMLInputElement;
    if (inText && event.key === "Escape") { event.target.value = ""; layOut(); redraw(); view.focus(); return; }
    if (inText && event.key === "Enter") { view.focus(); if (lanes.length > 0) select(lanes[0].device, true); return; }
    // Arrows scroll the page, and what has the focus, unless it is the picture.
    const inPicture = event.target === view || event.target === document.body;
    if (inText || (event.key.startsWith("Arrow") && !inPicture)) return;
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
  element("search").addEventListener("input", () => { layOut(); view.scrollTop = 0; redraw(); });
  for (const [id, action] of [["zoom-in", () => zoom(0.5)], ["zoom-out", () => zoom(2)], ["whole", () => look(0, length)],
    ["previous", () => stepFinding(-1)], ["next", () => stepFinding(1)], ["theme", changeTheme],
    ["help", () => element("keys").showModal()], ["close-keys", () => element("keys").close()]]) element(id).addEventListener("click", action);
  view.addEventListener("scroll", redraw);
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    if (event.shiftKey) { const by = (event.deltaY || event.deltaX) / 500 * (to - from); look(from + by, to + by); }
    else zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event.clientX - box.left));
  }, { passive: false });
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect(), y = event.clientY - box.top + view.scrollTop;
    cursor = Math.min(length, Math.max(0, timeAt(event.clientX - box.left)));
    const lane = lanes[laneAt(y)];
    if (!lane || event.clientY - box.top < AXIS) { setCursor(cursor); return; }
    const row = Math.floor((y - lane.top - HEAD) / rowHeight(lane.device));
    const hit = lane.device.resources.find((resource, index) => lane.device.rows[index] === row
      && began(resource, lane.device) <= cursor && (resource[ENDED] ?? lane.device.end) >= cursor);
    select(lane.device, false);
    if (hit) showCallStack(hit);
  });
  new ResizeObserver(() => { layOut(); redraw(); }).observe(view);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); redraw(); });

  // The findings in the page lead to their place in the picture.
  data.findings.forEach((one) => {
    const heading = element(one.id)?.querySelector("h3");
    if (!heading || one.at.length === 0) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Show";
    button.setAttribute("aria-label", `Show ${one.rule} on the timeline`);
    button.addEventListener("click", () => {
      finding = found.findIndex((occurrence) => occurrence.finding === one);
      showFinding(found[finding]);
      picture.scrollIntoView({ block: "start" });
      view.focus({ preventScroll: true });
    });
    heading.append(" ", button);
  });

  picture.hidden = false;
  element("still").hidden = true;
  readColours();
  if (found.length > 0) {
    finding = 0;
    selected = found[0].device;
    cursor = found[0].began;
    layOut();
  } else {
    selected = data.devices.find((device) => device.resources.length > 0) ?? data.devices[0] ?? null;
    const bound = selected?.bands.find(([kind]) => kind === "bound");
    cursor = bound ? bound[1] : selected?.resources[0]?.[ADDED] ?? 0;
    layOut();
  }
  showDevice();
  draw();
  document.documentElement.dataset.drawn = String(Math.round(performance.now()));
})();
