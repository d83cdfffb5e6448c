/** Writes messages: at once on the screen, then to the server, again by itself when the connection was the trouble. */

import { sentence } from "./api.js";
import { setText } from "./elements.js";
import { gettext, interpolate } from "./i18n.js";
import { applyMessage, applyPending, channelName, patchPending, removePending } from "./store.js";

const DRAFTS = "meshsite.drafts";
const COUNT_FROM = 200;

export class Composer {
  #store;
  #client;
  #navigation;
  #timeline;
  #typing;
  #form = /** @type {HTMLFormElement} */ (document.getElementById("composer"));
  #field = /** @type {HTMLTextAreaElement} */ (document.getElementById("composer-body"));
  #button = /** @type {HTMLButtonElement} */ (document.getElementById("composer-send"));
  #count = document.getElementById("composer-count");
  /** @type {?number} */ #channel_id = null;
  /** One after the other, so that messages arrive in the order in which they were written. */
  #queue = Promise.resolve();

  constructor({ store, client, navigation, timeline, typing }) {
    this.#store = store;
    this.#client = client;
    this.#navigation = navigation;
    this.#timeline = timeline;
    this.#typing = typing;
    timeline.onRetry = (client_msg_id) => this.#send(client_msg_id);
    timeline.onDiscard = (client_msg_id) => store.update((state) => removePending(state, client_msg_id));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#write();
    });
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#field.addEventListener("input", () => {
      this.#changed();
      if (this.#field.value.trim()) this.#typing.typed(this.#channel_id);
      else this.#typing.stopped();
    });
    client.on("state", ({ state }) => state === "live" && this.#sendWaiting());
  }

  draw() {
    const channel = this.#store.state.channels[this.#navigation.channel_id];
    this.#form.hidden = Boolean(this.#store.state.me) && !channel;
    if ((channel?.id ?? null) === this.#channel_id) return;
    this.#typing.stopped();
    this.#channel_id = channel?.id ?? null;
    this.#field.disabled = !channel;
    if (!channel) return;
    const name = channel.kind === "direct" ? channelName(this.#store.state, channel) : `#${channel.name}`;
    this.#field.placeholder = interpolate(gettext("Message %(name)s"), { name });
    this.#field.value = drafts()[channel.id] ?? "";
    this.#changed();
    // Where there is no keyboard, focus would push one up over the conversation.
    if (!matchMedia("(hover: hover)").matches || document.querySelector("dialog[open]")) return;
    this.#field.focus({ preventScroll: true });
  }

  #key(event) {
    // Enter that ends a Japanese conversion chooses a word, and sends nothing. 229: Safari reports it after the end.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#write();
    } else if (event.key === "ArrowUp" && this.#field.value === "" && this.#timeline.editLast()) {
      event.preventDefault();
    }
  }

  #changed() {
    const { value } = this.#field;
    const all = drafts();
    if (value) all[this.#channel_id] = value;
    else delete all[this.#channel_id];
    sessionStorage.setItem(DRAFTS, JSON.stringify(all));
    this.#field.style.height = "auto";
    this.#field.style.height = `${this.#field.scrollHeight}px`;
    const limit = this.#store.state.limits.message_characters ?? Infinity;
    // The server counts characters, not UTF-16 halves.
    const left = limit - [...value].length;
    this.#button.disabled = value.trim() === "" || left < 0;
    setText(this.#count, left < COUNT_FROM ? String(left) : "");
    this.#count.classList.toggle("over", left < 0);
  }

  #write() {
    if (this.#button.disabled) return;
    const pending = {
      client_msg_id: randomId(),
      channel_id: this.#channel_id,
      body: this.#field.value.trim(),
      created_at: new Date().toISOString(),
      status: "sending",
      error: "",
    };
    this.#field.value = "";
    this.#changed();
    this.#typing.sent();
    this.#timeline.atEnd = true;
    this.#store.update((state) => applyPending(state, pending));
    this.#send(pending.client_msg_id);
  }

  #send(client_msg_id) {
    this.#store.update((state) => patchPending(state, client_msg_id, { status: "sending", error: "" }));
    this.#queue = this.#queue.then(() => this.#deliver(client_msg_id));
  }

  async #deliver(client_msg_id) {
    const pending = this.#store.state.pending[client_msg_id];
    if (!pending) return;
    const { channel_id, body } = pending;
    try {
      const { message } = await this.#client.call("message.send", { channel_id, body, client_msg_id });
      this.#store.update((state) => applyMessage(state, message));
    } catch (error) {
      const patch = error.lost ? { status: "waiting", error: "" } : { status: "failed", error: sentence(error) };
      this.#store.update((state) => patchPending(state, client_msg_id, patch));
    }
  }

  /** The same key again: the server answers with the first message when it had arrived after all. */
  #sendWaiting() {
    for (const { client_msg_id, status } of Object.values(this.#store.state.pending)) {
      if (status === "waiting") this.#send(client_msg_id);
    }
  }
}

function drafts() {
  try {
    return JSON.parse(sessionStorage.getItem(DRAFTS) ?? "{}");
  } catch {
    return {};
  }
}

/** `crypto.randomUUID` is there on https and localhost only, and a server in the next room has neither. */
function randomId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
