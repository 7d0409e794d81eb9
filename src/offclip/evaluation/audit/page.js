"use strict";
// First what is computed (also tested without a browser), then the page. State of one reader:
// {verdicts: {id: {verdict, comment}}, history: [{id, before}]}, saved under a key that names sample and reader.

const VERDICTS = ["normal", "abnormal", "uncertain"];
const KEYS = { n: "normal", a: "abnormal", u: "uncertain" };

function emptyState() {
  return { verdicts: {}, history: [] };
}

function judge(state, id, verdict) {
  const before = state.verdicts[id] ? state.verdicts[id].verdict : "";
  const comment = state.verdicts[id] ? state.verdicts[id].comment : "";
  return {
    verdicts: { ...state.verdicts, [id]: { verdict, comment } },
    history: [...state.history, { id, before }],
  };
}

function annotate(state, id, comment) {
  const verdict = state.verdicts[id] ? state.verdicts[id].verdict : "";
  return { ...state, verdicts: { ...state.verdicts, [id]: { verdict, comment } } };
}

// Takes back the last verdict; returns the id to go to.
function undo(state) {
  const last = state.history[state.history.length - 1];
  if (!last) return { state, id: null };
  const comment = state.verdicts[last.id].comment;
  const verdicts = { ...state.verdicts, [last.id]: { verdict: last.before, comment } };
  return { state: { verdicts, history: state.history.slice(0, -1) }, id: last.id };
}

function isJudged(state, id) {
  return Boolean(state.verdicts[id] && state.verdicts[id].verdict);
}

// Index of the first sentence without a verdict after `from`, going round; -1 when all have one.
function nextOpen(items, state, from) {
  for (let step = 1; step <= items.length; step += 1) {
    const index = (from + step) % items.length;
    if (!isJudged(state, items[index].id)) return index;
  }
  return -1;
}

// What was saved, as far as it makes sense: only known ids, known verdicts, text.
function restore(text, items) {
  const state = emptyState();
  let saved;
  try {
    saved = JSON.parse(text || "{}");
  } catch {
    return state;
  }
  const verdicts = saved && typeof saved.verdicts === "object" && saved.verdicts ? saved.verdicts : {};
  for (const { id } of items) {
    const one = Object.hasOwn(verdicts, id) ? verdicts[id] : null;
    if (!one || typeof one !== "object") continue;
    const verdict = VERDICTS.includes(one.verdict) ? one.verdict : "";
    const comment = typeof one.comment === "string" ? one.comment : "";
    if (verdict || comment) state.verdicts[id] = { verdict, comment };
  }
  return state;
}

function rows(items, state) {
  return items
    .filter(({ id }) => state.verdicts[id] && (state.verdicts[id].verdict || state.verdicts[id].comment))
    .map(({ id }) => ({
      id,
      verdict: state.verdicts[id].verdict,
      comment: state.verdicts[id].comment.replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, " ").trim(),
    }));
}

function toCsv(data, state, reader) {
  const quote = (value) => `"${value.replaceAll('"', '""')}"`;
  const lines = rows(data.items, state).map((r) =>
    [data.sample, reader, r.id, r.verdict, r.comment].map(quote).join(","));
  return ["sample,reader,id,verdict,comment", ...lines].join("\r\n") + "\r\n";
}

function toJson(data, state, reader) {
  const content = { format: "offclip-audit-verdicts", sample: data.sample, reader, verdicts: rows(data.items, state) };
  return JSON.stringify(content, null, 1) + "\n";
}

function fileName(data, reader, kind) {
  const who = reader.replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+|-+$/g, "");
  return `verdicts-${data.sha256.slice(0, 8)}${who ? `-${who}` : ""}.${kind}`;
}

function start() {
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const items = data.items;
  const prefix = `offclip-audit:${data.sha256}`;
  let reader = "";
  let state = emptyState();
  let index = 0;
  let exported = true;

  function warn(text) {
    find("warning").textContent = text;
    find("warning").hidden = !text;
  }

  function read(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      warn("This browser keeps nothing: export the verdicts before you close the page.");
      return null;
    }
  }

  function save() {
    exported = false;
    try {
      localStorage.setItem(`${prefix}:${reader}`, JSON.stringify({ verdicts: state.verdicts }));
      localStorage.setItem(`${prefix}#reader`, reader);
      warn("");
      exported = true; // safe in the browser
    } catch {
      warn("This browser keeps nothing: export the verdicts before you close the page.");
    }
  }

  function forget(key) {
    try {
      localStorage.removeItem(key);
    } catch {
      // Nothing was kept.
    }
  }

  function showReport([before, words, after]) {
    const mark = document.createElement("mark");
    mark.textContent = words;
    find("report").replaceChildren(before, ...(words ? [mark] : []), after);
    const box = find("report");
    box.scrollTop = words ? mark.offsetTop - box.offsetTop - box.clientHeight / 3 : 0;
  }

  function showLabeller(item, judged) {
    const line = find("labeller");
    line.hidden = !(judged && item.label);
    if (line.hidden) return;
    const label = document.createElement("b");
    label.textContent = item.label;
    line.dataset.verdict = item.label;
    line.replaceChildren("Labeller: ", label, ` (${item.reason})`);
  }

  function show() {
    const item = items[index];
    const own = state.verdicts[item.id] || { verdict: "", comment: "" };
    const done = items.filter(({ id }) => isJudged(state, id)).length;
    find("done").textContent = `${done} of ${items.length} judged`;
    find("bar").value = done;
    find("position").textContent = `Sentence ${index + 1}`;
    find("section").textContent = item.section;
    find("sentence").textContent = item.text;
    find("comment").value = own.comment;
    for (const button of document.querySelectorAll("button[data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === own.verdict));
    }
    find("previous").disabled = index === 0;
    find("next").disabled = index === items.length - 1;
    find("undo").disabled = state.history.length === 0;
    find("open").disabled = done === items.length;
    find("csv").disabled = find("json").disabled = done === 0;
    find("finished").hidden = done < items.length;
    document.querySelector(".finished .file").textContent = fileName(data, reader, "csv");
    showLabeller(item, Boolean(own.verdict));
    showReport(item.report);
  }

  function goTo(target) {
    index = Math.min(Math.max(target, 0), items.length - 1);
    show();
  }

  function onVerdict(verdict) {
    state = judge(state, items[index].id, verdict);
    save();
    // Where the labeller's label is shown after the verdict, the reader moves on by hand.
    const open = items[index].label ? index : nextOpen(items, state, index);
    goTo(open < 0 ? index : open);
  }

  function onUndo() {
    const back = undo(state);
    if (back.id === null) return;
    state = back.state;
    save();
    goTo(items.findIndex(({ id }) => id === back.id));
  }

  function onOpen() {
    const open = nextOpen(items, state, index);
    if (open >= 0) goTo(open);
  }

  function changeReader(name) {
    reader = name.trim();
    const before = state;
    state = restore(read(`${prefix}:${reader}`), items);
    // Verdicts given before the name was typed belong to that name.
    const adopted = reader && unnamed && !Object.keys(state.verdicts).length;
    if (adopted) state = before;
    unnamed = !reader;
    save();
    if (adopted) forget(`${prefix}:`);
    const open = nextOpen(items, state, -1);
    goTo(open < 0 ? 0 : open);
  }

  function download(text, type, kind) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = fileName(data, reader, kind);
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    exported = true;
  }

  const actions = {
    ArrowLeft: () => goTo(index - 1),
    ArrowRight: () => goTo(index + 1),
    o: onOpen,
    z: onUndo,
    r: () => { find("context").open = !find("context").open; },
    c: () => find("comment").focus(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.target instanceof HTMLInputElement) {
      if (key === "Escape" || key === "Enter") event.target.blur();
      return;
    }
    if (event.repeat && !key.startsWith("Arrow")) return; // a key held down judges once
    const act = Object.hasOwn(KEYS, key) ? () => onVerdict(KEYS[key]) : Object.hasOwn(actions, key) ? actions[key] : null;
    if (!act) return;
    event.preventDefault();
    act();
  });
  for (const button of document.querySelectorAll("button[data-verdict]")) {
    button.addEventListener("click", () => onVerdict(button.dataset.verdict));
  }
  find("previous").addEventListener("click", actions.ArrowLeft);
  find("next").addEventListener("click", actions.ArrowRight);
  find("undo").addEventListener("click", onUndo);
  find("open").addEventListener("click", onOpen);
  find("comment").addEventListener("input", (event) => {
    state = annotate(state, items[index].id, event.target.value);
    save();
  });
  find("reader").addEventListener("change", (event) => changeReader(event.target.value));
  find("csv").addEventListener("click", () => download(toCsv(data, state, reader), "text/csv", "csv"));
  find("json").addEventListener("click", () => download(toJson(data, state, reader), "application/json", "json"));
  window.addEventListener("beforeunload", (event) => {
    if (!exported) event.preventDefault();
  });

  reader = read(`${prefix}#reader`) || "";
  let unnamed = !reader;
  find("reader").value = reader;
  state = restore(read(`${prefix}:${reader}`), items);
  const open = nextOpen(items, state, -1);
  goTo(open < 0 ? 0 : open);
}

if (typeof document !== "undefined") start();
if (typeof module !== "undefined") module.exports = { emptyState, judge, annotate, undo, isJudged, nextOpen, restore, toCsv, toJson, fileName };
