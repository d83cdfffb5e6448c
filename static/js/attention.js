/** What calls for somebody's attention, and what may wait until they look. */

/**
 * Whether a message is to be told of. What names its reader comes as a mention after the message itself, and is told then.
 * @param {import("./store.js").Channel | undefined} channel
 * @param {{ mention: boolean }} what
 */
export function notifies(channel, { mention }) {
  if (!channel || channel.archived || channel.notify === "nothing") return false;
  if (mention) return true;
  return !channel.muted && channel.notify === "all";
}

/**
 * How many messages are for this person: those that name them, and those of direct channels that are not muted.
 * @param {{ channels: Record<number, import("./store.js").Channel> }} state
 */
export function callsOf({ channels }) {
  return Object.values(channels)
    .filter((channel) => !channel.archived)
    .map(({ kind, muted, unread_count, mention_count }) => (kind === "direct" && !muted ? unread_count : mention_count))
    .reduce((sum, count) => sum + count, 0);
}

/** What stands before the name of the page in the tab: a number of what is for oneself, a dot for the rest. */
export function titleMark(calls, unread) {
  if (calls) return `(${calls})`;
  return unread ? "•" : "";
}
