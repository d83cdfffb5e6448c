/** Names people while one writes: @ and the first letters of a name, and the list of who that may be. */

import { avatar, element, reconcile } from "./elements.js";
import { gettext } from "./i18n.js";
import { nameOf } from "./store.js";

const OFFERED = 8;
const NAME = /(?:^|[^\p{L}\p{N}_@./-])@([\p{L}\p{N}_.-]{0,32})$/u;

/**
 * The name that is being written where the caret is; null where none is. Not inside of code, where @ names nobody.
 * @returns {?{ from: number, query: string }} `from`: where the @ stands
 */
export function nameAt(text, caret) {
  const before = text.slice(0, caret);
  const found = before.match(NAME);
  if (!found || inCode(before)) return null;
  return { from: caret - found[1].length - 1, query: found[1] };
}

function inCode(before) {
  if ((before.match(/^```/gm)?.length ?? 0) % 2) return true;
  const line = before.slice(before.lastIndexOf("\n") + 1);
  return (line.match(/`/g)?.length ?? 0) % 2 === 1;
}

/**
 * Who is meant by the first letters of a user name or of any part of a display name, best first.
 * @param {import("./store.js").User[]} users
 */
export function peopleFor(users, query, limit = OFFERED) {
  const wanted = query.toLocaleLowerCase();
  const rank = (user) => {
    const username = user.username.toLocaleLowerCase();
    const name = (user.display_name || "").toLocaleLowerCase();
    if (username === wanted) return 0;
    if (username.startsWith(wanted) || name.startsWith(wanted)) return 1;
    if (name.split(/\s+/).some((part) => part.startsWith(wanted))) return 2;
    return username.includes(wanted) || name.includes(wanted) ? 3 : Infinity;
  };
  return users
    .map((user) => ({ user, rank: rank(user) }))
    .filter((entry) => entry.rank < Infinity)
    .sort((a, b) => a.rank - b.rank || nameOf(a.user).localeCompare(nameOf(b.user)))
    .slice(0, limit)
    .map(({ user }) => user);
}

/** Groups that a name may also mean. */
export function groupsFor(query) {
  return ["channel", "here"].filter((name) => name.startsWith(query.toLocaleLowerCase()));
}

/** @returns {{ text: string, caret: number }} the text with the name in it */
export function insertName(text, caret, from, name) {
  const after = text.slice(caret).replace(/^ /, "");
  const before = `${text.slice(0, from)}@${name} `;
  return { text: before + after, caret: before.length };
}

let lists = 0;

/** The list above a field. The field is a combobox while the list is there. */
export class Completion {
  #field;
  #people;
  #groups;
  #onNeeded;
  #list;
  #choices = [];
  #at = 0;
  /** The arrows were used: names that still come must not change what is chosen. */
  #moved = false;
  #from = 0;
  /** A name is being written, also while nobody is known who it could be. */
  #sought = false;
  /** Closed by Escape for the name that begins here. */
  #dismissed = -1;

  /**
   * @param {{ field: HTMLTextAreaElement, people: () => import("./store.js").User[], groups: () => boolean,
   *   onNeeded: () => void }} options  `onNeeded`: names are looked for
   */
  constructor({ field, people, groups, onNeeded }) {
    this.#field = field;
    this.#people = people;
    this.#groups = groups;
    this.#onNeeded = onNeeded;
    const id = `names-${++lists}`;
    this.#list = element("ul.names", { id, role: "listbox", "aria-label": gettext("People"), hidden: true });
    field.before(this.#list);
    field.setAttribute("aria-autocomplete", "list");
    for (const name of ["input", "click"]) field.addEventListener(name, () => this.look());
    field.addEventListener("blur", () => this.close());
    // A press would take the focus from the field, and the list away, before the click.
    this.#list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.#list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.#choose([...this.#list.children].indexOf(row));
    });
  }

  get open() {
    return !this.#list.hidden;
  }

  /** Names may have come. */
  again() {
    if (this.#sought) this.look();
  }

  /** Look what is offered for what is written now. */
  look() {
    const { value, selectionStart, selectionEnd } = this.#field;
    const found = selectionStart === selectionEnd && this.#focused ? nameAt(value, selectionStart) : null;
    if (found?.from !== this.#dismissed) this.#dismissed = -1;
    if (!found || this.#dismissed !== -1) return this.close();
    this.#sought = true;
    this.#onNeeded();
    const people = peopleFor(this.#people(), found.query);
    const groups = this.#groups() ? groupsFor(found.query) : [];
    const same = this.#moved && found.from === this.#from;
    const before = same ? this.#choices[this.#at]?.name : undefined;
    this.#moved = same;
    const named = [...people.map((user) => ({ name: user.username, user })), ...groups.map((name) => ({ name }))];
    this.#choices = named.slice(0, OFFERED);
    if (this.#choices.length === 0) return this.#hide();
    this.#at = Math.max(0, this.#choices.findIndex(({ name }) => name === before));
    this.#from = found.from;
    this.#show();
  }

  /** Whether the key was meant for the list. @param {KeyboardEvent} event */
  key(event) {
    if (!this.open) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      this.#at = (this.#at + step + this.#choices.length) % this.#choices.length;
      this.#moved = true;
    } else if (event.key === "Escape") this.#dismissed = this.#from;
    else if (event.key !== "Enter" && event.key !== "Tab") return false;
    event.preventDefault();
    event.stopPropagation();
    if (step) this.#show();
    else if (event.key === "Escape") this.close();
    else this.#choose(this.#at);
    return true;
  }

  close() {
    this.#sought = false;
    this.#hide();
  }

  #hide() {
    if (!this.open) return;
    this.#list.hidden = true;
    this.#moved = false;
    this.#choices = [];
    for (const name of ["role", "aria-expanded", "aria-controls", "aria-activedescendant"]) this.#field.removeAttribute(name);
  }

  get #focused() {
    return document.activeElement === this.#field;
  }

  #choose(at) {
    const { value, selectionStart } = this.#field;
    const { text, caret } = insertName(value, selectionStart, this.#from, this.#choices[at].name);
    this.#field.value = text;
    this.#field.setSelectionRange(caret, caret);
    this.close();
    this.#field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #show() {
    const rows = this.#choices.map(({ name, user }, at) => ({
      key: name,
      sign: `${at} ${at === this.#at} ${user ? nameOf(user) : ""}`,
      make: () => this.#row(name, user, at),
    }));
    this.#list.hidden = false;
    reconcile(this.#list, rows);
    this.#field.setAttribute("role", "combobox");
    this.#field.setAttribute("aria-expanded", "true");
    this.#field.setAttribute("aria-controls", this.#list.id);
    this.#field.setAttribute("aria-activedescendant", `${this.#list.id}-${this.#at}`);
    this.#list.children[this.#at].scrollIntoView({ block: "nearest" });
  }

  #row(name, user, at) {
    const group = name === "here" ? gettext("Everybody who is here now") : gettext("Everybody in this channel");
    const about = user ? nameOf(user) : group;
    return element(
      "li.name",
      { role: "option", id: `${this.#list.id}-${at}`, "aria-selected": String(at === this.#at) },
      user ? avatar(user) : element("span.avatar", { "aria-hidden": "true" }, "@"),
      element("bdi.name-shown", {}, about),
      element("span.name-user", {}, `@${name}`),
    );
  }
}
