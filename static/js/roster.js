/**
 * The members of a channel or a workspace, page by page, kept true by events. Every function takes a roster and gives the
 * next one.
 *
 * @typedef {{ user: import("./store.js").User, role: string, silenced_until?: ?string }} Entry
 * @typedef {{ entries: Entry[], has_more: boolean, next_after_id: number }} Roster  entries by the id of the user
 * @typedef {{ channel_id?: number, workspace_id?: number }} Place  one of the two
 */

import { folded, rankOf, wordsOf } from "./matching.js";
import { nameOf } from "./store.js";

/** @type {Roster} */
export const EMPTY_ROSTER = Object.freeze({ entries: [], has_more: true, next_after_id: 0 });

/** @param {Roster} roster  @param {Roster} page */
export function addPage(roster, { entries, has_more, next_after_id }) {
  return { entries: entries.reduce(place, roster.entries), has_more, next_after_id };
}

/** @param {Roster} roster  @param {Place} where */
export function applyToRoster(roster, event, data, where) {
  return EVENTS[event]?.(roster, data, where) ?? roster;
}

const EVENTS = {
  "channel.member_joined": (roster, { channel_id, user }, where) =>
    channel_id === where.channel_id ? come(roster, { user, role: "member" }) : roster,
  "channel.member_left": (roster, { channel_id, user_id }, where) =>
    channel_id === where.channel_id ? go(roster, user_id) : roster,
  "workspace.member_joined": (roster, { workspace, user, role }, where) =>
    workspace.id === where.workspace_id ? come(roster, { user, role }) : roster,
  "workspace.member_left": (roster, { workspace_id, user_id }, where) =>
    workspace_id === where.workspace_id ? go(roster, user_id) : roster,
  "workspace.updated": (roster, { workspace, member }, where) =>
    member && workspace.id === where.workspace_id ? change(roster, member.user_id, { role: member.role }) : roster,
  "user.updated": (roster, { user }) => {
    const known = roster.entries.find((entry) => entry.user.id === user.id);
    return known ? change(roster, user.id, { user: { ...known.user, ...user } }) : roster;
  },
};

/** Whoever belongs further down comes with their page. */
function come(roster, entry) {
  if (roster.has_more && entry.user.id > roster.next_after_id) return roster;
  if (roster.entries.some(({ user }) => user.id === entry.user.id)) return roster;
  return { ...roster, entries: place(roster.entries, entry) };
}

function go(roster, user_id) {
  return { ...roster, entries: roster.entries.filter(({ user }) => user.id !== user_id) };
}

/** @param {Roster} roster  @param {Partial<Entry>} patch */
export function change(roster, user_id, patch) {
  return { ...roster, entries: roster.entries.map((entry) => (entry.user.id === user_id ? { ...entry, ...patch } : entry)) };
}

function place(entries, entry) {
  const others = entries.filter(({ user }) => user.id !== entry.user.id);
  const at = others.findIndex(({ user }) => user.id > entry.user.id);
  return at === -1 ? [...others, entry] : [...others.slice(0, at), entry, ...others.slice(at)];
}

/** Those whose names have every word of it, in the order of their names. @param {Entry[]} entries */
export function sifted(entries, query) {
  const words = wordsOf(query);
  return entries
    .filter(({ user }) => rankOf(words, `${nameOf(user)} ${user.username}`) < Infinity)
    .sort((a, b) => folded(nameOf(a.user)).localeCompare(folded(nameOf(b.user))) || a.user.id - b.user.id);
}
