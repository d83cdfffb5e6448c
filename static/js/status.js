/** What a person says about themself, from the menu of the account: a text and an emoji for a while, and being away. */

import { setText } from "./elements.js";
import { attempt, onSubmit, openDialog, tell } from "./forms.js";
import { gettext } from "./i18n.js";
import { applyPresence } from "./store.js";

const CHARACTERS = 100;

const byId = (id) => document.getElementById(id);

export class StatusEditor {
  #store;
  #client;
  #away;
  #menu = byId("account-menu");
  #dialog = /** @type {HTMLDialogElement} */ (byId("status-dialog"));
  #text = /** @type {HTMLInputElement} */ (byId("status-text"));
  #emoji = /** @type {HTMLInputElement} */ (byId("status-emoji"));
  #choices = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("#status-choices button")]);

  constructor({ store, client, away }) {
    this.#store = store;
    this.#client = client;
    this.#away = away;
    const clear = byId("clear-status");
    this.#menu.addEventListener("beforetoggle", () => this.#showMenu());
    byId("edit-status").addEventListener("click", () => this.#open());
    byId("set-away").addEventListener("click", () => this.#toggleAway());
    clear.addEventListener("click", () => attempt(this.#dialog, clear, () => this.#save({})));
    for (const choice of this.#choices) choice.addEventListener("click", () => this.#choose(choice));
    for (const field of [this.#text, this.#emoji]) field.addEventListener("input", () => this.#show());
    onSubmit("status", (fields) => this.#save(fields));
  }

  get #own() {
    return this.#store.state.presence[this.#store.state.me?.id] ?? {};
  }

  get #set() {
    return Boolean(this.#own.status_text || this.#own.status_emoji);
  }

  #showMenu() {
    tell(this.#menu, "");
    setText(byId("edit-status-text"), this.#set ? gettext("Change your status") : gettext("Set a status"));
    setText(byId("set-away-text"), this.#away.declared ? gettext("Set yourself active") : gettext("Set yourself away"));
  }

  #toggleAway() {
    const button = byId("set-away");
    attempt(this.#menu, button, async () => {
      await this.#away.declare(!this.#away.declared);
      this.#menu.hidePopover();
      byId("account").focus();
    });
  }

  #open() {
    this.#menu.hidePopover();
    openDialog("status-dialog");
    this.#text.value = this.#own.status_text ?? "";
    this.#emoji.value = this.#own.status_emoji ?? "";
    this.#text.select();
    byId("clear-status").hidden = !this.#set;
    this.#show();
  }

  /** An emoji brings what it stands for along, unless something else is written. */
  #choose({ value, title }) {
    const written = this.#text.value.trim();
    if (!written || this.#choices.some((choice) => choice.title === written)) this.#text.value = title;
    this.#emoji.value = value;
    this.#show();
  }

  #show() {
    // The server counts characters, not UTF-16 halves.
    const left = CHARACTERS - [...this.#text.value.trim()].length;
    const count = byId("status-count");
    setText(count, String(left));
    count.classList.toggle("over", left < 0);
    byId("save-status").disabled = left < 0;
    for (const choice of this.#choices) choice.ariaPressed = String(choice.value === this.#emoji.value.trim());
  }

  async #save({ status_text = "", status_emoji = "", until = "" }) {
    const { presence } = await this.#client.call("presence.set_status_text", {
      status_text: status_text.trim(),
      status_emoji: status_emoji.trim(),
      expires_in: until === "today" ? secondsUntilMidnight() : Number(until) || null,
    });
    this.#store.update((state) => applyPresence(state, presence));
    this.#dialog.close();
  }
}

/** Where the person is. */
function secondsUntilMidnight() {
  const now = Date.now();
  return Math.ceil((new Date(now).setHours(24, 0, 0, 0) - now) / 1_000);
}
