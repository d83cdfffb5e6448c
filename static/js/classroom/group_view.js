/** One group as it happens: its nodes, their variables, its events. */

import { MeshsiteClient } from "../../clients/meshsite.js";
import { api, sentence } from "../api.js";
import { element, setText, timeOf } from "../elements.js";
import { gettext, interpolate, ngettext } from "../i18n.js";
import { createCoalescer } from "./coalescing.js";
import { endings, titleOf } from "./group_list.js";
import { createLogTable } from "./log_table.js";
import { labelOf } from "./names.js";
import { createNodeCards } from "./node_cards.js";
import { Room } from "./room.js";
import { createLog } from "./timing.js";

const REFRESH_MS = 15_000;
const TICK_MS = 500;
const AGAIN_MS = 3_000;

const at = (id) => document.getElementById(id);

/** @param {{ onEnd: () => void }} page */
export function createGroupView({ onEnd }) {
  const cards = createNodeCards(at("nodes"));
  const table = createLogTable(at("log"));
  const log = createLog();
  const changes = createCoalescer({ apply: draw });
  /** @type {?Room} */ let room = null;
  /** @type {?MeshsiteClient} */ let client = null;
  let chosen = null;
  let ahead_ms = 0;
  let held = false;
  let timers = [];
  let spoken = "";

  const now_ms = () => Date.now() + ahead_ms;

  async function open(group) {
    close();
    chosen = group;
    at("group-empty").hidden = true;
    at("group-body").hidden = false;
    setText(at("group-title"), titleOf(group));
    sign("connecting");
    await look(group);
  }

  /** All of it, then what follows. */
  async function look(group) {
    let seen;
    try {
      seen = await api("classroom.group", { domain: group.domain, group_id: group.id });
    } catch (error) {
      if (chosen !== group) return;
      sign("failed", sentence(error));
      if (error.status !== 404) timers.push(setTimeout(() => chosen === group && look(group), AGAIN_MS));
      return;
    }
    if (chosen !== group) return;
    unfollow();
    ahead_ms = Date.parse(seen.server_time) - Date.now();
    room = new Room(seen);
    log.clear();
    table.clear();
    cards.clear();
    log.add(seen.events);
    changes.put("order");
    changes.put("log");
    if (room.ended) return ended();
    listen(group, seen);
    timers.forEach(clearTimeout);
    timers = [setInterval(() => cards.tick(now_ms()), TICK_MS), setInterval(() => refresh(group), REFRESH_MS)];
  }

  function listen(group, { epoch, seq }) {
    const followed = { group_id: group.id, domain: group.domain };
    const following = (client = new MeshsiteClient({ position: { epoch, seq }, group: followed }));
    following.on("state", ({ state, transport, code, error }) => {
      if (following !== client) return;
      if (state === "refused" && (code === 4404 || room?.ended)) return refresh(group);
      sign(transport === "poll" ? "poll" : state, "", code ?? error?.code);
    });
    following.on("event", ({ event, data }) => following === client && hear(event, data));
    following.on("resync", () => following === client && look(group));
    following.connect();
  }

  function hear(event, data) {
    if (event === "mesh.events_fired") {
      log.add(data.events.map((one) => ({ ...one, node_id: data.node_id })));
      changes.put("log");
    }
    const count = room.nodes.size;
    for (const id of room.apply(event, data)) changes.put(id);
    if (room.nodes.size !== count || event === "mesh.node_joined" || event === "mesh.node_left") changes.put("order");
    if (event !== "mesh.group_dissolved") return;
    ended();
    // Why it ended only a look tells.
    refresh(chosen);
  }

  /** Leases end without a word; a look tells who is there yet, and how long ago they were heard of. */
  async function refresh(group) {
    try {
      const seen = await api("classroom.group", { domain: group.domain, group_id: group.id });
      if (chosen !== group || !room) return;
      ahead_ms = Date.parse(seen.server_time) - Date.now();
      room.refresh(seen);
      changes.put("order");
      if (room.ended) ended();
    } catch {
      // The sign tells when the connection is lost; the next look is soon.
    }
  }

  function ended() {
    sign("over");
    timers.forEach(clearTimeout);
    timers = [];
    unfollow();
    changes.put("order");
    onEnd();
  }

  function draw(changed) {
    if (!room) return;
    if (changed.has("order")) {
      const nodes = room.list;
      cards.arrange(nodes);
      cards.tick(now_ms());
      at("nodes-note").hidden = nodes.length > 0;
      const nobody = room.ended ? gettext("What its nodes told is not kept.") : gettext("Nobody has joined yet.");
      setText(at("nodes-note"), nobody);
      setText(at("nodes-count"), String(room.joined));
      facts();
      speak();
    } else {
      for (const id of changed.keys()) {
        const node = room.nodes.get(id);
        if (node) cards.update(node);
      }
    }
    if (changed.has("log") && !held) table.show(log.events);
    at("log-note").hidden = log.events.length > 0;
    at("log-frame").hidden = log.events.length === 0;
  }

  function facts() {
    const { group } = room;
    setText(at("group-title"), titleOf(group));
    at("stop").hidden = room.ended !== null;
    at("host-note").hidden = room.ended !== null || !group.mine;
    const rows = [
      [gettext("Mode"), group.use_websocket ? gettext("WebSocket") : gettext("Polling")],
      room.ended ? [gettext("End"), endings()[room.ended]] : [gettext("Ends at"), timeOf(group.expires_at)],
      [gettext("Domain"), group.domain],
      labelOf(group.name) ? [gettext("Id"), element("code", {}, group.name.slice(0, 6))] : null,
      group.mine && !room.ended ? [gettext("Host"), gettext("this page")] : null,
    ].filter(Boolean);
    const sign = rows.map(([name, value]) => name + (value.textContent ?? value)).join();
    if (at("group-facts").dataset.sign === sign) return;
    at("group-facts").dataset.sign = sign;
    at("group-facts").replaceChildren(
      ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
    );
  }

  /** Who listens hears how many there are, and not each value. */
  function speak() {
    const text = interpolate(ngettext("%(count)s node", "%(count)s nodes", room.joined), { count: room.joined });
    if (text === spoken) return;
    spoken = text;
    setText(at("announcer"), text);
  }

  function sign(state, text = "", code = null) {
    const texts = {
      idle: "",
      connecting: gettext("Connecting"),
      live: gettext("Live"),
      poll: gettext("Live, over long-poll"),
      reconnecting: gettext("Reconnecting"),
      offline: gettext("Offline"),
      refused: gettext("Stopped"),
      failed: gettext("Failed"),
      over: gettext("Over"),
    };
    at("connection").dataset.state = state === "poll" ? "live" : state;
    setText(at("connection-text"), texts[state] ?? "");
    const told = {
      reconnecting: gettext("The connection was lost. What happened meanwhile comes when it is back."),
      offline: gettext("You are offline."),
      refused: code === 4401 ? gettext("You are signed out.") : gettext("The server refused this page. Reload it."),
    };
    const shown = text || told[state] || "";
    setText(at("banner-text"), shown);
    if (!shown && at("banner").contains(document.activeElement)) at("group").focus({ preventScroll: true });
    at("banner").hidden = !shown;
    at("banner").dataset.state = state;
    at("banner-link").hidden = !(state === "refused" && code === 4401);
    at("banner-button").hidden = state !== "reconnecting" && state !== "failed";
  }

  /** First forgotten, so that nobody hears that it closed. */
  function unfollow() {
    const following = client;
    client = null;
    following?.close();
  }

  function close() {
    unfollow();
    timers.forEach(clearTimeout);
    timers = [];
    room = null;
    chosen = null;
    held = false;
    at("log-hold").setAttribute("aria-pressed", "false");
    changes.forget();
    log.clear();
    table.clear();
    cards.clear();
    delete at("group-facts").dataset.sign;
    at("group-facts").replaceChildren();
    setText(at("group-title"), gettext("Choose a group"));
    at("group-body").hidden = true;
    at("group-empty").hidden = false;
    sign("idle");
  }

  at("banner-button").addEventListener("click", () => (client ? client.wake() : chosen && look(chosen)));
  at("log-hold").addEventListener("click", () => {
    held = !held;
    at("log-hold").setAttribute("aria-pressed", String(held));
    changes.put("log");
  });

  return {
    open,
    close,
    refresh: () => chosen && refresh(chosen),
    /** Offer to sign in again, or not any more. A group that is open says it by itself. */
    signedOut: (is) => chosen || sign(is ? "refused" : "idle", "", is ? 4401 : null),
    get chosen() {
      return chosen;
    },
  };
}
