/** Chooses an emoji: by its name or a word for it, by its group, with the mouse or in a grid with the arrow keys. */

import { TONES, inTone, loadEmoji, searchEmoji } from "./emoji.js";
import { element } from "./elements.js";
import { gettext } from "./i18n.js";
import { showBeside } from "./popovers.js";

const TONE = "meshsite.tone";
const RECENT = "meshsite.emoji";
const RECENT_KEPT = 16;
const FIRST = ["👍", "❤️", "😂", "🎉", "👀", "🙏", "✅", "🙌"];
const FOUND = 96;

const byId = (id) => document.getElementById(id);

export class EmojiPicker {
  #root = byId("emoji-picker");
  #field = /** @type {HTMLInputElement} */ (byId("emoji-search"));
  #tabs = byId("emoji-groups");
  #tones = byId("emoji-tones");
  #grid = byId("emoji-grid");
  #said = byId("emoji-said");
  /** @type {?import("./emoji.js").EmojiSet} */ #set = null;
  #group = -1;
  #onChosen = (_emoji) => {};
  #onClosed = () => {};

  constructor() {
    this.#field.addEventListener("input", () => this.#draw());
    this.#field.addEventListener("keydown", (event) => this.#fieldKey(event));
    this.#grid.addEventListener("keydown", (event) => this.#gridKey(event));
    this.#grid.addEventListener("click", (event) => this.#choose(event.target.closest("[data-emoji]")));
    for (const name of ["focusin", "pointerover"]) {
      this.#grid.addEventListener(name, (event) => this.#say(event.target.closest("[data-emoji]")?.title ?? ""));
    }
    this.#root.addEventListener("toggle", (event) => event.newState === "closed" && this.#onClosed());
    this.#root.addEventListener("keydown", (event) => event.stopPropagation());
  }

  /** @param {HTMLElement} anchor  @param {{ onChosen: (emoji: string) => void, onClosed?: () => void }} told */
  async open(anchor, { onChosen, onClosed = () => {} }) {
    this.#onClosed = () => {};
    this.#field.value = "";
    this.#group = -1;
    this.#draw();
    showBeside(this.#root, anchor);
    this.#onChosen = onChosen;
    this.#onClosed = onClosed;
    this.#field.focus({ preventScroll: true });
    if (this.#set) return;
    try {
      this.#set = await loadEmoji();
    } catch {
      return this.#say(gettext("The emoji could not be loaded. Those shown here work."));
    }
    this.#draw();
  }

  #draw() {
    const query = this.#field.value;
    const all = this.#set?.emoji ?? [];
    const inGroup = () => (this.#group < 0 ? this.#usual(all) : all.filter(({ group }) => group === this.#group));
    const shown = query.trim() ? searchEmoji(all, query).slice(0, FOUND) : inGroup();
    const rows = shown.map((entry, at) => this.#button(entry, at));
    this.#grid.replaceChildren(...rows);
    this.#grid.scrollTop = 0;
    this.#say(shown.length ? (rows[0]?.title ?? "") : gettext("Nothing found"));
    this.#drawTabs(Boolean(query.trim()));
    this.#drawTones();
  }

  /** What was chosen here lately, and what everybody chooses. */
  #usual(all) {
    const known = new Map(all.flatMap((entry) => [entry.emoji, ...entry.variants].map((emoji) => [emoji, entry])));
    const wanted = [...new Set([...recent(), ...FIRST])];
    const usual = wanted.map((emoji) => ({ emoji, name: known.get(emoji)?.name ?? emoji, words: [], group: -1, variants: [] }));
    return [...usual, ...all.filter(({ group, emoji }) => group === 0 && !wanted.includes(emoji))];
  }

  #button(entry, at) {
    const emoji = inTone(entry, tone());
    return element(
      "button.emoji",
      { type: "button", "data-emoji": emoji, title: entry.name, "aria-label": entry.name, tabindex: at === 0 ? 0 : -1 },
      emoji,
    );
  }

  #drawTabs(searching) {
    const { groups, emoji } = this.#set ?? { groups: [], emoji: [] };
    const names = [gettext("Usual"), ...groups];
    const signs = ["🕘", ...groups.map((_, at) => emoji.find(({ group }) => group === at)?.emoji ?? "")];
    const tabs = names.map((name, at) => {
      const pressed = !searching && this.#group === at - 1;
      const click = () => {
        this.#field.value = "";
        this.#group = at - 1;
        this.#draw();
        this.#tabs.children[at]?.focus();
      };
      const attributes = { type: "button", title: name, "aria-label": name, "aria-pressed": String(pressed), on: { click } };
      return element("button.emoji-tab", attributes, signs[at]);
    });
    this.#tabs.replaceChildren(...tabs);
  }

  #drawTones() {
    const names = [
      gettext("No skin tone"),
      gettext("Light skin tone"),
      gettext("Medium-light skin tone"),
      gettext("Medium skin tone"),
      gettext("Medium-dark skin tone"),
      gettext("Dark skin tone"),
    ];
    const buttons = names.map((name, at) => {
      const click = () => {
        localStorage.setItem(TONE, String(at));
        this.#draw();
        this.#tones.children[at]?.focus();
      };
      const attributes = { type: "button", title: name, "aria-label": name, "aria-pressed": String(tone() === at), on: { click } };
      return element("button.emoji-tone", attributes, at ? `🖐${TONES[at - 1]}` : "🖐");
    });
    this.#tones.replaceChildren(...buttons);
  }

  #fieldKey(event) {
    if (event.isComposing || event.keyCode === 229) return;
    const first = this.#grid.firstElementChild;
    if (event.key === "ArrowDown" && first) {
      event.preventDefault();
      first.focus();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#choose(first);
    }
  }

  #gridKey(event) {
    const all = [...this.#grid.children];
    const at = all.indexOf(document.activeElement);
    if (at < 0) return;
    const columns = all.filter((node) => node.offsetTop === all[0].offsetTop).length;
    const ways = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: all.length - 1 };
    if (!(event.key in ways)) return;
    event.preventDefault();
    if (event.key === "ArrowUp" && ways.ArrowUp < 0) return this.#field.focus();
    const to = all[Math.min(ways[event.key], all.length - 1)];
    if (!to) return;
    for (const node of all) node.tabIndex = node === to ? 0 : -1;
    to.focus();
  }

  #choose(button) {
    if (!button) return;
    const { emoji } = button.dataset;
    const latest = [emoji, ...recent().filter((other) => other !== emoji)];
    localStorage.setItem(RECENT, JSON.stringify(latest.slice(0, RECENT_KEPT)));
    this.#root.hidePopover();
    this.#onChosen(emoji);
  }

  #say(text) {
    this.#said.textContent = text;
  }
}

function tone() {
  return Number(localStorage.getItem(TONE)) || 0;
}

/** @returns {string[]} */
function recent() {
  try {
    const kept = JSON.parse(localStorage.getItem(RECENT) ?? "[]");
    return Array.isArray(kept) ? kept.filter((emoji) => typeof emoji === "string") : [];
  } catch {
    return [];
  }
}
