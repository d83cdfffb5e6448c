/** Small pieces of page. Text goes in as text; the only HTML ever inserted is a message's `html`, cleaned by the server. */

import { language } from "./i18n.js";
import { nameOf } from "./store.js";

/**
 * @param {string} tag with classes: "li.message.own"
 * @param {Record<string, any>} [attributes] `on` holds listeners; false, null and undefined leave an attribute out
 * @param {...(Node | string | null | false | undefined)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  node.classList.add(...classes);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
  return node;
}

const icons = globalThis.document?.body.dataset.icons ?? "";
const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${icons}#${name}`);
  svg.append(use);
  return svg;
}

const HUES = 8;

export function avatar(user) {
  if (user.avatar_url) return element("img.avatar", { src: user.avatar_url, alt: "", loading: "lazy" });
  return element("span.avatar", { "aria-hidden": "true", "data-hue": user.id % HUES }, initials(nameOf(user)));
}

/** "Ada Lovelace" is AL, "ada" is A, 山田太郎 is 山. */
export function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => [...word][0] ?? "").join("").toLocaleUpperCase();
}

const clock = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(language, { weekday: "long", month: "long", day: "numeric" });
const dayWithYear = new Intl.DateTimeFormat(language, { year: "numeric", month: "long", day: "numeric" });
const full = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "short" });

/** @param {string} moment */
export function timeOf(moment, { full: withDay = false } = {}) {
  const date = new Date(moment);
  const title = full.format(date);
  return element("time", { datetime: moment, title }, withDay ? title : clock.format(date));
}

export function dayOf(moment) {
  const date = new Date(moment);
  return (date.getFullYear() === new Date().getFullYear() ? day : dayWithYear).format(date);
}

/** Which day, where the reader is: equal for two moments of one day. */
export function dayKey(moment) {
  return new Date(moment).toDateString();
}

/** Replace what is inside only when it differs, so that nothing moves and no focus is lost for nothing. */
export function setText(node, text) {
  if (node.textContent !== text || node.firstElementChild) node.textContent = text;
}

/**
 * Make the children of `parent` these rows, in this order. A row that is there already keeps its node, and with it focus,
 * selection and scroll position; it is made anew only when its `sign` changed and it has no `update`, and keeps the focus then.
 * @param {HTMLElement} parent
 * @param {{ key: string, sign?: string, make: () => HTMLElement, update?: (node: HTMLElement) => void }[]} rows
 */
export function reconcile(parent, rows) {
  const known = new Map([...parent.children].map((node) => [node.dataset.key ?? node, node]));
  let at = parent.firstElementChild;
  for (const { key, sign = "", make, update } of rows) {
    let node = known.get(key);
    if (node && node.dataset.sign !== sign && !update) {
      const fresh = make();
      if (at === node) at = fresh;
      takeOver(node, fresh);
      node = fresh;
    }
    node ??= make();
    known.delete(key);
    node.dataset.key = key;
    node.dataset.sign = sign;
    update?.(node);
    if (node === at) at = node.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  for (const node of known.values()) node.remove();
}

/** Put a row in the place of the one that it is made anew from. Who was on it, or on something in it, is so afterwards. */
function takeOver(node, fresh) {
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  if (node.tabIndex === 0) fresh.tabIndex = 0;
  node.replaceWith(fresh);
  if (!focused) return;
  const { emoji } = focused.dataset;
  const alike = (other) => (emoji ? other.dataset.emoji === emoji : other.title === focused.title);
  const counterpart = focused !== node && [...fresh.querySelectorAll(focused.localName)].find(alike);
  (counterpart || fresh).focus({ preventScroll: true });
}
