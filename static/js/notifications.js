/** Tells of a message in the system's way while its reader looks elsewhere; only where they asked for it. */

import { notifies } from "./attention.js";
import { gettext, interpolate } from "./i18n.js";
import { textOf } from "./message.js";
import { attentive } from "./reading.js";
import { channelName, nameOf, personOf } from "./store.js";

const WANTED = "meshsite.notify.";
// Another tab or device that is looked at reads the message in that time.
const PATIENCE_MS = 1_000;
// What was missed for longer is no news; the numbers in the sidebar tell of it.
const FRESH_MS = 5 * 60_000;

/** @returns {"on" | "off" | "denied" | "impossible"} of this browser, for this person */
export function notificationState(user_id) {
  if (!("Notification" in globalThis) || !globalThis.isSecureContext) return "impossible";
  if (Notification.permission === "denied") return "denied";
  const wanted = localStorage.getItem(WANTED + user_id) !== null;
  return wanted && Notification.permission === "granted" ? "on" : "off";
}

/** Ask the person whether they may be told; the browser asks, and only when they wanted it to. */
export async function switchNotifications(user_id, on) {
  if (!on) localStorage.removeItem(WANTED + user_id);
  else if ((await Notification.requestPermission()) === "granted") localStorage.setItem(WANTED + user_id, "1");
  return notificationState(user_id);
}

export class Notifications {
  #store;
  #navigation;
  #wait;
  /** Messages that are told of, or soon will be: a mention comes with the message that it is in. @type {Set<number>} */
  #told = new Set();

  constructor({ store, client, navigation, wait = (act) => setTimeout(act, PATIENCE_MS) }) {
    this.#store = store;
    this.#navigation = navigation;
    this.#wait = wait;
    client.on("event", ({ event, data }) => {
      if (event === "message.created") this.#heard(data.message, { mention: false });
      if (event === "mention.created") this.#heard(data.message, { mention: true });
    });
  }

  #heard(message, what) {
    const { me, channels } = this.#store.state;
    if (!me || message.author.id === me.id || message.deleted || this.#told.has(message.id)) return;
    if (Date.now() - Date.parse(message.created_at) > FRESH_MS) return;
    if (!notifies(channels[message.channel_id], what) || notificationState(me.id) !== "on") return;
    this.#told.add(message.id);
    this.#wait(() => this.#tell(message));
  }

  #tell(message) {
    this.#told.delete(message.id);
    const { state } = this.#store;
    const channel = state.channels[message.channel_id];
    if (!channel || channel.last_read_id >= message.id) return;
    if (attentive() && this.#navigation.channel_id === channel.id) return;
    const author = nameOf(personOf(state, message.author));
    const where =
      channel.kind === "direct"
        ? author
        : interpolate(gettext("%(name)s in #%(channel)s"), { name: author, channel: channelName(state, channel) });
    try {
      const shown = new Notification(where, {
        body: textOf(message.html).slice(0, 200),
        tag: `message-${message.id}`,
        icon: message.author.avatar_url ?? undefined,
      });
      shown.addEventListener("click", () => {
        globalThis.focus();
        this.#navigation.openMessage(channel.id, message.id);
        shown.close();
      });
    } catch {
      // Phones allow it to service workers only.
    }
  }
}
