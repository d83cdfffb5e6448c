/** The example client: a pupil's page with sliders and buttons. */

import { element, setText } from "../elements.js";
import { gettext, interpolate, ngettext } from "../i18n.js";
import { createAppSync, Refusal } from "./appsync.js";
import { createCoalescer } from "./coalescing.js";
import { titleOf } from "./group_list.js";
import { createLogTable } from "./log_table.js";
import { join, LIST, OWN_DOMAIN } from "./membership.js";
import { labelOf, makeId, nameOf } from "./names.js";
import { createLog } from "./timing.js";

const at = (id) => document.getElementById(id);
const appsync = createAppSync({ key: () => at("key").value.trim() });
const log = createLog();
const table = createLogTable(at("log"));
const changes = createCoalescer({ apply: draw });
/** The newest value of each name and who told it, as programs read them. @type {Map<string, { value: string, from: string, at: string }>} */
const heard = new Map();
/** @type {Map<string, HTMLElement>} */ const cells = new Map();
/** @type {any[]} */ let groups = [];
/** @type {?any} */ let member = null;
let me = "";

function sentence(error) {
  if (!(error instanceof Refusal)) return gettext("The server could not be reached.");
  if (error.unwelcome) return gettext("This key does not work here.");
  if (error.kind === "RateLimited") return gettext("That was too fast. Try again in a moment.");
  if (error.kind === "GroupNotFound") return gettext("This group is over.");
  return error.message;
}

function complain(place, error) {
  setText(place, error ? sentence(error) : "");
  place.hidden = !error;
}

async function find() {
  complain(at("join-error"), null);
  try {
    const domain = at("try-domain").value || (await ownDomain());
    const { listGroupsByDomain } = await appsync.ask(LIST, { domain });
    groups = listGroupsByDomain;
    at("try-group").replaceChildren(...groups.map((group) => element("option", { value: group.id }, titleOf(group))));
    const text = ngettext("%(count)s group is here.", "%(count)s groups are here.", groups.length);
    // What the server lists is alive. Editors ask the clock of their computer, and hide what it takes to be over.
    const hidden = groups.some(({ expiresAt }) => Date.parse(expiresAt) <= Date.now());
    const said = groups.length ? interpolate(text, { count: groups.length }) : gettext("No group is here yet.");
    const fast = gettext("The clock of this computer is fast: editors on it take groups for over that are not, and hide them.");
    setText(at("found"), hidden ? `${said} ${fast}` : said);
    at("join").disabled = groups.length === 0;
  } catch (error) {
    setText(at("found"), "");
    complain(at("join-error"), error);
  }
}

async function ownDomain() {
  const { createDomain } = await appsync.ask(OWN_DOMAIN);
  at("try-domain").value = createDomain;
  return createDomain;
}

async function enter() {
  const group = groups.find(({ id }) => id === at("try-group").value);
  if (!group) return;
  me = at("node").value.trim() || makeId();
  complain(at("join-error"), null);
  at("join").disabled = true;
  reset();
  try {
    const useWebSocket = at("join-form").elements.mode.value === "websocket";
    member = await join(appsync, { groupId: group.id, domain: group.domain, nodeId: me, useWebSocket }, listener);
  } catch (error) {
    complain(at("join-error"), error);
    at("join").disabled = false;
    return;
  }
  at("join").disabled = false;
  setText(at("joined-title"), interpolate(gettext("%(me)s in %(group)s"), { me: nameOf(me), group: titleOf(group) }));
  at("joining").hidden = true;
  at("joined").hidden = false;
  at("joined-title").focus();
  for (const input of at("sliders").querySelectorAll("input")) member.tell(input.name, input.value);
}

const listener = {
  onValues(from, data, timestamp) {
    if (from === me) return;
    for (const { key, value } of data) {
      const known = heard.get(key);
      if (known && known.at > timestamp) continue;
      heard.set(key, { value, from, at: timestamp });
      changes.put(`value ${key}`, key);
    }
  },
  onEvents(events) {
    const others = events.filter(({ firedByNodeId }) => firedByNodeId !== me);
    log.add(others.map((event) => ({ ...event, node_id: event.firedByNodeId, fired_at: event.timestamp })));
    changes.put("log", null);
  },
  onState(state) {
    const texts = {
      connecting: gettext("Connecting"),
      live: gettext("Live, over WebSocket"),
      poll: gettext("Polling"),
      reconnecting: gettext("Reconnecting"),
    };
    at("connection").dataset.state = state === "poll" ? "live" : state;
    setText(at("connection-text"), texts[state] ?? state);
  },
  onOver(why) {
    member = null;
    at("connection").dataset.state = "over";
    setText(at("connection-text"), gettext("Over"));
    const revoked = gettext("The key does not work any more. Nothing that you do here reaches anybody any more.");
    const forgotten = gettext("Nothing was heard of you for so long that you are no longer in the group. Go back, and join again.");
    const ended = gettext("The group is over. Nothing that you do here reaches anybody any more.");
    setText(at("over"), why?.unwelcome ? revoked : why?.kind === "NodeNotFound" ? forgotten : ended);
    at("over").hidden = false;
    complain(at("tell-error"), null);
    setText(at("leave"), gettext("Back"));
    // What is disabled loses the focus.
    if (document.activeElement?.closest("#sliders, #fire, #own-event")) at("leave").focus();
    able(false);
  },
  onTrouble(error) {
    complain(at("tell-error"), error);
  },
};

function draw(changed) {
  for (const key of changed.values()) {
    if (key === null) continue;
    const { value, from } = heard.get(key) ?? {};
    if (value === undefined) continue;
    let cell = cells.get(key);
    if (!cell) {
      cell = element("dd", {});
      cells.set(key, cell);
      at("heard-values").append(element("div", {}, element("dt", { title: key }, key), cell));
    }
    cell.textContent = value;
    cell.title = interpolate(gettext("told by %(name)s"), { name: nameOf(from) });
  }
  at("values-note").hidden = heard.size > 0;
  if (changed.has("log")) table.show(log.events);
  at("log-note").hidden = log.events.length > 0;
  at("log-frame").hidden = log.events.length === 0;
}

function reset() {
  heard.clear();
  cells.clear();
  at("heard-values").replaceChildren();
  log.clear();
  table.clear();
  changes.forget();
  changes.put("log", null);
  complain(at("tell-error"), null);
  at("over").hidden = true;
  setText(at("leave"), gettext("Leave"));
  able(true);
}

function able(may) {
  for (const control of at("joined").querySelectorAll("#sliders input, #fire button, #own-event :is(input, button)")) {
    control.disabled = !may;
  }
}

function slider(name, value) {
  // For the eyes: the slider says its value itself, and an output would say it again at each step.
  const output = element("output", { for: `slider-${name}`, "aria-hidden": "true" }, String(value));
  const input = element("input", { type: "range", id: `slider-${name}`, name, min: 0, max: 100, value });
  input.addEventListener("input", () => {
    setText(output, input.value);
    member?.tell(name, input.value);
  });
  return element("div.slider", {}, element("label", { for: `slider-${name}` }, name), input, output);
}

function fire(name) {
  complain(at("tell-error"), null);
  member?.fire(name);
}

at("sliders").append(...[[gettext("speed"), 50], [gettext("brightness"), 20], [gettext("score"), 0]].map(([name, value]) => slider(name, value)));
at("fire").append(
  ...[gettext("start"), gettext("stop"), gettext("hello")].map((name) =>
    element("button.button", { type: "button", on: { click: () => fire(name) } }, name),
  ),
);

at("find-form").addEventListener("submit", (event) => {
  event.preventDefault();
  find();
});
at("own-domain").addEventListener("click", async () => {
  complain(at("join-error"), null);
  try {
    await ownDomain();
    await find();
  } catch (error) {
    complain(at("join-error"), error);
  }
});
at("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  enter();
});
at("own-event").addEventListener("submit", (event) => {
  event.preventDefault();
  fire(at("event-name").value);
  at("event-name").value = "";
});
at("leave").addEventListener("click", async () => {
  const left = member;
  member = null;
  at("joined").hidden = true;
  at("joining").hidden = false;
  at("try-title").focus();
  // That it failed is told to nobody: a node that says nothing is forgotten in a while.
  await left?.leave().catch(() => {});
  find();
});
addEventListener("pagehide", () => member?.leave().catch(() => {}));
// Brought back as it was left, it would show a group that it is no longer in.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

// What a teacher's link brings stands after the #, which no server is told of.
const brought = new URLSearchParams(location.hash.slice(1));
at("key").value = brought.get("key") ?? document.body.dataset.key;
at("try-domain").value = brought.get("domain") ?? "";
at("node").value = brought.get("node") ?? labelOf(makeId());
at("join").disabled = true;
if (at("key").value) find();
