/** Chooses people by name: those who are chosen stand as chips, and a list below offers who is meant. */

import { api, sentence } from "./api.js";
import { avatar, element, icon, reconcile, setText } from "./elements.js";
import { gettext, interpolate } from "./i18n.js";
import { rankOf, wordsOf } from "./matching.js";
import { nameOf } from "./store.js";

const OFFERED = 20;
const TYPED_MS = 150;

let pickers = 0;

export class PeoplePicker {
  #root;
  #most;
  #onChanged;
  #chips = element("ul.chips", { "aria-label": gettext("Chosen") });
  #field;
  #list;
  #note = element("p.quiet.picker-note", { role: "status" });
  /** @type {import("./store.js").User[]} */ chosen = [];
  #offered = [];
  #at = 0;
  #workspace_id = 0;
  #without = (_user) => false;
  #round = 0;
  /** @type {any} */ #typed;

  /**
   * @param {HTMLElement} root with the label of the field in `data-label`
   * @param {{ most?: number, onChanged: () => void }} options  `most`: how many may be chosen
   */
  constructor(root, { most = Infinity, onChanged }) {
    this.#root = root;
    this.#most = most;
    this.#onChanged = onChanged;
    const id = `people-${++pickers}`;
    this.#list = element("ul.picker-list", {
      id: `${id}-list`,
      role: "listbox",
      "aria-multiselectable": "true",
      "aria-label": gettext("People"),
    });
    this.#field = /** @type {HTMLInputElement} */ (
      element("input.picker-field", {
        type: "text",
        role: "combobox",
        autocomplete: "off",
        spellcheck: "false",
        autocapitalize: "none",
        "aria-label": root.dataset.label,
        "aria-autocomplete": "list",
        "aria-expanded": "true",
        "aria-controls": `${id}-list`,
        placeholder: gettext("Type a name"),
      })
    );
    const box = element("div.picker-box", { on: { click: () => this.#field.focus() } }, this.#chips, this.#field);
    root.replaceChildren(box, this.#list, this.#note);
    this.#field.addEventListener("input", () => this.#ask());
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.#list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.#toggle(this.#offered[[...this.#list.children].indexOf(row)]);
    });
  }

  /** @param {{ workspace_id: number, without?: (user: import("./store.js").User) => boolean }} where */
  open({ workspace_id, without = () => false }) {
    this.#workspace_id = workspace_id;
    this.#without = without;
    this.chosen = [];
    this.#offered = [];
    this.#field.value = "";
    this.#list.replaceChildren();
    this.#changed();
    this.#look();
    this.#field.focus();
  }

  #ask() {
    clearTimeout(this.#typed);
    this.#typed = setTimeout(() => this.#look(), TYPED_MS);
  }

  async #look() {
    const round = ++this.#round;
    const words = wordsOf(this.#field.value);
    // The server looks for one piece of text; the longest word leaves the least to sift here.
    const query = longestWord(this.#field.value);
    if (this.#offered.length === 0) setText(this.#note, gettext("Loading…"));
    try {
      const { users } = await api("user.list", { workspace_id: this.#workspace_id, query, limit: 200 });
      if (round !== this.#round) return;
      this.#offered = users
        .filter((user) => user.active !== false && !this.#without(user))
        .map((user) => ({ user, rank: rankOf(words, `${nameOf(user)} ${user.username}`) }))
        .filter(({ rank }) => rank < Infinity)
        .sort((a, b) => a.rank - b.rank || nameOf(a.user).localeCompare(nameOf(b.user)))
        .slice(0, OFFERED)
        .map(({ user }) => user);
      this.#at = 0;
      setText(
        this.#note,
        this.#offered.length
          ? ""
          : words.length
            ? gettext("Nobody of this name.")
            : gettext("There is nobody else to choose."),
      );
    } catch (error) {
      if (round !== this.#round) return;
      this.#offered = [];
      setText(this.#note, sentence(error));
    }
    this.#show();
  }

  #key(event) {
    if (event.isComposing) return;
    const { length } = this.#offered;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && length) {
      event.preventDefault();
      this.#at = (this.#at + step + length) % length;
      this.#show();
    } else if (event.key === "Enter" && (this.#field.value || !this.chosen.length)) {
      // With an empty field and somebody chosen, Enter is for the form.
      event.preventDefault();
      if (length) this.#toggle(this.#offered[this.#at]);
    } else if (event.key === "Backspace" && !this.#field.value && this.chosen.length) this.#toggle(this.chosen.at(-1));
  }

  #toggle(user) {
    const there = this.chosen.some(({ id }) => id === user.id);
    if (!there && this.chosen.length >= this.#most) {
      setText(this.#note, interpolate(gettext("At most %(count)s people."), { count: this.#most }));
      return;
    }
    this.chosen = there ? this.chosen.filter(({ id }) => id !== user.id) : [...this.chosen, user];
    if (this.#field.value) {
      this.#field.value = "";
      this.#look();
    }
    setText(this.#note, "");
    this.#changed();
    this.#field.focus();
  }

  #changed() {
    this.#show();
    this.#onChanged();
  }

  #show() {
    reconcile(
      this.#chips,
      this.chosen.map((user) => ({ key: `u${user.id}`, make: () => this.#chip(user) })),
    );
    this.#chips.hidden = this.chosen.length === 0;
    const isChosen = (user) => this.chosen.some(({ id }) => id === user.id);
    reconcile(
      this.#list,
      this.#offered.map((user, at) => ({
        key: `u${user.id}`,
        sign: `${at} ${at === this.#at} ${isChosen(user)}`,
        make: () => this.#row(user, at, isChosen(user)),
      })),
    );
    const active = this.#list.children[this.#at];
    this.#field.setAttribute("aria-activedescendant", active?.id ?? "");
    active?.scrollIntoView({ block: "nearest" });
  }

  #chip(user) {
    const label = interpolate(gettext("Take %(name)s out"), { name: nameOf(user) });
    const out = { type: "button", title: label, "aria-label": label, on: { click: () => this.#toggle(user) } };
    return element(
      "li.chip",
      {},
      avatar(user),
      element("bdi", {}, nameOf(user)),
      element("button.chip-out", out, icon("close")),
    );
  }

  #row(user, at, isChosen) {
    return element(
      at === this.#at ? "li.name.active" : "li.name",
      { role: "option", id: `${this.#list.id}-${user.id}`, "aria-selected": String(isChosen) },
      avatar(user),
      element("bdi.name-shown", {}, nameOf(user)),
      element("span.name-user", {}, `@${user.username}`),
      isChosen && icon("check"),
    );
  }
}

export function longestWord(text) {
  const words = text.split(/\s+/).map((word) => word.replace(/^[#@]/, ""));
  return words.reduce((longest, word) => (word.length > longest.length ? word : longest), "");
}
