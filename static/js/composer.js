/** The field in which one writes, in the conversation and in a thread. Sending is the outbox's. */

import { Completion } from "./completion.js";
import { setText } from "./elements.js";
import { gettext, interpolate } from "./i18n.js";
import { momentOf, silencedUntil } from "./silence.js";
import { channelName, peopleToName } from "./store.js";

const COUNT_FROM = 200;

/** @typedef {{ channel_id: number, thread_root_id: ?number }} Target */

export class Composer {
  #store;
  #outbox;
  #keptOf;
  #target;
  #onUp;
  #onWritten;
  #onTyped;
  #yieldsTo;
  #form;
  #field;
  #button;
  #count;
  #note;
  #completion;
  /** @type {?string} where the text belongs: "c5" or "t57" */ #place = null;

  /**
   * @param {{ form: HTMLFormElement, store: any, outbox: import("./outbox.js").Outbox,
   *   keptOf: () => ?import("./kept.js").Kept, target: () => ?Target, onPeople: (channel_id: number) => void,
   *   onUp: () => boolean, onWritten?: () => void, onTyped?: (text: string) => void, yieldsTo?: string }} options
   *   `onUp`: arrow up in the empty field; `onTyped` is told what the field holds; `yieldsTo`: it takes no focus from there
   */
  constructor({
    form,
    store,
    outbox,
    keptOf,
    target,
    onPeople,
    onUp,
    onWritten = () => {},
    onTyped = () => {},
    yieldsTo = ".editor :focus",
  }) {
    this.#store = store;
    this.#outbox = outbox;
    this.#keptOf = keptOf;
    this.#target = target;
    this.#onUp = onUp;
    this.#onWritten = onWritten;
    this.#onTyped = onTyped;
    this.#yieldsTo = yieldsTo;
    this.#form = form;
    this.#field = /** @type {HTMLTextAreaElement} */ (form.querySelector(".composer-body"));
    this.#button = /** @type {HTMLButtonElement} */ (form.querySelector(".send"));
    this.#count = form.querySelector(".composer-count");
    this.#note = form.querySelector(".composer-note");
    this.#completion = new Completion({
      field: this.#field,
      people: () => peopleToName(this.#store.state, this.#channel?.id),
      groups: () => this.#workspace?.role !== "guest",
      onNeeded: () => this.#channel && onPeople(this.#channel.id),
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#write();
    });
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#field.addEventListener("input", () => {
      this.#changed();
      this.#onTyped(this.#field.value.trim());
    });
  }

  draw() {
    const channel = this.#channel;
    const place = channel ? placeOf(this.#target()) : null;
    const closed = Boolean(channel?.archived);
    const silenced = silencedUntil(this.#workspace?.silenced_until);
    const why = closed
      ? gettext("This channel is archived. It can be read, and nothing is written here any more.")
      : silenced
        ? interpolate(gettext("You may only read here until %(moment)s."), { moment: momentOf(silenced) })
        : "";
    this.#form.hidden = Boolean(this.#store.state.me) && !channel;
    this.#form.classList.toggle("closed", closed);
    setText(this.#note, why);
    this.#note.hidden = !why;
    this.#field.disabled = !channel || closed || Boolean(silenced);
    this.#drawButton();
    if (channel) this.#field.placeholder = this.#placeholder(channel);
    this.#completion.again();
    if (place === this.#place) return;
    this.#place = place;
    this.#completion.close();
    if (!channel) return;
    this.#field.value = this.#keptOf()?.draft(place) ?? "";
    this.#changed();
    this.#onTyped("");
    this.focus({ softly: true });
  }

  /** @param {{ softly?: boolean }} how  softly: not where it would push up a keyboard, nor out of a dialog or from a message */
  focus({ softly = false } = {}) {
    const elsewhere = document.querySelector(`dialog[open], :popover-open, ${this.#yieldsTo}`);
    if (softly && (!matchMedia("(hover: hover)").matches || elsewhere)) return;
    this.#field.focus({ preventScroll: true });
  }

  /** Put a text before what is written, and go on behind it. */
  insert(text) {
    this.#field.value = text + this.#field.value;
    this.#field.setSelectionRange(text.length, text.length);
    this.#changed();
    this.focus();
  }

  get #channel() {
    return this.#store.state.channels[this.#target()?.channel_id];
  }

  get #workspace() {
    return this.#store.state.workspaces[this.#channel?.workspace_id];
  }

  #placeholder(channel) {
    if (this.#target().thread_root_id) return gettext("Reply in this thread");
    const name = channel.kind === "direct" ? channelName(this.#store.state, channel) : `#${channel.name}`;
    return interpolate(gettext("Message %(name)s"), { name });
  }

  #key(event) {
    // Enter that ends a Japanese conversion chooses a word, and sends nothing. 229: Safari reports it after the end.
    if (event.isComposing || event.keyCode === 229 || this.#completion.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#write();
    } else if (event.key === "ArrowUp" && this.#field.value === "" && this.#onUp()) {
      event.preventDefault();
    }
  }

  #changed() {
    const { value } = this.#field;
    this.#keptOf()?.keepDraft(this.#place, value);
    this.#field.style.height = "auto";
    this.#field.style.height = `${this.#field.scrollHeight}px`;
    this.#drawButton();
  }

  #drawButton() {
    const { value, disabled } = this.#field;
    const limit = this.#store.state.limits.message_characters ?? Infinity;
    // The server counts characters, not UTF-16 halves.
    const left = limit - [...value].length;
    this.#button.disabled = disabled || value.trim() === "" || left < 0;
    setText(this.#count, left < COUNT_FROM ? String(left) : "");
    this.#count.classList.toggle("over", left < 0);
  }

  #write() {
    if (this.#button.disabled || this.#field.disabled) return;
    const body = this.#field.value.trim();
    this.#field.value = "";
    this.#changed();
    this.#onWritten();
    this.#outbox.write({ .../** @type {Target} */ (this.#target()), body });
  }
}

/** @param {?Target} target */
function placeOf(target) {
  if (!target) return null;
  return target.thread_root_id ? `t${target.thread_root_id}` : `c${target.channel_id}`;
}
