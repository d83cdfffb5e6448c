/** Says for a moment that something was done, or why not. */

import { setText } from "./elements.js";

const SHOWN_MS = 4_000;
const BAD_SHOWN_MS = 8_000;

let timer;

/** @param {string} text */
export function say(text, { bad = false } = {}) {
  const place = document.getElementById("notice");
  clearTimeout(timer);
  setText(place, text);
  place.classList.toggle("bad", bad);
  place.classList.add("shown");
  timer = setTimeout(() => place.classList.remove("shown"), bad ? BAD_SHOWN_MS : SHOWN_MS);
}
