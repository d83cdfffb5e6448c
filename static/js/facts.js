/** A list of what is so: a word and what it is, as on a card. */

import { element } from "./elements.js";

/**
 * Show these facts and no others; what is so already stays as it is, with what somebody selected in it.
 * @param {HTMLElement} list a `dl`
 * @param {(false | undefined | null | "" | [string, string])[]} facts
 */
export function showFacts(list, facts) {
  const shown = facts.filter(Boolean);
  const sign = JSON.stringify(shown);
  if (list.dataset.sign === sign) return;
  list.dataset.sign = sign;
  list.replaceChildren(...shown.flatMap(([what, text]) => [element("dt", {}, what), element("dd", { dir: "auto" }, text)]));
  list.hidden = shown.length === 0;
}
