/** How hosts and nodes are called. Editors name themselves with 32 hex digits; children read six hiragana aloud. */

const HIRAGANA = [..."いしかたうんてとのつはこになくき"];
const OF_EDITORS = /^[0-9a-f]{32}$/;

/** The six hiragana of an editor's id; null for a name that somebody chose. */
export function labelOf(id) {
  return OF_EDITORS.test(id) ? [...id.slice(0, 6)].map((digit) => HIRAGANA[parseInt(digit, 16)]).join("") : null;
}

/** What to show of an id. */
export function nameOf(id) {
  return labelOf(id) ?? id;
}

/** An id as editors make theirs. */
export function makeId(random = (bytes) => crypto.getRandomValues(bytes)) {
  return [...random(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
