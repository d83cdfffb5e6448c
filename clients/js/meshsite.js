/**
 * The Meshsite client: one module without dependencies, for pages and for programs.
 *
 *     const client = new MeshsiteClient({ url: "https://chat.example.org", token: "..." });
 *     client.on("event", ({ event, data }) => console.log(event, data));
 *     client.connect();
 *     await client.call("message.send", { channel_id: 1, body: "Hello" });
 *
 * The client holds a position (epoch, seq) in the stream of its user. It delivers each event once and in order: what it
 * has seen is dropped, and a hole in `seq` makes it come back with its position. When the server cannot replay what was
 * missed, `resync` is emitted and the caller reads `client.boot` again.
 *
 * @typedef {{ epoch: string, seq: number }} Position
 * @typedef {{ type: string, [field: string]: any }} Frame  docs/protocol.md lists the types and their fields
 * @typedef {"connecting" | "live" | "reconnecting" | "offline" | "refused"} State
 * @typedef {{ state: State, code?: number, error?: Frame, retry_in_ms?: number }} StateChange
 * @typedef {{ reason: string, missed: ?{ from: number, to: number } }} Resync
 *
 * A transport is one attempt to follow the stream. `open` begins it; from then on it reports frames, and its end once.
 * @typedef {{ onFrame: (frame: Frame) => void, onEnd: (code: number) => void }} Listener
 * @typedef {{ send: (frame: Frame) => void, close: (code?: number) => void }} Connection
 * @typedef {{ open: (query: URLSearchParams, listener: Listener) => Connection }} Transport
 */

/** Close codes after which coming back would only be refused again. All others come back. */
export const STAY_AWAY = new Set([4400, 4401, 4403, 4404, 4409]);

const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_LAST_MS = 30_000;
const HELLO_MS = 5_000;
const PROBE_MS = 5_000;
const CALL_MS = 20_000;
// A connection that lived this long was a good one: the next attempt starts from the first backoff step.
const STEADY_MS = 10_000;
// The reasons for which this side closes, in the range that RFC 6455 section 7.4.2 leaves to applications.
const CLOSE_SILENT = 4900;
const CLOSE_HOLE = 4901;

/** What the server refused, or the reason why it could not be asked. `code` is stable; docs/protocol.md lists them. */
export class MeshsiteError extends Error {
  /** @param {{ code: string, detail?: string, status?: number, retry_after?: number, errors?: object }} problem */
  constructor({ code, detail, status = 0, retry_after, errors }) {
    super(detail || code);
    this.name = "MeshsiteError";
    this.code = code;
    this.detail = detail || code;
    this.status = status;
    this.retry_after = retry_after;
    this.errors = errors;
  }

  /** True when the call may have been lost on its way: asking again with the same key is safe and may succeed. */
  get lost() {
    return this.code === "unreachable" || this.code === "timeout" || this.status >= 502;
  }
}

/**
 * A function that makes calls over HTTP.
 * @param {{ url?: string, fetch?: typeof globalThis.fetch, token?: ?string, csrfToken?: ?() => string }} options
 * @returns {(method: string, params?: object) => Promise<any>}
 */
export function createHttp({ url = "", fetch = globalThis.fetch.bind(globalThis), token = null, csrfToken = null } = {}) {
  const base = url.replace(/\/$/, "");
  return async function post(method, params = {}) {
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (csrfToken) headers["X-CSRFToken"] = csrfToken();
    let response;
    try {
      response = await fetch(`${base}/api/${method}`, {
        method: "POST",
        headers,
        body: JSON.stringify(params),
        credentials: token ? "omit" : "same-origin",
      });
    } catch (error) {
      throw new MeshsiteError({ code: "unreachable", detail: String(error?.message ?? error) });
    }
    const body = await response.json().catch(() => null);
    if (response.ok && body) return body;
    throw new MeshsiteError({
      code: body?.code ?? (response.ok ? "bad_answer" : `http_${response.status}`),
      detail: body?.detail ?? body?.title ?? "",
      status: response.status,
      retry_after: body?.retry_after,
      errors: body?.errors,
    });
  };
}

/**
 * @param {string} url of the site
 * @param {typeof globalThis.WebSocket} WebSocket
 * @returns {Transport}
 */
export function socketTransport(url, WebSocket) {
  return {
    open(query, { onFrame, onEnd }) {
      const address = new URL("/ws/user/me", url);
      address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
      address.search = query.toString();
      const socket = new WebSocket(address.href);
      let over = false;
      const end = (code) => {
        if (over) return;
        over = true;
        onEnd(code);
      };
      socket.onmessage = ({ data }) => {
        const parsed = JSON.parse(data);
        for (const frame of Array.isArray(parsed) ? parsed : [parsed]) {
          if (over) return;
          onFrame(frame);
        }
      };
      socket.onclose = ({ code }) => end(code);
      return {
        send: (frame) => socket.send(JSON.stringify(frame)),
        // A dead peer never answers the closing handshake: the end is reported at once, not when the browser gives up.
        close: (code = 1000) => {
          socket.close(code);
          end(code);
        },
      };
    },
  };
}

export class MeshsiteClient {
  /** @type {State} */ #state = "offline";
  /** @type {?Connection} */ #connection = null;
  /** @type {?Position} */ #position = null;
  /** @type {?string} */ #session = null;
  /** @type {?Frame} */ #hello = null;
  /** @type {?Frame} */ #lastError = null;
  /** @type {Map<string, { resolve: Function, reject: Function, timer: any }>} */ #calls = new Map();
  /** @type {Map<string, Set<Function>>} */ #listeners = new Map();
  /** @type {Record<string, any>} */ #timers = {};
  #wanted = false;
  #attempt = 0;
  #generation = 0;
  #refs = 0;
  #heardAt = 0;
  #liveSince = 0;

  /**
   * @param {object} [options]
   * @param {string} [options.url] of the site; the page's own by default
   * @param {?string} [options.token] bearer token, for programs; a page uses its cookie
   * @param {?() => string} [options.csrfToken] for calls over HTTP with a cookie
   * @param {?string} [options.session] of an earlier connection, to take its lease over
   * @param {?Position} [options.position] from `client.boot`: everything after it is delivered
   * @param {typeof globalThis.WebSocket} [options.WebSocket]
   * @param {typeof globalThis.fetch} [options.fetch]
   * @param {Transport} [options.transport]
   * @param {(run: () => void, ms: number) => any} [options.setTimeout]
   * @param {(timer: any) => void} [options.clearTimeout]
   * @param {() => number} [options.random] from 0 to 1
   * @param {() => number} [options.now] milliseconds of a clock that never goes back
   * @param {() => boolean} [options.online] what the machine knows about its network
   */
  constructor({
    url = globalThis.location?.origin ?? "http://127.0.0.1:8000",
    token = null,
    csrfToken = null,
    session = null,
    position = null,
    WebSocket = globalThis.WebSocket,
    fetch = globalThis.fetch?.bind(globalThis),
    transport = socketTransport(url, WebSocket),
    setTimeout = (run, ms) => globalThis.setTimeout(run, ms),
    clearTimeout = (timer) => globalThis.clearTimeout(timer),
    random = Math.random,
    now = () => performance.now(),
    online = () => globalThis.navigator?.onLine !== false,
  } = {}) {
    this.#session = session;
    this.#position = position;
    this.#transport = transport;
    this.#token = token;
    this.#setTimeout = setTimeout;
    this.#clearTimeout = clearTimeout;
    this.#random = random;
    this.#now = now;
    this.#online = online;
    this.http = createHttp({ url, fetch, token, csrfToken });
  }

  #transport;
  #token;
  #setTimeout;
  #clearTimeout;
  #random;
  #now;
  #online;

  get state() {
    return this.#state;
  }

  get session() {
    return this.#session;
  }

  /** @returns {?Position} a copy: only the stream moves it */
  get position() {
    return this.#position && { ...this.#position };
  }

  /**
   * Listen to `state`, `hello`, `event`, `ephemeral`, `resync` or `error`. Returns the function that stops listening.
   * @param {string} name
   * @param {(detail: any) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Follow the stream from now on, until `close` or a refusal. After a refusal this tries again. */
  connect() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = 0;
    this.#open();
  }

  /** Stop. With `bye` the lease ends now (an explicit sign-out); without it the user stays online until it runs out. */
  close({ bye = false } = {}) {
    this.#wanted = false;
    if (bye && this.#hello) this.#send({ type: "bye" });
    this.#drop(1000);
    this.#become("offline");
  }

  /** The network is back, or the page is looked at again: come back now, or find out whether the socket still lives. */
  wake() {
    if (!this.#wanted) return;
    if (this.#state === "live") this.#probe();
    else if (this.#timers.retry !== undefined || this.#state === "offline") this.#open();
  }

  /**
   * Forget the session and follow anew: for a tab whose place another one took (4409).
   */
  restart() {
    this.#session = null;
    this.#wanted = false;
    this.connect();
  }

  /**
   * Call a method of the API: over the socket while it lives, else over HTTP.
   * Rejects with a MeshsiteError; one that is `lost` may have been carried out.
   * @param {string} method
   * @param {object} [params]
   * @returns {Promise<any>}
   */
  call(method, params = {}) {
    if (!this.#hello) return this.http(method, params);
    const ref = `r${++this.#refs}`;
    return new Promise((resolve, reject) => {
      const timer = this.#setTimeout(() => {
        this.#calls.delete(ref);
        reject(new MeshsiteError({ code: "timeout", detail: `No answer to ${method}` }));
      }, CALL_MS);
      this.#calls.set(ref, { resolve, reject, timer });
      this.#send({ type: "call", ref, method, params });
    });
  }

  async #open() {
    this.#stop("retry");
    const generation = ++this.#generation;
    if (!this.#online()) return this.#become("offline");
    this.#become(this.#attempt === 0 && this.#liveSince === 0 ? "connecting" : "reconnecting");
    this.#lastError = null;
    // Covers the ticket too: a server that accepts and then says nothing must not hold the client for ever.
    this.#start("hello", HELLO_MS, () => this.#lost(generation, CLOSE_SILENT));
    const query = new URLSearchParams();
    if (this.#session) query.set("session", this.#session);
    if (this.#position) {
      query.set("epoch", this.#position.epoch);
      query.set("resume_from", String(this.#position.seq));
    }
    try {
      if (this.#token) query.set("ticket", (await this.http("realtime.ticket")).ticket);
      if (generation !== this.#generation) return;
      this.#connection = this.#transport.open(query, {
        onFrame: (frame) => generation === this.#generation && this.#receive(frame),
        onEnd: (code) => this.#lost(generation, code),
      });
    } catch (error) {
      this.#lost(generation, error?.status === 401 ? 4401 : 1006);
    }
  }

  /** @param {Frame} frame */
  #receive(frame) {
    this.#heardAt = this.#now();
    switch (frame.type) {
      case "hello":
        return this.#welcome(frame);
      case "event":
        return this.#hello && this.#advance(frame);
      case "ephemeral":
        return this.#emit("ephemeral", frame);
      case "ping":
        return this.#send({ type: "pong", seq: this.#position?.seq ?? 0 });
      case "reply":
      case "error":
        return this.#answer(frame);
    }
    // Frame types that are added later mean nothing to this version.
  }

  /** @param {Frame} hello */
  #welcome(hello) {
    this.#stop("hello");
    const before = this.#position;
    this.#hello = hello;
    this.#session = hello.session;
    this.#liveSince = this.#now();
    this.#watch();
    const whole =
      hello.mode === "resumed" ||
      !before ||
      (hello.mode === "fresh" && before.epoch === hello.epoch && before.seq === hello.seq);
    // After `resumed` the missed events follow, and move the position themselves.
    if (hello.mode !== "resumed" || !before) this.#position = { epoch: hello.epoch, seq: hello.seq };
    this.#become("live");
    this.#emit("hello", hello);
    if (!whole) this.#emit("resync", { reason: hello.reason ?? hello.mode, missed: hello.missed ?? null });
  }

  /** @param {Frame} frame */
  #advance(frame) {
    const position = /** @type {Position} */ (this.#position);
    if (frame.seq <= position.seq) return;
    if (frame.seq > position.seq + 1) return this.#lost(this.#generation, CLOSE_HOLE);
    position.seq = frame.seq;
    // Something of a channel that this user may no longer read: it only keeps the numbers whole.
    if (frame.event === "redacted") return;
    if (frame.event === "sync.reset") return this.#emit("resync", { reason: "sync.reset", missed: null });
    this.#emit("event", frame);
  }

  /** @param {Frame} frame */
  #answer(frame) {
    const call = frame.ref && this.#calls.get(frame.ref);
    if (!call) {
      if (frame.type === "error") {
        this.#lastError = frame;
        this.#emit("error", frame);
      }
      return;
    }
    this.#calls.delete(frame.ref);
    this.#clearTimeout(call.timer);
    if (frame.type === "reply" && frame.ok !== false) call.resolve(frame.data);
    else call.reject(new MeshsiteError({ code: "error", ...frame, ...frame.error }));
  }

  /** The connection of this generation is over, by whichever side. */
  #lost(generation, code) {
    if (generation !== this.#generation) return;
    if (this.#hello && this.#now() - this.#liveSince >= STEADY_MS) this.#attempt = 0;
    const error = this.#lastError ?? undefined;
    this.#drop(code);
    if (!this.#wanted) return;
    if (STAY_AWAY.has(code)) {
      this.#wanted = false;
      return this.#become("refused", { code, error });
    }
    if (!this.#online()) return this.#become("offline", { code });
    const ceiling_ms = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** this.#attempt++);
    const retry_in_ms = Math.max(this.#random() * ceiling_ms, (error?.retry_after ?? 0) * 1_000);
    this.#start("retry", retry_in_ms, () => this.#open());
    this.#become("reconnecting", { code, error, retry_in_ms });
  }

  /** End what there is. The generation moves first, so that late frames and closes of the old connection do nothing. */
  #drop(code) {
    this.#generation++;
    for (const name of Object.keys(this.#timers)) this.#stop(name);
    const connection = this.#connection;
    this.#connection = null;
    this.#hello = null;
    connection?.close(code >= 4900 ? code : 1000);
    const lost = new MeshsiteError({ code: "unreachable", detail: "The connection was lost" });
    for (const { reject, timer } of this.#calls.values()) {
      this.#clearTimeout(timer);
      reject(lost);
    }
    this.#calls.clear();
  }

  /** The server pings. A socket that brings nothing for a ping and then some is dead, whatever the browser believes. */
  #watch() {
    const ping_ms = (this.#hello?.ping_seconds ?? 25) * 1_000;
    const patience_ms = ping_ms + Math.max(1_000, ping_ms * 0.4);
    const silent_ms = this.#now() - this.#heardAt;
    if (silent_ms >= patience_ms) return this.#lost(this.#generation, CLOSE_SILENT);
    this.#start("watch", patience_ms - silent_ms, () => this.#watch());
  }

  /** Ask for any sign of life. */
  #probe() {
    if (this.#timers.probe !== undefined) return;
    const asked_at = this.#now();
    const generation = this.#generation;
    this.call("user.me").catch(() => {});
    this.#start("probe", PROBE_MS, () => {
      if (this.#heardAt < asked_at) this.#lost(generation, CLOSE_SILENT);
    });
  }

  /** @param {Frame} frame */
  #send(frame) {
    try {
      this.#connection?.send(frame);
    } catch {
      this.#lost(this.#generation, 1006);
    }
  }

  /** @param {State} state */
  #become(state, detail = {}) {
    if (state === this.#state && Object.keys(detail).length === 0) return;
    this.#state = state;
    this.#emit("state", { state, ...detail });
  }

  #emit(name, detail) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        // One listener's mistake is reported where uncaught errors go, and keeps nothing from the others.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #start(name, ms, run) {
    this.#stop(name);
    this.#timers[name] = this.#setTimeout(() => {
      delete this.#timers[name];
      run();
    }, ms);
  }

  #stop(name) {
    if (this.#timers[name] === undefined) return;
    this.#clearTimeout(this.#timers[name]);
    delete this.#timers[name];
  }
}
