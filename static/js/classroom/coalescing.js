/**
 * Changes come as often as they like; the page changes at most once per frame. Of each key only the newest counts, so
 * that what waits while a tab is hidden, where there are no frames, is bounded by the number of keys.
 */

/**
 * @param {{ apply: (changes: Map<string, any>) => void, request?: (run: () => void) => any }} options `apply` gets all
 *   that changed since the last frame, in the order of its first change
 */
export function createCoalescer({ apply, request = (run) => requestAnimationFrame(run) }) {
  let waiting = new Map();
  let asked = false;

  function frame() {
    asked = false;
    const changes = waiting;
    waiting = new Map();
    if (changes.size > 0) apply(changes);
  }

  return {
    put(key, value = true) {
      waiting.set(key, value);
      if (asked) return;
      asked = true;
      request(frame);
    },
    forget() {
      waiting = new Map();
    },
  };
}

/**
 * Hands the newest of each key on, at once and then no more often than every `every_ms`: how a slider is told.
 * @param {{ tell: (values: Map<string, any>) => void, every_ms: number, setTimeout?: Function, clearTimeout?: Function,
 *   now?: () => number }} options
 */
export function createThrottle({
  tell,
  every_ms,
  setTimeout = (run, ms) => globalThis.setTimeout(run, ms),
  clearTimeout = (timer) => globalThis.clearTimeout(timer),
  now = () => performance.now(),
}) {
  let waiting = new Map();
  let told_at = -Infinity;
  let timer;

  function flush() {
    timer = undefined;
    told_at = now();
    const values = waiting;
    waiting = new Map();
    if (values.size > 0) tell(values);
  }

  return {
    put(key, value) {
      waiting.set(key, value);
      timer ??= setTimeout(flush, Math.max(0, told_at + every_ms - now()));
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
      waiting = new Map();
    },
  };
}
