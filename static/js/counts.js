/**
 * Unread messages and mentions of one channel: the server's numbers, brought on by events. The numbers are known to hold
 * everything up to `counted_rev`; what came after it is kept as a list of differences, so that numbers which the server
 * gave a moment ago, and which arrive after newer events, become those of now. Every function takes a channel and gives the
 * next one.
 *
 * @typedef {{ rev: number, message_id: number, unread: number, mention: number, gone?: boolean, named?: boolean,
 *   vague?: boolean }} Difference
 *   `gone`: the message is deleted. `named`: about a mention. `vague`: nobody here knows at which rev it happened, as the
 *   event was replayed with the message of now
 */

const KEPT = 400;

/** A channel as the server gives it, with all that this page notes of it. */
export function counted(channel) {
  return { read_version: 0, ...channel, counted_rev: channel.rev, differences: [], read_id: channel.last_read_id };
}

/** @param {any} message of message.created; ids of a channel rise in the order of its events */
export function countCreated(channel, message, own_id) {
  if (message.id <= channel.latest_message_id) return channel;
  const next = { ...channel, latest_message_id: message.id };
  if (message.rev <= channel.counted_rev) return next;
  const unread = message.author.id !== own_id && !message.deleted ? 1 : 0;
  const vague = changedSince(message);
  const difference = { rev: message.rev, message_id: message.id, unread, mention: 0, gone: message.deleted, vague };
  const noted = note(next, difference);
  // Numbers that were told meanwhile may hold it already.
  return vague && channel.told ? { ...noted, doubtful: true } : noted;
}

/** @param {{ message_id: number, author_id?: number, rev: number }} deletion */
export function countDeleted(channel, { message_id, author_id, rev }, own_id) {
  if (rev <= channel.counted_rev) return channel;
  if (channel.differences.some((other) => other.gone && other.message_id === message_id)) return channel;
  const difference = { rev, message_id, unread: 0, mention: 0, gone: true };
  const unknown = message_id > channel.latest_message_id;
  if (author_id === undefined || unknown) {
    const doubtful = channel.doubtful || (message_id > channel.last_read_id && (!unknown || Boolean(channel.told)));
    return { ...note(channel, { ...difference, vague: doubtful }), doubtful };
  }
  return note(channel, { ...difference, unread: author_id === own_id ? 0 : -1 });
}

/** @param {{ message_id: number, rev: number }} mention  @param {boolean} deleted whether its message is by now */
export function countMention(channel, { message_id, rev }, deleted) {
  const last = lastNaming(channel, message_id);
  if (rev <= channel.counted_rev || (last && last.rev >= rev)) return channel;
  return note(channel, { rev, message_id, unread: 0, mention: deleted ? 0 : 1, named: true, gone: false });
}

/** @param {{ message_id: number, rev: number }} deletion */
export function uncountMention(channel, { message_id, rev }) {
  const last = lastNaming(channel, message_id);
  if (rev <= channel.counted_rev || (last && (last.rev >= rev || last.mention < 1))) return channel;
  return note(channel, { rev, message_id, unread: 0, mention: -1, named: true });
}

/**
 * The server's numbers for a cursor, which hold everything up to `rev`.
 * @param {{ last_read_id: number, version: number, unread_count: number, mention_count: number, rev: number,
 *   latest_message_id?: number }} told
 */
export function tell(channel, { last_read_id, version, unread_count, mention_count, rev, latest_message_id = 0 }) {
  const later = channel.differences.filter((difference) => difference.rev > rev);
  const after = later.filter(({ message_id }) => message_id > last_read_id);
  const sum = (name) => after.reduce((total, difference) => total + difference[name], 0);
  return {
    ...channel,
    last_read_id,
    read_id: last_read_id,
    read_version: version,
    unread_count: Math.max(0, unread_count + sum("unread")),
    mention_count: Math.max(0, mention_count + sum("mention")),
    latest_message_id: Math.max(latest_message_id, channel.latest_message_id),
    counted_rev: rev,
    differences: later,
    told: true,
    doubtful: later.some(({ vague }) => vague) || rev < (channel.forgotten_rev ?? 0),
    // Who marks something unread wants it to stay so until they come back.
    held: last_read_id < channel.read_id || (channel.held && last_read_id === channel.read_id),
  };
}

/** What this page is about to tell the server, shown at once. */
export function readHere(channel, last_read_id) {
  if (last_read_id <= channel.last_read_id) return channel;
  return { ...channel, last_read_id, unread_count: 0, mention_count: 0 };
}

function note(channel, difference) {
  const all = [...channel.differences, difference];
  const counts = difference.message_id > channel.last_read_id;
  return {
    ...channel,
    unread_count: Math.max(0, channel.unread_count + (counts ? difference.unread : 0)),
    mention_count: Math.max(0, channel.mention_count + (counts ? difference.mention : 0)),
    differences: all.slice(-KEPT),
    forgotten_rev: all.length > KEPT ? all[0].rev : channel.forgotten_rev,
  };
}

function lastNaming(channel, message_id) {
  return channel.differences.findLast((difference) => difference.named && difference.message_id === message_id);
}

/** Whether its rev is another one than it was created with. */
function changedSince({ edited_at, deleted, reply_count, reactions, pinned }) {
  return Boolean(edited_at || deleted || reply_count || reactions?.length || pinned);
}
