/** The teacher's page: a domain, its groups, one of them as it happens, and the keys of classes. */

import { api, sentence } from "../api.js";
import { element, setText } from "../elements.js";
import { gettext, interpolate } from "../i18n.js";
import { showGroups, titleOf } from "./group_list.js";
import { createGroupView } from "./group_view.js";
import { createKeys } from "./keys.js";
import { makeId } from "./names.js";

const LIST_MS = 2_500;
const DOMAIN = "meshsite.classroom.domain";

const at = (id) => document.getElementById(id);

let domains = [];
let own = null;
/** @type {any[]} */ let groups = [];
let listed = false;
/** Groups whose host this page is, whichever domain it shows, and when each wants its next sign of life. @type {Map<string, { group: any, timer: any }>} */
const hosted = new Map();

const view = createGroupView({ onEnd: () => list() });
const keys = createKeys({ sure });
const current = () => domains.find(({ name }) => name === at("domain").value) ?? null;

async function load(wanted = null) {
  try {
    ({ domains, own } = await api("classroom.domains"));
  } catch (error) {
    setText(at("no-domain"), sentence(error));
    at("no-domain").hidden = false;
    setTimeout(load, LIST_MS, wanted);
    return;
  }
  showDomains(wanted ?? localStorage.getItem(DOMAIN));
}

/** Be the host again of what this teacher started before the page was loaded, in domains that are not looked at, too. */
async function adopt() {
  try {
    const { groups: mine } = await api("classroom.hosted_groups");
    for (const group of mine) keep(group, 0);
  } catch {
    setTimeout(adopt, LIST_MS);
  }
}

function showDomains(wanted) {
  at("no-domain").hidden = domains.length > 0;
  at("domain-field").hidden = domains.length === 0;
  at("domain").replaceChildren(
    ...domains.map(({ name, workspace }) => element("option", { value: name }, workspace ? `${name || "–"} · ${workspace.name}` : name)),
  );
  if (domains.some(({ name }) => name === wanted)) at("domain").value = wanted;
  const takeable = own && !own.taken && own.workspaces.length > 0;
  at("take").hidden = !takeable;
  if (takeable) {
    setText(at("take-name"), own.name);
    at("take-workspace").replaceChildren(...own.workspaces.map(({ id, name }) => element("option", { value: id }, name)));
  }
  enter();
}

/** Look at another domain. */
function enter() {
  const domain = current();
  at("polls-option").hidden = at("groups-part").hidden = at("group").hidden = !domain;
  keys.look(domain?.workspace ?? null, domains, domain?.name);
  view.close();
  groups = [];
  listed = false;
  showHosted();
  at("groups").replaceChildren(...[0, 1].map(() => element("li.group-skeleton", {}, element("span.skeleton", {}))));
  if (!domain) return;
  at("polls").checked = domain.polls;
  localStorage.setItem(DOMAIN, domain.name);
  list();
}

async function list() {
  const domain = current();
  if (!domain) return;
  try {
    const answer = await api("classroom.groups", { domain: domain.name });
    if (domain !== current()) return;
    groups = answer.groups;
    listed = true;
    view.signedOut(false);
    for (const { id, ended } of groups) if (ended) release(id);
    note(groups.length ? "" : gettext("No group yet. Pupils see one here as soon as somebody hosts it."));
    for (const group of groups) if (group.mine && !group.ended) keep(group, 0);
  } catch (error) {
    if (domain !== current()) return;
    note(sentence(error));
    view.signedOut(error.status === 401);
  }
  if (domain === current() && listed) show();
}

function show() {
  showGroups(at("groups"), groups, view.chosen?.id ?? null, choose);
  const living = groups.filter(({ ended }) => !ended).length;
  setText(at("groups-count"), living ? String(living) : "");
}

function note(text) {
  setText(at("groups-note"), text);
  at("groups-note").hidden = !text;
}

function choose(group) {
  view.open(group);
  show();
  if (matchMedia("(max-width: 47.99rem)").matches) at("group").scrollIntoView();
}

/** Be the host: a sign of life now and then, while this page is open. */
function keep(group, seconds) {
  if (hosted.has(group.id) && seconds === 0) return;
  const timer = setTimeout(async () => {
    try {
      const answer = await api("classroom.keep_group", { domain: group.domain, group_id: group.id });
      if (hosted.has(group.id)) keep(group, answer.beat_seconds);
    } catch (error) {
      if (!hosted.has(group.id)) return;
      if (error.status === 404 || error.status === 403) release(group.id);
      else keep(group, 5);
    }
  }, seconds * 1_000);
  hosted.set(group.id, { group, timer });
  showHosted();
}

function release(id) {
  clearTimeout(hosted.get(id)?.timer);
  if (hosted.delete(id)) showHosted();
}

/** Those of other domains live on while this page is open, though nothing else here shows them. */
function showHosted() {
  const elsewhere = [...hosted.values()].map(({ group }) => group).filter(({ domain }) => domain !== current()?.name);
  const names = elsewhere.map((group) => `${titleOf(group)} (${group.domain})`).join(", ");
  setText(at("hosted"), names ? interpolate(gettext("This page also keeps alive: %(names)s"), { names }) : "");
  at("hosted").hidden = !names;
}

/** Ask before something that cannot be taken back. What was pressed may be gone afterwards: `focus` is where to go on. */
function sure({ title, text, yes, then, focus }) {
  const dialog = at("sure");
  setText(at("sure-title"), title);
  setText(at("sure-text"), text);
  setText(at("sure-yes"), yes);
  at("sure-error").hidden = true;
  at("sure-yes").onclick = async () => {
    at("sure-yes").disabled = true;
    try {
      await then();
      dialog.close();
      focus.focus({ preventScroll: true });
    } catch (error) {
      setText(at("sure-error"), sentence(error));
      at("sure-error").hidden = false;
    }
    at("sure-yes").disabled = false;
  };
  dialog.showModal();
}

/** What a form sends, and where it says why not. */
function onSubmit(form, error, send) {
  at(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    at(error).hidden = true;
    const button = at(form).querySelector("button:not([type=button])");
    button.disabled = true;
    try {
      await send();
    } catch (problem) {
      setText(at(error), sentence(problem));
      at(error).hidden = false;
    }
    button.disabled = false;
  });
}

onSubmit("take-form", "take-error", async () => {
  const { domain } = await api("classroom.take_domain", { workspace_id: Number(at("take-workspace").value) });
  await load(domain.name);
  at("domain").focus();
});

/** The same again until it was answered: a start whose answer was lost is not a second group. */
let host_id = makeId();
onSubmit("start-form", "start-error", async () => {
  const { group, beat_seconds } = await api("classroom.start_group", {
    domain: at("domain").value,
    host_id,
    name: at("start-name").value,
    use_websocket: !at("start-polls").checked,
  });
  host_id = makeId();
  keep(group, beat_seconds);
  at("start-form").reset();
  at("start-form").closest("details").open = false;
  choose(group);
  await list();
  at("group").focus({ preventScroll: true });
});

at("stop").addEventListener("click", () => {
  const group = view.chosen;
  sure({
    title: interpolate(gettext("Stop “%(name)s”?"), { name: titleOf(group) }),
    text: gettext("Everybody in it is told, and it is over for good."),
    yes: gettext("Stop the group"),
    then: async () => {
      await api("classroom.stop_group", { domain: group.domain, group_id: group.id });
      release(group.id);
      await Promise.all([view.refresh(), list()]);
    },
    focus: at("group"),
  });
});

at("polls").addEventListener("change", async ({ target }) => {
  const domain = current();
  at("polls-error").hidden = true;
  try {
    await api("classroom.set_polls", { domain: domain.name, polls: target.checked });
    domain.polls = target.checked;
  } catch (error) {
    target.checked = domain.polls;
    setText(at("polls-error"), sentence(error));
    at("polls-error").hidden = false;
  }
});

at("domain").addEventListener("change", enter);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && list());
setInterval(() => document.visibilityState === "visible" && list(), LIST_MS);
load();
adopt();
