/** The other side of the client: a clock, sockets and a site that do what a test says. */

/** A clock with timers that run only when a test lets time pass. */
export class Clock {
  time = 1_000;
  timers = new Map();
  next = 1;
  setTimeout = (run, ms) => {
    this.timers.set(this.next, { at: this.time + ms, run });
    return this.next++;
  };
  clearTimeout = (timer) => this.timers.delete(timer);
  now = () => this.time;

  pass(ms) {
    const until = this.time + ms;
    for (;;) {
      const due = [...this.timers].filter(([, { at }]) => at <= until).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.time = due[1].at;
      due[1].run();
    }
    this.time = until;
  }
}

/** A transport whose other side is the test. */
export class Network {
  connections = [];
  open = (query, listener) => {
    const connection = {
      query: Object.fromEntries(query()),
      sent: [],
      closed: null,
      send: (frame) => connection.sent.push(frame),
      close: (code = 1000) => (connection.closed ??= code),
      frames: (...frames) => frames.forEach((frame) => listener.onFrame(frame)),
      end: (code) => listener.onEnd(code),
      pause() {},
      resume() {},
      refresh() {},
    };
    this.connections.push(connection);
    return connection;
  };
  get last() {
    return this.connections.at(-1);
  }
}

export const HELLO = { type: "hello", v: 1, session: "s_1", user_id: 7, epoch: "e_1", seq: 10, mode: "fresh", reason: null, missed: null, replayed: 0, ping_seconds: 25 };
export const event = (seq, data = {}) => ({ type: "event", seq, event: "message.created", data });

/** The HTTP side of a server whose answers the test gives. */
export class Site {
  /** Polls, in the order in which they were asked. */
  polls = [];
  calls = [];
  fetch = (address, { signal, headers, body }) => {
    const { pathname, searchParams } = new URL(address);
    return new Promise((resolve, reject) => {
      const json = (status, answer, more) => resolve(Response.json(answer, { status, headers: more }));
      const request = {
        method: pathname.split("/").at(-1),
        query: Object.fromEntries(searchParams),
        headers,
        body: body && JSON.parse(body),
        signal,
        answer: (frames, seq, epoch = "e_1") => json(200, { frames, epoch, seq }),
        refuse: (status, problem = {}, more = {}) => json(status, problem, more),
        respond: resolve,
        fail: () => reject(new TypeError("fetch failed")),
      };
      signal?.addEventListener("abort", () => request.deaf || reject(signal.reason));
      (pathname === "/poll/user/me" ? this.polls : this.calls).push(request);
    });
  };
  get last() {
    return this.polls.at(-1);
  }
}

/** Until everything that is ready has been handled. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** What `localStorage` is to a page. */
export class MemoryStorage {
  items = new Map();
  get length() {
    return this.items.size;
  }
  key = (at) => [...this.items.keys()][at] ?? null;
  getItem = (key) => this.items.get(key) ?? null;
  setItem = (key, text) => void this.items.set(key, String(text));
  removeItem = (key) => void this.items.delete(key);
}
