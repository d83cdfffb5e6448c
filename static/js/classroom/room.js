/** What is known of one group: nodes, what they reported, its end. A look at the whole, then what its stream tells. */

/**
 * @typedef {{ value: string, at: string }} Value
 * @typedef {{ id: string, host: boolean, joined: boolean, use_websocket: boolean, joined_at: ?string, seen_at: string,
 *   values: Map<string, Value> }} RoomNode `joined` is false for the host and for who only reported
 */

export class Room {
  /** @type {Map<string, RoomNode>} */ nodes = new Map();
  /** @type {Map<string, string>} who left lately, and when */ #left = new Map();
  group;
  ended = null;

  constructor(look) {
    this.group = look.group;
    this.ended = look.group.ended;
    this.#take(look);
  }

  /** Who is there by now: leases that ran out are told to nobody. What was told since the look stays. */
  refresh(look) {
    this.group = look.group;
    // What was known at the end is shown on, though the server has forgotten it.
    if (look.group.ended) return void (this.ended = look.group.ended);
    const there = new Set([...look.nodes.map(({ id }) => id), ...look.statuses.map(({ node_id }) => node_id)]);
    for (const node of this.nodes.values()) {
      if (!node.host && !there.has(node.id) && node.seen_at < look.server_time) this.nodes.delete(node.id);
    }
    this.#take(look);
    this.#left.clear();
  }

  /**
   * @param {string} name of the event
   * @param {any} data
   * @returns {string[]} ids of the nodes that changed
   */
  apply(name, data) {
    if (this.ended) return [];
    if (name === "mesh.status_reported") {
      const node = this.#node(data.node_id, data.timestamp);
      for (const { key, value } of data.values) this.#set(node, key, value, data.timestamp);
      return [node.id];
    }
    if (name === "mesh.events_fired") return [this.#node(data.node_id, data.timestamp).id];
    if (name === "mesh.node_joined") {
      const node = this.#node(data.node_id, data.timestamp);
      Object.assign(node, { joined: true, joined_at: data.timestamp, use_websocket: data.use_websocket });
      return [node.id];
    }
    if (name === "mesh.node_left") {
      this.#left.set(data.node_id, data.timestamp);
      this.nodes.delete(data.node_id);
      return [data.node_id];
    }
    if (name === "mesh.group_dissolved") this.ended = "host";
    return [];
  }

  /** The host first, then in the order of their coming. @returns {RoomNode[]} */
  get list() {
    return [...this.nodes.values()].sort(
      (one, other) =>
        Number(other.host) - Number(one.host) ||
        Number(other.joined) - Number(one.joined) ||
        compare(one.joined_at ?? "", other.joined_at ?? "") ||
        compare(one.id, other.id),
    );
  }

  get joined() {
    let count = 0;
    for (const node of this.nodes.values()) count += Number(node.joined);
    return count;
  }

  #take(look) {
    for (const { id, use_websocket, joined_at, seen_at } of look.nodes) {
      if ((this.#left.get(id) ?? "") > joined_at) continue;
      const node = this.#node(id, seen_at);
      Object.assign(node, { joined: true, joined_at, use_websocket });
    }
    for (const { node_id, values, timestamp } of look.statuses) {
      if ((this.#left.get(node_id) ?? "") > timestamp) continue;
      const node = this.#node(node_id, timestamp);
      for (const { key, value } of values) this.#set(node, key, value, timestamp);
    }
  }

  #node(id, seen_at) {
    let node = this.nodes.get(id);
    if (!node) {
      const host = id === this.group.host_id;
      const { use_websocket } = this.group;
      node = { id, host, joined: false, use_websocket, joined_at: null, seen_at, values: new Map() };
      this.nodes.set(id, node);
    }
    if (seen_at > node.seen_at) node.seen_at = seen_at;
    return node;
  }

  /** What comes late does not replace what is newer. */
  #set(node, key, value, at) {
    const known = node.values.get(key);
    if (!known || known.at <= at) node.values.set(key, { value, at });
  }
}

function compare(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}
