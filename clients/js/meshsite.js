/**
 * The Meshsite client: one module without dependencies, for pages and for programs. README.md shows how to use it.
 *
 *     const client = new MeshsiteClient({ url: "https://chat.example.org", token: "..." });
 *     client.on("event", ({ event, data }) => console.log(event, data));
 *     client.connect();
 *     await client.call("message.send", { channel_id: 1, body: "Hello" });
 *
 * The client holds a position (epoch, seq) in the stream of its user. It delivers each event once and in order: what it
 * has seen is dropped, and a hole in `seq` makes it come back with its position. When the server cannot replay what was
 * missed, or when more changed than events tell, `resync` is emitted and the caller reads `client.boot` again.
 *
 * It tries a socket first. Where none says hello within 5 s it polls, and tries the socket again every 60 s; the position
 * is the same on both, so nothing is lost or repeated on the way from one to the other.
 *
 * With `group` it follows a group of classrooms instead, with an API `key` or as whoever the token is of:
 *
 *     const group = { group_id: "...", domain: "school", node_id: "n2" };   // of mesh.create_group and mesh.join
 *     const client = new MeshsiteClient({ url: "https://chat.example.org", key: "...", group });
 *
 * @typedef {{ epoch: string, seq: number }} Position
 * @typedef {{ group_id: string, domain: string, node_id?: string, host_id?: string }} Group  as which node it is followed,
 *   or that it is the host who does: they need no heartbeats then
 * @typedef {{ type: string, [field: string]: any }} Frame  docs/protocol.md lists the types and their fields
 * @typedef {"connecting" | "live" | "reconnecting" | "offline" | "refused"} State
 * @typedef {"websocket" | "poll"} TransportName
 * @typedef {{ state: State, transport?: TransportName, code?: number, error?: Frame, retry_in_ms?: number }} StateChange
 *   `transport` says which one is live
 * @typedef {{ reason: string, missed: ?{ from: number, to: number } }} Resync
 *
 * A transport is one attempt to follow the stream. `open` begins it; from then on it reports frames, and its end once.
 * `query` says where the client stands whenever it is asked.
 * @typedef {{ onFrame: (frame: Frame) => void, onEnd: (code: number) => void }} Listener
 * @typedef {{ send: (frame: Frame) => void, close: (code?: number) => void, pause: () => void, resume: () => void,
 *   refresh: () => void }} Connection
 * @typedef {{ open: (query: () => URLSearchParams, listener: Listener) => Connection }} Transport
 * @typedef {{ transport: TransportName, connection: ?Connection }} Link
 *
 * @typedef {{ setTimeout: (run: () => void, ms: number) => any, clearTimeout: (timer: any) => void, now: () => number }} Clock
 */

/** Close codes after which coming back would only be refused again. All others come back. */
export const STAY_AWAY = new Set([4400, 4401, 4403, 4404, 4409]);
// What the server itself says. Any other end before the hello means that something on the way blocks sockets.
const COME_BACK = new Set([1001, 1011, 1012, 1013, 4408]);
/** How the long-poll tells the close codes of STAY_AWAY. */
const REFUSALS = { 400: 4400, 401: 4401, 403: 4403, 404: 4404, 409: 4409 };

const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_LAST_MS = 30_000;
const HELLO_MS = 5_000;
const PROBE_MS = 5_000;
const CALL_MS = 20_000;
// While it polls, how often it tries whether a socket gets through by now; and how soon after the page was woken up.
const SOCKET_AGAIN_MS = 60_000;
const SOCKET_SOON_MS = 1_000;
// Proxies cut a silent request at 30 or 60 s.
const POLL_SECONDS = 25;
const POLL_PATIENCE_SECONDS = 10;
// An empty answer that comes sooner than asked for is not the server's, or the server is ill: it must not be hammered.
const POLL_PAUSE_MS = 1_000;
// A connection that lived this long was a good one: the next attempt starts from the first backoff step.
const STEADY_MS = 10_000;
// How long an attempt that was given up may still reach a slow server, and take the session over there.
const GHOST_MS = 60_000;
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
 * @param {{ url?: string, fetch?: typeof globalThis.fetch, token?: ?string, key?: ?string,
 *   csrfToken?: ?() => string }} options
 * @returns {(method: string, params?: object, options?: { keepalive?: boolean }) => Promise<any>} `keepalive`: also when
 *   the page goes away meanwhile
 */
export function createHttp({
  url = "",
  fetch = globalThis.fetch.bind(globalThis),
  token = null,
  key = null,
  csrfToken = null,
} = {}) {
  const base = url.replace(/\/$/, "");
  return async function post(method, params = {}, { keepalive = false } = {}) {
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    Object.assign(headers, credentialsOf({ token, key }));
    if (csrfToken) headers["X-CSRFToken"] = csrfToken();
    let response, body;
    try {
      response = await fetch(`${base}/api/${method}`, {
        method: "POST",
        headers,
        body: JSON.stringify(params),
        credentials: token || key ? "omit" : "same-origin",
        keepalive,
        signal: AbortSignal.timeout(CALL_MS),
      });
      body = await jsonOf(response);
    } catch (error) {
      const { name, message } = /** @type {Error} */ (error);
      throw new MeshsiteError({ code: name === "TimeoutError" ? "timeout" : "unreachable", detail: message });
    }
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

/** The headers that say who calls, where it is not a cookie. */
function credentialsOf({ token, key }) {
  if (token) return { Authorization: `Bearer ${token}` };
  return key ? { "X-API-Key": key } : {};
}

/**
 * Where a stream is below `/ws/` and `/poll/`.
 * @param {?Group} group
 */
function pathOf(group) {
  return group ? `mesh/${encodeURIComponent(group.group_id)}` : "user/me";
}

/** The body of an answer; null when it is not JSON. Rejects when the answer was cut off. */
async function jsonOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const nothing = () => {};

/**
 * @param {string} url of the site
 * @param {typeof globalThis.WebSocket} WebSocket
 * @param {{ key?: ?string, group?: ?Group }} [options]
 * @returns {Transport}
 */
export function socketTransport(url, WebSocket, { key = null, group = null } = {}) {
  return {
    open(query, { onFrame, onEnd }) {
      const address = new URL(`/ws/${pathOf(group)}`, url);
      address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
      const asked = query();
      // A browser sets no headers on a socket.
      if (key) asked.set("key", key);
      address.search = asked.toString();
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
        pause: nothing,
        resume: nothing,
        refresh: nothing,
      };
    },
  };
}

/**
 * @param {string} url of the site
 * @param {Clock & { fetch: typeof globalThis.fetch, token?: ?string, key?: ?string, group?: ?Group }} options
 * @returns {Transport}
 */
export function pollTransport(url, options) {
  const address = new URL(`/poll/${pathOf(options.group ?? null)}`, url);
  return { open: (query, listener) => new Polling(address, query, listener, options) };
}

/** One request after the other. Only the newest counts: what others bring is late, and the newest brings it too. */
class Polling {
  /** @type {?AbortController} */ #request = null;
  /** @type {any} */ #timer;
  #greeted = false;
  #paused = false;
  #over = false;

  /**
   * @param {URL} address
   * @param {() => URLSearchParams} query
   * @param {Listener} listener
   * @param {Clock & { fetch: typeof globalThis.fetch, token?: ?string, key?: ?string }} options
   */
  constructor(address, query, listener, { fetch, token = null, key = null, setTimeout, clearTimeout, now }) {
    this.#address = address;
    this.#query = query;
    this.#listener = listener;
    this.#fetch = (address, options) => fetch(address, options);
    this.#credentials = credentialsOf({ token, key });
    this.#setTimeout = setTimeout;
    this.#clearTimeout = clearTimeout;
    this.#now = now;
    // The first request only asks, so that it is known at once whether polling works.
    this.#ask(0);
  }

  #address;
  #query;
  #listener;
  #fetch;
  #credentials;
  #setTimeout;
  #clearTimeout;
  #now;

  /** A poll only listens. */
  send() {}

  /** Ask nothing further until `resume`: a socket is being tried, which will take the session over. */
  pause() {
    this.#paused = true;
  }

  resume() {
    this.#paused = false;
    if (!this.#request && !this.#over) this.#ask(0);
  }

  /** The network changed and what is on its way may never come: ask anew, and be answered at once. */
  refresh() {
    if (!this.#paused && !this.#over) this.#ask(0);
  }

  close() {
    this.#over = true;
    this.#forget();
  }

  #forget() {
    this.#clearTimeout(this.#timer);
    const request = this.#request;
    this.#request = null;
    request?.abort();
  }

  async #ask(wait_seconds) {
    this.#forget();
    const request = (this.#request = new AbortController());
    const asked_at = this.#now();
    this.#timer = this.#setTimeout(() => this.#end(CLOSE_SILENT), (wait_seconds + POLL_PATIENCE_SECONDS) * 1_000);
    let response, body;
    try {
      response = await this.#get(wait_seconds, request.signal);
      body = await jsonOf(response);
    } catch {
      response = null;
    }
    if (request !== this.#request) return;
    if (!response?.ok || !Array.isArray(body?.frames)) return this.#refused(response, body);
    this.#clearTimeout(this.#timer);
    this.#hand(request, body);
    if (request !== this.#request) return;
    this.#request = null;
    const early = wait_seconds > 0 && body.frames.length === 0 && this.#now() - asked_at < POLL_PAUSE_MS;
    if (early) this.#timer = this.#setTimeout(() => this.#next(), POLL_PAUSE_MS);
    else this.#next();
  }

  #next() {
    if (!this.#paused) this.#ask(POLL_SECONDS);
  }

  #get(wait_seconds, signal) {
    const query = this.#query();
    const since = query.get("resume_from");
    query.delete("resume_from");
    if (since !== null) query.set("since", since);
    query.set("wait", String(wait_seconds));
    return this.#fetch(`${this.#address}?${query}`, {
      headers: { Accept: "application/json", ...this.#credentials },
      credentials: Object.keys(this.#credentials).length > 0 ? "omit" : "same-origin",
      cache: "no-store",
      signal,
    });
  }

  /** Hand the frames on, unless a listener closes this meanwhile. */
  #hand(request, { frames, epoch, seq }) {
    // To a session that lives the server says no hello; for the client it begins here nevertheless.
    const greeting = { type: "hello", epoch, seq, mode: this.#query().has("resume_from") ? "resumed" : "fresh" };
    const all = this.#greeted || frames[0]?.type === "hello" ? frames : [greeting, ...frames];
    this.#greeted = true;
    for (const frame of all) {
      if (request === this.#request) this.#listener.onFrame(frame);
    }
  }

  #refused(response, body) {
    const { status = 0, headers } = response ?? {};
    // The socket that is being tried took over: its hello is on its way, or it is given up and `resume` called.
    if (this.#paused && status === 409 && body?.code === "replaced") return this.#forget();
    const retry_after = body?.retry_after ?? (Number(headers?.get("Retry-After")) || undefined);
    if (status) this.#listener.onFrame({ type: "error", ref: null, code: body?.code ?? `http_${status}`, status, retry_after });
    // Without a code it is the answer of something on the way, which may think better of it.
    const code = body?.code && REFUSALS[status];
    this.#end(code || (status === 429 || status >= 500 ? 1013 : 1006));
  }

  #end(code) {
    if (this.#over) return;
    this.close();
    this.#listener.onEnd(code);
  }
}

export class MeshsiteClient {
  /** @type {State} */ #state = "offline";
  /** @type {?Link} what is followed */ #link = null;
  /** @type {?Link} a socket that is tried while the link polls */ #trial = null;
  /** @type {?Position} */ #position = null;
  /** @type {?string} */ #session = null;
  /** @type {?Frame} of the link */ #hello = null;
  /** @type {?Frame} */ #lastError = null;
  /** @type {Map<string, { resolve: Function, reject: Function, timer: any }>} */ #calls = new Map();
  /** @type {Map<string, Set<Function>>} */ #listeners = new Map();
  /** @type {Record<string, any>} */ #timers = {};
  #wanted = false;
  #attempt = 0;
  #refs = 0;
  #heardAt = 0;
  #liveSince = 0;
  /** Until then sockets are believed to be blocked. */ #blockedUntil = 0;
  #ghostUntil = 0;

  /**
   * @param {object} [options]
   * @param {string} [options.url] of the site; the page's own by default
   * @param {?string} [options.token] bearer token, for programs; a page uses its cookie
   * @param {?string} [options.key] API key of classrooms
   * @param {?Group} [options.group] to follow instead of the user's own stream
   * @param {?() => string} [options.csrfToken] for calls over HTTP with a cookie
   * @param {"auto" | TransportName} [options.transport] "auto" tries the socket and falls back to polling
   * @param {?string} [options.session] of an earlier connection, to take its lease over
   * @param {?Position} [options.position] from `client.boot`: everything after it is delivered
   * @param {typeof globalThis.WebSocket} [options.WebSocket] where there is none, "auto" polls
   * @param {typeof globalThis.fetch} [options.fetch]
   * @param {(run: () => void, ms: number) => any} [options.setTimeout]
   * @param {(timer: any) => void} [options.clearTimeout]
   * @param {() => number} [options.random] from 0 to 1
   * @param {() => number} [options.now] milliseconds of a clock that never goes back
   * @param {() => boolean} [options.online] what the machine knows about its network
   * @param {Record<TransportName, Transport>} [options.transports]
   */
  constructor({
    url = globalThis.location?.origin ?? "http://127.0.0.1:8000",
    token = null,
    key = null,
    group = null,
    csrfToken = null,
    transport = "auto",
    session = null,
    position = null,
    WebSocket = globalThis.WebSocket,
    fetch = globalThis.fetch?.bind(globalThis),
    setTimeout = (run, ms) => globalThis.setTimeout(run, ms),
    clearTimeout = (timer) => globalThis.clearTimeout(timer),
    random = Math.random,
    now = () => performance.now(),
    online = () => globalThis.navigator?.onLine !== false,
    transports = {
      websocket: socketTransport(url, WebSocket, { key, group }),
      poll: pollTransport(url, { fetch, token, key, group, setTimeout, clearTimeout, now }),
    },
  } = {}) {
    this.#session = session;
    this.#position = position && { ...position };
    this.#choice = transport;
    this.#transports = transports;
    this.#token = token;
    this.#group = group;
    this.#setTimeout = setTimeout;
    this.#clearTimeout = clearTimeout;
    this.#random = random;
    this.#now = now;
    this.#online = online;
    this.http = createHttp({ url, fetch, token, key, csrfToken });
  }

  #choice;
  #transports;
  #token;
  #group;
  #setTimeout;
  #clearTimeout;
  #random;
  #now;
  #online;

  get state() {
    return this.#state;
  }

  /** @returns {?TransportName} the one that is live */
  get transport() {
    return this.#hello && this.#link ? this.#link.transport : null;
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

  /**
   * Stop. With `bye` the session's lease ends now (an explicit sign-out), or the node leaves its group; without it the
   * user stays online, or the node in its group, until that runs out.
   */
  close({ bye = false } = {}) {
    this.#wanted = false;
    if (bye && this.transport === "websocket") this.#send({ type: "bye" });
    // Nobody waits for it: without it the lease runs out.
    else if (bye) this.#leave()?.catch(() => {});
    this.#drop(1000);
    this.#become("offline");
  }

  #leave() {
    const { group_id, domain, node_id } = this.#group ?? {};
    if (this.#group) return node_id && this.http("mesh.leave", { group_id, domain, node_id }, { keepalive: true });
    return this.#session && this.http("presence.leave", { session: this.#session }, { keepalive: true });
  }

  /** The network is back, or the page is looked at again: come back now, or find out whether the connection lives. */
  wake() {
    if (!this.#wanted) return;
    if (this.transport === "websocket") this.#probe();
    else if (this.transport === "poll") this.#wakePoll();
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
    if (this.transport !== "websocket") return this.http(method, params);
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

  #open() {
    this.#stop("retry");
    if (!this.#online()) return this.#become("offline");
    this.#become(this.#attempt === 0 && this.#liveSince === 0 ? "connecting" : "reconnecting");
    this.#lastError = null;
    const blocked = this.#choice === "auto" && this.#now() < this.#blockedUntil;
    /** @type {Link} */
    const link = { transport: this.#choice === "poll" || blocked ? "poll" : "websocket", connection: null };
    this.#link = link;
    // Covers the ticket too: a server that accepts and then says nothing must not hold the client for ever.
    if (link.transport === "websocket") this.#start("hello", HELLO_MS, () => this.#lost(link, CLOSE_SILENT));
    this.#follow(link);
  }

  /** @param {Link} link */
  async #follow(link) {
    try {
      const socket = link.transport === "websocket";
      const ticket = socket && this.#token ? (await this.http("realtime.ticket")).ticket : null;
      if (link !== this.#link && link !== this.#trial) return;
      link.connection = this.#transports[link.transport].open(() => this.#query(ticket), {
        onFrame: (frame) => this.#receive(link, frame),
        onEnd: (code) => this.#lost(link, code),
      });
    } catch (error) {
      const refused = error instanceof MeshsiteError ? error : null;
      if (refused?.status && link === this.#link) this.#lastError = { type: "error", code: refused.code, retry_after: refused.retry_after };
      this.#lost(link, refused?.status === 401 ? 4401 : 1006);
    }
  }

  /** Where it stands: what a transport asks the server for. */
  #query(ticket) {
    const query = new URLSearchParams();
    for (const name of ["domain", "node_id", "host_id"]) {
      if (this.#group?.[name] !== undefined) query.set(name, this.#group[name]);
    }
    if (this.#session) query.set("session", this.#session);
    if (this.#position) {
      query.set("epoch", this.#position.epoch);
      query.set("resume_from", String(this.#position.seq));
    }
    if (ticket) query.set("ticket", ticket);
    return query;
  }

  /**
   * @param {Link} link
   * @param {Frame} frame
   */
  #receive(link, frame) {
    if (link === this.#trial && frame.type === "hello") this.#changeOver(link);
    if (link !== this.#link) return;
    this.#heardAt = this.#now();
    switch (frame.type) {
      case "hello":
        return this.#welcome(link, frame);
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

  /**
   * @param {Link} link
   * @param {Frame} hello
   */
  #welcome(link, hello) {
    const before = this.#position;
    this.#hello = hello;
    this.#session = hello.session ?? this.#session;
    this.#liveSince = this.#now();
    if (link.transport === "websocket") {
      this.#stop("hello");
      this.#watch();
    } else if (this.#choice === "auto") this.#trySocketIn(Math.max(SOCKET_SOON_MS, this.#blockedUntil - this.#now()));
    const whole =
      hello.mode === "resumed" ||
      !before ||
      (hello.mode === "fresh" && before.epoch === hello.epoch && before.seq === hello.seq);
    // After `resumed` the missed events follow, and move the position themselves.
    if (hello.mode !== "resumed" || !before) this.#position = { epoch: hello.epoch, seq: hello.seq };
    this.#become("live", { transport: link.transport });
    this.#emit("hello", hello);
    if (!whole) this.#emit("resync", { reason: hello.reason ?? hello.mode, missed: hello.missed ?? null });
  }

  /** @param {Frame} frame */
  #advance(frame) {
    const position = /** @type {Position} */ (this.#position);
    if (frame.seq <= position.seq) return;
    if (frame.seq > position.seq + 1) return this.#lost(this.#link, CLOSE_HOLE);
    position.seq = frame.seq;
    // Something of a channel that this user may no longer read: it only keeps the numbers whole.
    if (frame.event === "redacted") return;
    if (frame.event === "sync.reset") return this.#emit("resync", { reason: frame.data?.reason ?? "sync.reset", missed: null });
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

  #trySocketIn(ms) {
    this.#start("socket", ms, () => this.#trySocket());
  }

  /**
   * See whether a socket gets through by now, with the same session and from the same position. The poll that is on its
   * way stays until the hello is here: in a network that swallows sockets nothing waits for them.
   */
  #trySocket() {
    if (this.#trial || this.transport !== "poll") return;
    /** @type {Link} */
    const trial = { transport: "websocket", connection: null };
    this.#trial = trial;
    // A further request would take the session back from the socket.
    this.#link?.connection?.pause();
    this.#start("hello", HELLO_MS, () => this.#lost(trial, CLOSE_SILENT));
    this.#follow(trial);
  }

  /**
   * The socket says hello. What the poll may still answer is dropped, or it would be delivered twice; the socket begins at
   * a position that is not after that of the poll, so it brings the same.
   * @param {Link} trial
   */
  #changeOver(trial) {
    const polling = this.#link;
    this.#link = trial;
    this.#trial = null;
    this.#stop("socket");
    this.#giveUp(polling);
    this.#blockedUntil = 0;
    this.#lastError = null;
  }

  #endTrial() {
    const trial = this.#trial;
    this.#trial = null;
    this.#stop("hello");
    this.#giveUp(trial);
    this.#blockedUntil = this.#now() + SOCKET_AGAIN_MS;
    this.#trySocketIn(SOCKET_AGAIN_MS);
    this.#link?.connection?.resume();
  }

  /**
   * Close what the server may not have seen yet.
   * @param {?Link} link
   */
  #giveUp(link, code = 1000) {
    this.#ghostUntil = this.#now() + GHOST_MS;
    link?.connection?.close(code);
  }

  /**
   * The connection of this link is over, by whichever side.
   * @param {?Link} link
   * @param {number} code
   */
  #lost(link, code) {
    if (!link) return;
    if (link === this.#trial) return this.#endTrial();
    if (link !== this.#link) return;
    const greeted = this.#hello !== null;
    if (greeted && this.#now() - this.#liveSince >= STEADY_MS) this.#attempt = 0;
    const error = this.#lastError ?? undefined;
    const ownDoing = code === 4409 && error?.code === "replaced" && this.#now() < this.#ghostUntil;
    if (ownDoing) this.#ghostUntil = 0;
    this.#drop(code);
    if (!this.#wanted) return;
    // An attempt that was given up was served late, and took the session from its successor. That can happen once.
    if (STAY_AWAY.has(code) && !ownDoing) {
      this.#wanted = false;
      return this.#become("refused", { code, error });
    }
    if (!this.#online()) return this.#become("offline", { code });
    if (this.#choice === "auto" && !greeted) {
      const blocked = link.transport === "websocket" && !COME_BACK.has(code) && !ownDoing;
      // Where polling works no better it is not the socket that is blocked.
      this.#blockedUntil = blocked ? this.#now() + SOCKET_AGAIN_MS : 0;
      if (blocked) return this.#open();
    }
    const ceiling_ms = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** this.#attempt++);
    // On top of what the server asks for: all who were told the same must not come in the same moment.
    const retry_in_ms = (error?.retry_after ?? 0) * 1_000 + this.#random() * ceiling_ms;
    this.#start("retry", retry_in_ms, () => this.#open());
    this.#become("reconnecting", { code, error, retry_in_ms });
  }

  /** End what there is. The link goes first, so that late frames and closes of the old connection do nothing. */
  #drop(code) {
    for (const name of Object.keys(this.#timers)) this.#stop(name);
    const link = this.#link;
    const trial = this.#trial;
    const greeted = this.#hello !== null;
    this.#link = this.#trial = this.#hello = null;
    if (trial) this.#giveUp(trial);
    const closing = code >= 4900 ? code : 1000;
    const unseen = link?.transport === "poll" || !greeted;
    if (unseen && code === closing) this.#giveUp(link, closing);
    else link?.connection?.close(closing);
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
    if (silent_ms >= patience_ms) return this.#lost(this.#link, CLOSE_SILENT);
    this.#start("watch", patience_ms - silent_ms, () => this.#watch());
  }

  /** Ask for any sign of life. */
  #probe() {
    if (this.#timers.probe !== undefined) return;
    const asked_at = this.#now();
    const link = this.#link;
    this.call("user.me").catch(() => {});
    this.#start("probe", PROBE_MS, () => {
      if (this.#heardAt < asked_at) this.#lost(link, CLOSE_SILENT);
    });
  }

  /** Where the page is looked at again the network may be another one, which lets sockets through. */
  #wakePoll() {
    this.#ghostUntil = this.#now() + GHOST_MS;
    this.#link?.connection?.refresh();
    // Not at once: the request that was just sent must not take the session from the socket.
    if (this.#choice === "auto" && !this.#trial) this.#trySocketIn(SOCKET_SOON_MS);
  }

  /** @param {Frame} frame */
  #send(frame) {
    try {
      this.#link?.connection?.send(frame);
    } catch {
      this.#lost(this.#link, 1006);
    }
  }

  /**
   * @param {State} state
   * @param {Omit<StateChange, "state">} [detail]
   */
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
