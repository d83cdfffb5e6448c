/** The event log: which events are kept, when each was, and how long after the one before it. */

export const KEPT = 500;

/**
 * @typedef {{ name: string, node_id: string, payload: ?string, timestamp: string, fired_at: string }} LoggedEvent
 *   `timestamp` is on the server's clock and keeps the sender's spacing
 * @typedef {LoggedEvent & { number: number, gap_ms: ?number }} TimedEvent `gap_ms` is null for the first
 */

/** The newest events, each with the time since the one before it, under numbers that stay with them. */
export function createLog(kept = KEPT) {
  /** @type {TimedEvent[]} */
  let events = [];
  let count = 0;
  let last_ms = null;

  return {
    /** @returns {TimedEvent[]} oldest first */
    get events() {
      return events;
    },
    /** @param {LoggedEvent[]} more in the order of the log */
    add(more) {
      for (const event of more) {
        const at_ms = Date.parse(event.timestamp);
        const known = !Number.isNaN(at_ms);
        const gap_ms = known && last_ms !== null ? Math.max(0, at_ms - last_ms) : null;
        if (known) last_ms = at_ms;
        events.push({ ...event, number: count++, gap_ms });
      }
      if (events.length > kept) events = events.slice(-kept);
    },
    clear() {
      events = [];
      last_ms = null;
    },
  };
}

/** A gap as people read it: "+0.133 s", "+2:05". Nothing for the first. */
export function gapText(gap_ms) {
  if (gap_ms === null) return "";
  if (gap_ms < 60_000) return `+${(gap_ms / 1_000).toFixed(3)} s`;
  const seconds = Math.round(gap_ms / 1_000);
  const [hours, minutes, rest] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  const padded = String(rest).padStart(2, "0");
  return hours ? `+${hours}:${String(minutes).padStart(2, "0")}:${padded}` : `+${minutes}:${padded}`;
}

/** The time of day to the millisecond, where the reader is. */
export function clockText(timestamp) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return "";
  const two = (number) => String(number).padStart(2, "0");
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${milliseconds}`;
}
