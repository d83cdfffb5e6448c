/** Until when a moderator lets somebody only read in a workspace. It ends by itself, and nothing tells of that. */

import { language } from "./i18n.js";

// A timer that is set for longer than 24 days goes off at once.
const LONGEST_MS = 3_600_000;

/**
 * @param {?string} [stamp]
 * @returns {?Date} null where it is over, or never was
 */
export function silencedUntil(stamp, now = Date.now()) {
  const until = stamp ? new Date(stamp) : null;
  return until && until.getTime() > now ? until : null;
}

/** @param {Date} date */
export function momentOf(date) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** Calls back when the next of them ends, or in a while to look again. */
export class SilenceEnd {
  #onEnd;
  /** @type {any} */ #timer;

  /** @param {() => void} onEnd */
  constructor(onEnd) {
    this.#onEnd = onEnd;
  }

  /** @param {Record<number, { silenced_until?: ?string }>} workspaces */
  look(workspaces, now = Date.now()) {
    clearTimeout(this.#timer);
    const ends = Object.values(workspaces).flatMap(({ silenced_until }) => silencedUntil(silenced_until, now) ?? []);
    if (ends.length === 0) return;
    const left_ms = Math.min(...ends.map((until) => until.getTime())) - now;
    this.#timer = setTimeout(this.#onEnd, Math.min(left_ms, LONGEST_MS));
  }
}
