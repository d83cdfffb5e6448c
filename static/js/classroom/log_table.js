/** The rows of the event log: the newest on top, at most as many as the log keeps. */

import { element } from "../elements.js";
import { nameOf } from "./names.js";
import { clockText, gapText, KEPT } from "./timing.js";

/** @param {HTMLElement} body */
export function createLogTable(body) {
  let shown = -1;

  return {
    /** Add the rows that are not there yet. @param {import("./timing.js").TimedEvent[]} events oldest first */
    show(events) {
      const fresh = events.filter(({ number }) => number > shown);
      if (fresh.length === 0) return;
      shown = fresh.at(-1).number;
      body.prepend(...fresh.reverse().map(row));
      while (body.children.length > KEPT) body.lastElementChild.remove();
    },
    clear() {
      shown = -1;
      body.replaceChildren();
    },
  };
}

function row({ timestamp, fired_at, gap_ms, node_id, name, payload }) {
  return element(
    "tr",
    {},
    element("td", {}, element("time", { datetime: timestamp, title: fired_at }, clockText(timestamp))),
    element("td.log-gap", {}, gapText(gap_ms)),
    element("td.log-from", { title: node_id }, nameOf(node_id)),
    element("td.log-event", {}, element("strong", {}, name), payload ? element("code", { title: payload }, payload) : null),
  );
}
