// "Try it": the two-tower recommender of chapter 7 in the reader's browser.
// First what is computed, which the tests run in Node; then what is shown.
"use strict";

const KINDS = { text: "words", image: "picture", audio: "sound" };

/** Unpack what book/_extensions/try_it_data.py has packed. */
function unpack(data) {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
  const floats = (name) => new Float32Array(bytes(data[name]));
  const model = {
    ...data, v: floats("v"), h: floats("h"), q: floats("q"), bias: floats("bias"),
    next: new Uint16Array(bytes(data.next)), present: new Uint8Array(bytes(data.present)),
  };
  model.count = model.titles.length;
  model.size = model.q.length / model.modalities.length; // of one modality's part of a vector
  return model;
}

/**
 * By how much late fusion enlarges what is left of each item when one modality is hidden:
 * its weights λ are shared out among the others. 0 where nothing is left.
 */
function enlarged(model, hidden) {
  const kinds = model.modalities.length;
  return Float64Array.from({ length: model.count }, (_, item) => {
    const has = model.modalities.map((_, kind) => model.present[item * kinds + kind] > 0);
    const sum = (hide) => model.strength.reduce((a, x, kind) => a + (has[kind] && kind !== hide ? x : 0), 0);
    return hidden < 0 ? 1 : sum(hidden) > 0 ? sum(-1) / sum(hidden) : 0;
  });
}

/**
 * Score every item, and give the reasons for the best (eq-two-tower-score, eq-shares).
 * choice: picked (items in order), cold (a Set of items), weights (one a modality), hidden (or -1).
 */
function recommend(model, choice, k = 10) {
  const { v, h, q, size, count } = model;
  const kinds = [...model.modalities.keys()].filter((kind) => kind !== choice.hidden);
  const scale = enlarged(model, choice.hidden);
  const past = choice.picked.filter((item) => scale[item] > 0);
  const shrink = past.length ** -model.power;
  const times = (left, at, item, kind) => { // one modality's part of a dot product with v
    let sum = 0;
    for (let i = kind * size; i < (kind + 1) * size; i++) sum += left[at + i] * v[item * q.length + i];
    return sum * scale[item] * choice.weights[kind];
  };
  const bias = (item) => (choice.cold.has(item) ? model.meanBias : model.bias[item]);
  const user = Float64Array.from(q, (x, i) => past.reduce((a, item) => a + scale[item] * shrink * h[item * q.length + i], x));
  const scores = Float64Array.from({ length: count }, (_, item) =>
    kinds.reduce((a, kind) => a + times(user, 0, item, kind), bias(item)));
  const listed = best(scores, k, (item) => scale[item] > 0 && !choice.picked.includes(item));

  const all = [...Array(count).keys()];
  const mean = (f) => all.reduce((a, item) => a + f(item), 0) / count;
  const above = (f) => { const usual = mean(f); return listed.map((item) => f(item) - usual); };
  const everybody = above((item) => kinds.reduce((a, kind) => a + times(q, 0, item, kind), bias(item)));
  const shares = past.map((taken) => kinds.map((kind) =>
    above((item) => scale[taken] * shrink * times(h, taken * q.length, item, kind))));
  return listed.map((item, place) => {
    const byKind = kinds.map((_, kind) => shares.reduce((a, of) => a + of[kind][place], 0));
    const byTaken = shares.map((of) => of.reduce((a, each) => a + each[place], 0));
    const whole = byKind.reduce((a, x) => a + x, 0);
    const because = byTaken.indexOf(Math.max(...byTaken));
    return {
      item, score: scores[item], everybody: everybody[place],
      byTaken, byKind: Object.fromEntries(kinds.map((kind, at) => [model.modalities[kind], byKind[at]])),
      popular: everybody[place] > whole,
      because: byTaken[because] > 0 ? past[because] : -1,
      kind: model.modalities[kinds[byKind.indexOf(Math.max(...byKind))]],
    };
  });
}

/** The k highest of the items that may be listed; of equals, the first. */
function best(scores, k, may) {
  return [...scores.keys()].filter(may).sort((a, b) => scores[b] - scores[a] || a - b).slice(0, k);
}

/** What most shoppers took; an item that nobody took yet cannot be among it. */
function popular(model, choice, k = 10) {
  const may = (item) => !choice.picked.includes(item) && !choice.cold.has(item) && model.taken[item] > 0;
  return best(model.taken, k, may);
}

/** What the article's network lists after the item taken last; a new item has never been its label. */
function network(model, choice, k = 10) {
  const last = choice.picked.length ? choice.picked.at(-1) : model.count;
  const list = [...model.next.slice(last * model.listed, (last + 1) * model.listed)];
  return list.filter((item) => !choice.picked.includes(item) && !choice.cold.has(item)).slice(0, k);
}

if (typeof module !== "undefined") module.exports = { unpack, recommend, popular, network };

// ---------------------------------------------------------------------------------------------

/** Make an element: properties are set, those with a dash or that HTML spells otherwise as attributes. */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function show(root, model) {
  const SHELF = 12;
  const MOST = 20; // products to choose; the network's lists are long enough for that
  const choice = { picked: [], cold: new Set(), weights: model.modalities.map(() => 1), hidden: -1 };
  const find = (part) => root.querySelector(`[data-part=${part}]`);
  const media = document.querySelector("script[src*='try_it_data.js']").src.replace(/try_it_data\.js.*/, "try_it/");
  const has = (item, kind) => model.present[item * model.modalities.length + model.modalities.indexOf(kind)] > 0;
  const title = (item) => model.titles[item];
  const player = new Audio();
  let begin = 0;

  const picture = (item) => has(item, "image")
    ? make("img", { src: `${media}${model.ids[item]}.webp`, alt: model.pictures[item], width: 96, height: 96, loading: "lazy" })
    : make("span", { className: "none" }, "no picture");
  const play = (item) => has(item, "audio")
    ? make("button", { type: "button", "aria-label": `Listen to ${title(item)}`,
      onclick: () => { player.src = `${media}${model.ids[item]}.mp3`; player.play().catch(() => {}); } /* another sound may come in between */ }, "▶ Listen")
    : make("span", { className: "none" }, "no sound");

  function pick(item) {
    if (choice.picked.includes(item)) choice.picked = choice.picked.filter((each) => each !== item);
    else if (choice.picked.length < MOST) choice.picked.push(item);
    render();
  }

  function cool(item) {
    if (!choice.cold.delete(item)) choice.cold.add(item);
    render();
  }

  function renderShelf() {
    const items = Array.from({ length: SHELF }, (_, place) => (begin + place) % model.count);
    find("shelf").replaceChildren(...items.map((item) => make("li", { className: "product" },
      make("button", { type: "button", className: "pick", "data-item": item, onclick: () => pick(item) },
        picture(item), make("strong", {}, title(item))),
      play(item),
      make("q", {}, model.reviews[item] || "no review"))));
  }

  function reason(each) {
    const many = each.popular ? "many like it" : "";
    const taken = each.because >= 0 ? `you chose ${title(each.because)}` : "";
    const why = many && taken ? `${many}, and ${taken}` : taken ? `because ${taken}` : "many like it";
    return taken ? `${why}; mostly its ${KINDS[each.kind]}` : why;
  }

  /** Bars: what words, picture and sound add to the score, above 0 or below. */
  function bars(each, widest) {
    const told = Object.entries(each.byKind).map(([kind, share]) => `${KINDS[kind]} ${share < 0 ? "−" : "+"}${Math.abs(share).toFixed(1)}`);
    return make("span", { className: "bars", role: "img", "aria-label": `Added to the score: ${told.join(", ")}`, title: told.join(", ") },
      ...Object.entries(each.byKind).map(([kind, share]) =>
        make("i", { className: `${kind}${share < 0 ? " less" : ""}`, style: `width: ${(100 * Math.abs(share) / widest).toFixed(1)}%` })));
  }

  function renderOurs(list) {
    const widest = Math.max(1e-9, ...list.map((each) => Object.values(each.byKind).reduce((a, x) => a + Math.abs(x), 0)));
    find("ours").replaceChildren(...list.map((each) => make("li", { "data-item": each.item },
      picture(each.item),
      make("div", {}, make("strong", {}, title(each.item)), make("span", { className: "reason" }, reason(each)),
        choice.picked.length ? bars(each, widest) : ""),
      make("div", { className: "acts" }, play(each.item),
        make("button", { type: "button", "aria-label": `Choose ${title(each.item)}`, onclick: () => pick(each.item) }, "+ Choose"),
        make("button", { type: "button", "aria-label": `Let ${title(each.item)} be new`, "aria-pressed": choice.cold.has(each.item), onclick: () => cool(each.item) }, "New")))));
  }

  const renderOther = (part, items, ours) => find(part).replaceChildren(...items.map((item) =>
    make("li", { "data-item": item, className: ours.has(item) ? "shared" : "" }, picture(item),
      make("span", {}, title(item), ours.has(item) ? make("em", {}, " also in ours") : ""))));

  const chips = (part, items, word, undo) => find(part).replaceChildren(...items.map((item) => make("li", {},
    make("button", { type: "button", "aria-label": `${word} ${title(item)}`, onclick: () => undo(item) }, `${title(item)} ×`))));

  function renderMap(list) {
    const marks = new Map([...list.map((each) => [each.item, "listed"]), ...choice.picked.map((item) => [item, "picked"])]);
    for (const dot of find("map").querySelectorAll("circle")) {
      const mark = marks.get(Number(dot.dataset.item)) || "";
      if (dot.getAttribute("class") === mark) continue;
      dot.setAttribute("class", mark);
      dot.setAttribute("r", mark ? 2.2 : 0.8);
      if (mark) dot.parentNode.append(dot); // in front of the others
    }
  }

  function renderRest() {
    const list = recommend(model, choice);
    const ours = new Set(list.map((each) => each.item));
    renderOurs(list);
    renderOther("popular", popular(model, choice), ours);
    renderOther("network", network(model, choice), ours);
    renderMap(list);
    const n = choice.picked.length;
    find("status").textContent = `${n === 0 ? "Nothing chosen: ten products for a visitor of whom nothing is known"
      : `${n} chosen${n === MOST ? ", which is the most" : ""}: ten recommendations`}. First: ${list.slice(0, 3).map((each) => title(each.item)).join(", ")}.`;
  }

  function render() {
    const before = document.activeElement;
    const list = before.closest?.("[data-part]");
    for (const button of find("shelf").querySelectorAll(".pick")) {
      button.setAttribute("aria-pressed", choice.picked.includes(Number(button.dataset.item)));
    }
    chips("picked", choice.picked, "Do not choose", pick);
    chips("cold", [...choice.cold], "No longer new:", cool);
    find("cold-line").hidden = choice.cold.size === 0;
    find("clear").disabled = choice.picked.length === 0;
    renderRest();
    if (list && !before.isConnected) list.focus(); // what was pressed is gone: stay near it
  }

  function listen() {
    find("more").onclick = () => { begin = (begin + SHELF) % model.count; renderShelf(); render(); };
    find("clear").onclick = () => { choice.picked = []; render(); find("more").focus(); };
    for (const slider of root.querySelectorAll("input[type=range]")) {
      const set = () => {
        choice.weights[model.modalities.indexOf(slider.name)] = Number(slider.value);
        slider.setAttribute("aria-valuetext", `${slider.value} times`);
        slider.nextElementSibling.value = `× ${slider.value}`;
      };
      slider.oninput = () => { set(); renderRest(); };
      set(); // a browser may have kept what it was
    }
    const hide = find("hide");
    hide.onchange = () => { choice.hidden = model.modalities.indexOf(hide.value); render(); };
    choice.hidden = model.modalities.indexOf(hide.value);
  }

  const space = "http://www.w3.org/2000/svg";
  find("map").append(...model.place.map(([x, y], item) => {
    const dot = document.createElementNS(space, "circle");
    const words = document.createElementNS(space, "title");
    words.textContent = title(item);
    dot.append(words);
    for (const [key, value] of Object.entries({ cx: 48 * x, cy: -38 * y, r: 0.8, "data-item": item })) dot.setAttribute(key, value);
    return dot;
  }));
  listen();
  renderShelf();
  render();
  root.hidden = false;
}

if (typeof document !== "undefined") show(document.getElementById("recommender"), unpack(globalThis.TRY_IT));
