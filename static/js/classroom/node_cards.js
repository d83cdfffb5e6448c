/** One card for each node. A frame touches only what changed in it. */

import { element, setText } from "../elements.js";
import { gettext, interpolate, language } from "../i18n.js";
import { labelOf, nameOf } from "./names.js";

const FRESH_MS = 700;
const VALUES_SHOWN = 100;
const ago = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });

/** @param {HTMLElement} list */
export function createNodeCards(list) {
  /** @type {Map<string, any>} */
  const cards = new Map();
  /** @type {Map<HTMLElement, number>} since when a value is new */
  const fresh = new Map();

  function update(node, { flash = true } = {}) {
    const card = cards.get(node.id);
    if (!card) return;
    card.node = node;
    const kind = node.host ? "host" : node.joined ? (node.use_websocket ? "websocket" : "poll") : "outside";
    if (card.item.dataset.kind !== kind) {
      card.item.dataset.kind = kind;
      setText(card.badge, kinds()[kind]);
    }
    for (const [key, { value }] of node.values) {
      let cell = card.values.get(key);
      if (!cell) {
        if (card.values.size >= VALUES_SHOWN) continue;
        cell = element("dd", {});
        card.values.set(key, cell);
        card.dl.append(element("div", {}, element("dt", { title: key }, key), cell));
      }
      if (cell.textContent === value) continue;
      cell.textContent = value;
      cell.title = value;
      if (!flash) continue;
      cell.dataset.fresh = "";
      fresh.set(cell, performance.now());
    }
    card.none.hidden = node.values.size > 0;
  }

  return {
    update,
    /** All of them, in this order. @param {import("./room.js").RoomNode[]} nodes */
    arrange(nodes) {
      const wanted = new Set(nodes.map(({ id }) => id));
      for (const [id, card] of cards) {
        if (wanted.has(id)) continue;
        card.item.remove();
        cards.delete(id);
      }
      let at = list.firstElementChild;
      for (const node of nodes) {
        const known = cards.has(node.id);
        if (!known) cards.set(node.id, make(node));
        update(node, { flash: known });
        const { item } = cards.get(node.id);
        if (item === at) at = at.nextElementSibling;
        else list.insertBefore(item, at);
      }
    },
    /** What only the clock changes. @param {number} now_ms on the server's clock */
    tick(now_ms) {
      for (const { node, seen } of cards.values()) setText(seen, agoText(node.seen_at, now_ms));
      const old = performance.now() - FRESH_MS;
      for (const [cell, since] of fresh) {
        if (since > old) continue;
        delete cell.dataset.fresh;
        fresh.delete(cell);
      }
    },
    clear() {
      cards.clear();
      fresh.clear();
      list.replaceChildren();
    },
  };
}

function make(node) {
  const title = element("h4.node-name", { title: node.id }, nameOf(node.id));
  const id = labelOf(node.id) ? element("span.node-id", { "aria-hidden": "true" }, node.id.slice(0, 6)) : null;
  const badge = element("span.badge-kind", {});
  const seen = element("span.node-seen", {});
  const dl = element("dl.values", {});
  const none = element("p.quiet", {}, gettext("No variables yet."));
  const facts = element("p.node-facts", {}, badge, seen);
  const item = element("li.node", {}, element("div.node-head", {}, title, id), facts, dl, none);
  return { item, badge, seen, dl, none, node, values: new Map() };
}

const kinds = () => ({
  host: gettext("Host"),
  websocket: gettext("WebSocket"),
  poll: gettext("Polls"),
  outside: gettext("Has not joined"),
});

export function agoText(moment, now_ms) {
  const seconds = Math.max(0, Math.round((now_ms - Date.parse(moment)) / 1_000));
  if (Number.isNaN(seconds)) return "";
  if (seconds < 3) return gettext("now");
  const text = seconds < 90 ? ago.format(-seconds, "second") : ago.format(-Math.round(seconds / 60), "minute");
  return interpolate(gettext("seen %(ago)s"), { ago: text });
}
