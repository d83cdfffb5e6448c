/**
 * How it shows who is there. A portrait and a status stand in many places of the page; they are made empty, and
 * `showPresence` brings all of them to date, in place: nobody who reads or has the focus there is disturbed.
 */

import { avatar, element, setText } from "./elements.js";
import { gettext } from "./i18n.js";

const words = () => ({ online: gettext("Online"), away: gettext("Away"), offline: gettext("Offline") });

/** @typedef {import("./store.js").User} User */

/** An avatar and whether its owner is there: by the shape of the dot and its colour, and in words. @param {User} user */
export function portrait(user) {
  return element("span.portrait", { "data-portrait": user.id }, avatar(user), element("span.dot", {}, element("span.hidden")));
}

/** The emoji of a status, for beside a name; its text is what it is called. @param {User} user */
export function statusMark(user) {
  return element("span.status-mark", { "data-status-mark": user.id, role: "img", hidden: true });
}

/** The status in words, for where there is room. @param {User} user */
export function statusLine(user) {
  return element("small.status-line", { "data-status-line": user.id, hidden: true });
}

/** @returns {number[]} whose presence the page shows, what is looked at first: dialogs, then beside, then the newest messages */
export function shownPeople() {
  const portraits = [...document.querySelectorAll("[data-portrait]:not(dialog:not([open]) *)")].reverse();
  const inMessages = portraits.filter((node) => node.closest(".timeline"));
  const elsewhere = portraits.filter((node) => !node.closest(".timeline"));
  return [...new Set([...elsewhere, ...inMessages].map((node) => Number(node.dataset.portrait)))];
}

export function showPresence({ presence }) {
  for (const node of document.querySelectorAll("[data-portrait]")) {
    const status = presence[node.dataset.portrait]?.status ?? "offline";
    if (node.dataset.status === status) continue;
    node.dataset.status = status;
    node.title = words()[status];
    setText(node.querySelector(".dot > .hidden"), words()[status]);
  }
  for (const node of document.querySelectorAll("[data-status-mark]")) {
    const { status_emoji, status_text } = presence[node.dataset.statusMark] ?? {};
    setText(node, status_emoji || (status_text ? TEXT_ONLY : ""));
    node.hidden = !node.textContent;
    node.title = status_text || status_emoji || "";
    node.setAttribute("aria-label", node.title);
  }
  for (const node of document.querySelectorAll("[data-status-line]")) {
    setText(node, statusText(presence[node.dataset.statusLine]));
    node.hidden = !node.textContent;
  }
}

// Stands where a status has words and no emoji.
const TEXT_ONLY = "💬";

/** @param {import("./store.js").Presence} [entry] */
export function statusText(entry) {
  return [entry?.status_emoji, entry?.status_text].filter(Boolean).join(" ");
}

/** @param {import("./store.js").Presence} [entry] */
export function presenceText(entry) {
  return [words()[entry?.status ?? "offline"], statusText(entry)].filter(Boolean).join(" · ");
}
