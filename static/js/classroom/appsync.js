/**
 * The classroom's protocol as its shipped clients speak it: GraphQL over HTTP, subscriptions in AppSync's dialect of
 * `graphql-ws`. docs/mesh-v2.md describes both.
 */

const AGAIN_MS = 500;
const AGAIN_LAST_MS = 10_000;

/** What a field, or a socket, was refused with. `kind` is AppSync's errorType. */
export class Refusal extends Error {
  constructor({ errorType = "", message = "" }, status = 200) {
    super(message);
    this.kind = errorType;
    this.status = status;
  }

  get over() {
    return this.unwelcome || ["GroupNotFound", "NodeNotFound", "Unauthorized"].includes(this.kind);
  }

  /** The key lets nobody in, or not any more. */
  get unwelcome() {
    return this.status === 401 || this.kind === "UnauthorizedException";
  }
}

/** @param {{ key: () => string, url?: string }} options */
export function createAppSync({ key, url = `${location.origin}/graphql` }) {
  /**
   * Ask; the data. Rejects with a Refusal, or with what fetch rejects with.
   * @param {string} query  @param {object} [variables]  @param {{ keepalive?: boolean }} [options] to outlive the page
   */
  async function ask(query, variables = {}, { keepalive = false } = {}) {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "x-api-key": key() },
      body: JSON.stringify({ query, variables }),
      credentials: "omit",
      keepalive,
      signal: AbortSignal.timeout(15_000),
    });
    const body = await response.json();
    if (body.errors?.length) throw new Refusal(body.errors[0], response.status);
    return body.data;
  }

  /**
   * Subscribe, and again whenever the socket is lost.
   * @param {string} query
   * @param {object} variables
   * @param {{ onData: (data: any) => void, onState: (state: "connecting" | "live" | "reconnecting" | "refused", why?: Refusal) => void }} listener
   * @returns {() => void} ends it
   */
  function subscribe(query, variables, { onData, onState }) {
    let socket;
    let over = false;
    let tries = 0;
    let timer;
    let patience;

    function open() {
      const authorization = { host: location.host, "x-api-key": key() };
      const address = new URL(`${url}/realtime`);
      address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
      address.search = `header=${base64(authorization)}&payload=${base64({})}`;
      const opened = (socket = new WebSocket(address.href, "graphql-ws"));
      const send = (frame) => opened.send(JSON.stringify(frame));
      opened.onopen = () => send({ type: "connection_init" });
      opened.onclose = () => again();
      opened.onmessage = ({ data }) => {
        if (opened !== socket || over) return;
        const frame = JSON.parse(data);
        clearTimeout(patience);
        if (frame.type === "connection_ack") {
          const timeout_ms = frame.payload?.connectionTimeoutMs ?? 300_000;
          opened.onsilence = () => (patience = setTimeout(() => opened.close(), timeout_ms));
          const extensions = { authorization };
          send({ type: "start", id: "1", payload: { data: JSON.stringify({ query, variables }), extensions } });
        }
        if (frame.type === "start_ack") {
          tries = 0;
          onState("live");
        }
        if (frame.type === "data" && frame.payload?.data) onData(frame.payload.data);
        if (frame.type === "error" || frame.type === "connection_error") {
          end();
          return onState("refused", new Refusal(frame.payload?.errors?.[0] ?? {}));
        }
        opened.onsilence?.();
      };
    }

    function again() {
      clearTimeout(patience);
      if (over) return;
      onState("reconnecting");
      timer = setTimeout(open, Math.min(AGAIN_LAST_MS, AGAIN_MS * 2 ** tries++) * (0.5 + Math.random()));
    }

    function end() {
      over = true;
      clearTimeout(timer);
      clearTimeout(patience);
      socket?.close();
    }

    onState("connecting");
    open();
    return end;
  }

  return { ask, subscribe };
}

/** Base64 of the JSON's UTF-8, percent-encoded: a + in a query would arrive as a space. */
function base64(value) {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return encodeURIComponent(btoa(String.fromCharCode(...bytes)));
}
