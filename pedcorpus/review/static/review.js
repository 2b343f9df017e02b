"use strict";

const find = (id) => document.getElementById(id);
let csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";
const status = find("status");

function say(text, bad = false, again = null) {
  status.textContent = text;
  status.className = bad ? "bad" : "";
  if (again) {
    const button = document.createElement("button");
    button.textContent = again.label;
    button.addEventListener("click", again.run);
    status.append(" ", button);
  }
}

function post(url, body) {
  return fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
  });
}

/** Send once more with the token of a newer session: the program may have been started anew on the same port. */
async function postSafely(url, body) {
  const answer = await post(url, body);
  if (answer.status !== 403) return answer;
  const session = await fetch("/session");
  if (!session.ok) return answer;
  csrf = (await session.json()).csrf;
  return post(url, body);
}

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// --- who reviews ---

const start = find("start");
start?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const answer = await postSafely(start.dataset.url, { reviewer: find("reviewer").value });
    const said = await answer.json();
    if (answer.ok) location.assign(said.next);
    else say(said.error, true);
  } catch {
    say(start.dataset.failed, true);
  }
});

// --- one row ---

const page = find("page");
const boxes = Array.from(document.querySelectorAll("textarea.edit"));
const first = boxes.map((box) => box.value);
let busy = false;
let waiting = null;

function changed() {
  return (boxes.some((box, place) => !box.hidden && box.value !== first[place])) || Boolean(find("detail")?.value.trim());
}

function edit(on) {
  for (const box of boxes) {
    box.hidden = !on;
    box.previousElementSibling.hidden = on;
    if (on) box.style.setProperty("height", `${Math.min(box.scrollHeight + 6, 480)}px`);
  }
  find("editing").hidden = !on;
  find("deciding").hidden = on;
  if (on) {
    reasons(false);
    boxes[0].focus();
  } else {
    boxes.forEach((box, place) => { box.value = first[place]; });
    document.activeElement?.blur();
  }
}

function reasons(on) {
  find("reasons").hidden = !on;
  find("other").hidden = true;
  if (!on) find("detail").value = "";
  if (on) document.querySelector(".reason").focus();
  else document.activeElement?.blur();
}

function reject(reason) {
  if (reason !== "other") return decide({ decision: "reject", reason });
  find("other").hidden = false;
  find("detail").focus();
}

function decide(what) {
  return send({ ...what, request: newId(), seen: Number(page.dataset.seen) });
}

async function send(body) {
  if (busy) return;
  busy = true;
  find("conflict").hidden = true;
  say(page.dataset.saving);
  try {
    const answer = await postSafely(page.dataset.url, body);
    const said = await answer.json();
    if (answer.ok) {
      say(page.dataset.saved);
      leaving = true;
      location.assign(said.next);
      return;
    }
    busy = false;
    if (answer.status === 409) {
      waiting = { ...body, request: newId(), seen: said.seen };
      find("newer").textContent = page.dataset.conflict + said.newer;
      find("conflict").hidden = false;
      say("");
      find("keep-other").focus();
    } else if (answer.status === 403) {
      say(said.error, true);
    } else {
      say(page.dataset.refused + said.error, true);
    }
  } catch {
    busy = false;
    say(page.dataset.notSaved, true, { label: page.dataset.again, run: () => send(body) });
  }
}

function save() {
  decide({ decision: "edit", texts: boxes.map((box) => box.value) });
}

let leaving = false;
window.addEventListener("beforeunload", (event) => {
  if (page && !leaving && changed()) event.preventDefault();
});

function reload() {
  leaving = true;
  location.reload();
}

function enlarge(picture) {
  if (picture.classList.toggle("large")) picture.focus(); // so that the arrows scroll it
}

if (page) {
  find("edit")?.addEventListener("click", () => edit(true));
  find("save").addEventListener("click", save);
  find("cancel").addEventListener("click", () => edit(false));
  find("reject").addEventListener("click", () => reasons(find("reasons").hidden));
  find("save-other").addEventListener("click", () => decide({ decision: "reject", reason: "other", detail: find("detail").value }));
  find("keep-other").addEventListener("click", reload);
  find("overwrite").addEventListener("click", () => send(waiting));
  find("show-help").addEventListener("click", () => find("help").showModal());
  find("close-help").addEventListener("click", () => find("help").close());
  document.querySelector('[data-decision="accept"]').addEventListener("click", () => decide({ decision: "accept" }));
  for (const button of document.querySelectorAll(".reason")) button.addEventListener("click", () => reject(button.dataset.reason));
  for (const picture of document.querySelectorAll(".picture")) picture.addEventListener("click", () => enlarge(picture));
  for (const image of document.querySelectorAll(".picture img")) {
    image.addEventListener("error", () => { image.parentElement.replaceWith(image.alt); });
  }
  for (const quote of document.querySelectorAll("blockquote")) {
    const mark = quote.querySelector("mark");
    if (mark) quote.scrollTop = Math.max(0, mark.offsetTop - quote.offsetTop - 60);
  }
}

// --- keys ---

/** The key as printed on it, also while an input method for Chinese swallows letters. */
function keyOf(event) {
  if (event.key === "Process" && event.code.startsWith("Key")) return event.code.slice(3).toLowerCase();
  return { ArrowRight: "j", ArrowLeft: "k", ArrowDown: "", ArrowUp: "", "？": "?" }[event.key] ?? event.key.toLowerCase();
}

function inPanel(event) {
  const conflict = find("conflict");
  if (!conflict.hidden) {
    if (event.key === "1") reload();
    if (event.key === "2") send(waiting);
    return true;
  }
  const buttons = document.querySelectorAll(".reason");
  if (!find("reasons").hidden && /^[1-9]$/.test(event.key)) {
    if (buttons[event.key - 1]) reject(buttons[event.key - 1].dataset.reason);
    return true;
  }
  return false;
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  const writing = event.target.matches("textarea, input");
  if (page && event.key === "Enter" && (event.ctrlKey || event.metaKey) && writing) {
    event.preventDefault();
    if (event.target.id === "detail") find("save-other").click();
    else save();
    return;
  }
  if (page && event.key === "Escape") {
    const large = document.querySelector(".picture.large");
    if (large) enlarge(large);
    else if (!find("editing").hidden) edit(false);
    else if (!find("reasons").hidden) reasons(false);
    return;
  }
  if (writing || event.repeat || event.ctrlKey || event.metaKey || event.altKey || busy) return;
  if (find("help")?.open) {
    if (keyOf(event) === "?") find("help").close();
    return;
  }
  if (page && inPanel(event)) {
    event.preventDefault();
    return;
  }
  if (page && !find("editing").hidden) return;
  const target = document.querySelector(`[data-key="${CSS.escape(keyOf(event))}"]`);
  if (target && keyOf(event)) {
    event.preventDefault();
    target.click();
  }
});
