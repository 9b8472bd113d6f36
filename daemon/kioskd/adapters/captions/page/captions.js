// Shows the captions of the daemon. It stores nothing, and uses nothing from outside.
"use strict";

const RIGHT_TO_LEFT = new Set(["ar", "dv", "fa", "he", "ku", "ps", "sd", "ug", "ur", "yi"]);
const MOST_SPOKEN = 3;
const SILENCE_MS = 15000; // The daemon sends at least every 5 s.

const byId = (id) => document.getElementById(id);
const lines = new Map();
let labels = { visitor: "", kiosk: "", left: "", lost: "" };
let source = null;
let alarm = 0;

function isRightToLeft(language) {
  return RIGHT_TO_LEFT.has(language.split("-")[0].toLowerCase());
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function clear() {
  lines.clear();
  byId("lines").replaceChildren();
  byId("spoken").replaceChildren();
}

function drop(first) {
  for (const [number, item] of lines) {
    if (number < first) {
      item.remove();
      lines.delete(number);
    }
  }
  if (lines.size === 0) byId("spoken").replaceChildren();
}

function made(line) {
  const item = document.createElement("li");
  item.className = `${line.who} fresh`;
  const who = document.createElement("span");
  who.className = "who";
  const text = document.createElement("bdi");
  text.className = "text";
  text.dir = "auto";
  item.append(who, text);
  return item;
}

function show(line) {
  let item = lines.get(line.number);
  const isNew = item === undefined;
  if (isNew) item = made(line);
  write(item.firstChild, labels[line.who]);
  const text = item.lastChild;
  if (line.language) text.lang = line.language;
  if (line.language) text.dir = isRightToLeft(line.language) ? "rtl" : "auto";
  write(text, line.cut ? `${line.text} …` : line.text);
  if (isNew) {
    lines.set(line.number, item);
    byId("lines").append(item);
  }
  if (line.final && !item.dataset.spoken) {
    item.dataset.spoken = "1";
    const spoken = document.createElement("p");
    if (line.language) spoken.lang = line.language;
    spoken.textContent = `${labels[line.who]}: ${text.textContent}`;
    byId("spoken").append(spoken);
    while (byId("spoken").childElementCount > MOST_SPOKEN) byId("spoken").firstChild.remove();
  }
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function showStatus(status) {
  labels = status.labels;
  document.documentElement.lang = status.language;
  document.documentElement.dir = isRightToLeft(status.language) ? "rtl" : "ltr";
  write(byId("state"), status.label);
  write(byId("fault"), status.words || status.code);
  byId("left").hidden = status.ends_in_s === null;
  write(byId("left-label"), labels.left);
  write(byId("left-time"), status.ends_in_s === null ? "" : clock(status.ends_in_s));
}

function take(message) {
  drop(message.first);
  if (message.status) showStatus(message.status);
  for (const line of message.lines) show(line);
  if (message.lines.length) byId("words").scrollTop = byId("words").scrollHeight;
}

function lost() {
  clear();
  byId("left").hidden = true;
  write(byId("fault"), "");
  write(byId("state"), labels.lost || "Captions are connecting");
}

function listen() {
  if (source !== null) source.close();
  source = new EventSource("/events");
  source.onopen = clear; // A daemon that has started again counts its lines from 1.
  source.onmessage = (event) => {
    watch();
    take(JSON.parse(event.data));
  };
  source.onerror = () => {
    lost();
    if (source.readyState === EventSource.CLOSED) again(2000);
  };
  watch();
}

function watch() {
  again(SILENCE_MS);
}

function again(afterMs) {
  clearTimeout(alarm);
  alarm = setTimeout(() => {
    lost();
    listen();
  }, afterMs);
}

addEventListener("pagehide", () => {
  source.close();
  clear();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) listen();
});
listen();
