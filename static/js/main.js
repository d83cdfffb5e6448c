/** Wires the page together: one client, one store, and the parts that draw the store. */

import { MeshsiteClient } from "../clients/meshsite.js";
import { Activity } from "./activity.js";
import { api, csrfToken, sentence } from "./api.js";
import { Away } from "./away.js";
import { Composer } from "./composer.js";
import { showConnection } from "./connection.js";
import { Deeds } from "./deeds.js";
import { Dialogs } from "./dialogs.js";
import { Kept, forgetAll } from "./kept.js";
import { Navigation } from "./navigation.js";
import { Notifications } from "./notifications.js";
import { Outbox } from "./outbox.js";
import { Panels } from "./panels.js";
import { EmojiPicker } from "./picker.js";
import { showPresence } from "./presence.js";
import { Reading } from "./reading.js";
import { keepSession, takeSession } from "./session.js";
import { listenForShortcuts } from "./shortcuts.js";
import { handleDrawer, showSidebar } from "./sidebar.js";
import { SilenceEnd } from "./silence.js";
import { StatusEditor } from "./status.js";
import { Store, releaseHeld } from "./store.js";
import { Sync } from "./sync.js";
import { ThreadPanel } from "./thread.js";
import { Timeline } from "./timeline.js";
import { TypingLine, TypingRelay } from "./typing.js";
import { Watching } from "./watching.js";

const store = new Store();
const client = new MeshsiteClient({ csrfToken, session: takeSession() });
const navigation = new Navigation(store);
const sync = new Sync({ store, client, navigation, api });
const watching = new Watching({ store, client, navigation });
const dialogs = new Dialogs({ store, client, navigation, onPeople: showPeople });
const deeds = new Deeds({ store, client, navigation, dialogs, picker: new EmojiPicker() });
const timeline = new Timeline({ store, sync, navigation, dialogs, deeds, onLeave: () => composer.focus() });
const thread = new ThreadPanel({ store, client, sync, navigation, deeds, onLeave: () => threadComposer.focus() });
const panels = new Panels({ store, navigation, deeds });
const outbox = new Outbox({ store, client, keptOf: (user_id) => new Kept({ user_id }), explain: sentence });
const typing = new TypingRelay({ client, seconds: () => store.state.limits.typing_seconds });
const typingLine = new TypingLine({ store, client, navigation, onUnknown: (channel_id) => sync.loadPeople(channel_id) });
const composers = {
  store,
  outbox,
  keptOf,
  onPeople: (channel_id) => sync.loadPeople(channel_id),
};
const composer = new Composer({
  ...composers,
  form: document.getElementById("composer"),
  target: () => navigation.channel_id && { channel_id: navigation.channel_id, thread_root_id: null },
  onUp: () => timeline.editLast(),
  onWritten: () => {
    typing.sent();
    timeline.written();
  },
  yieldsTo: "#timeline .message:focus",
  onTyped: (text) => (text ? typing.typed(navigation.channel_id) : typing.stopped()),
});
const threadComposer = new Composer({
  ...composers,
  form: document.getElementById("thread-composer"),
  target: () => thread.target,
  onUp: () => thread.editLast(),
  onWritten: () => thread.written(),
});
const reading = new Reading({ store, client, navigation, timeline });
const away = new Away({ store, client });
const activity = new Activity({
  client,
  awaySeconds: () => store.state.limits.away_seconds,
  declaredAway: () => away.declared,
});

for (const { rows } of [timeline, thread]) {
  rows.onRetry = (client_msg_id) => outbox.retry(client_msg_id);
  rows.onDiscard = (client_msg_id) => outbox.discard(client_msg_id);
  rows.onPeople = (channel_id) => sync.loadPeople(channel_id);
}
deeds.onQuote = (text, inThread) => (inThread ? threadComposer : composer).insert(text);
deeds.onPerson = (user_id) => dialogs.openPerson(user_id);
outbox.onUnconfirmed = async ({ client_msg_id }, error) => {
  if (await deeds.confirmMentions(error)) outbox.retry(client_msg_id, { confirm_mentions: true });
};

const silenceEnd = new SilenceEnd(draw);

let kept;

/** Drafts of the person whose page this is, once it is known who that is. */
function keptOf() {
  const { me } = store.state;
  return me && (kept ??= new Kept({ user_id: me.id }));
}

/** Of all who stand somewhere on the page. */
function showPeople() {
  showPresence(store.state);
  watching.look();
}

function draw() {
  showSidebar(store.state, navigation);
  timeline.draw();
  thread.draw();
  panels.draw();
  composer.draw();
  threadComposer.draw();
  typingLine.draw();
  silenceEnd.look(store.state.workspaces);
  showPeople();
  reading.look();
}

store.listen(() => {
  navigation.settle();
  draw();
});
navigation.listen(({ opened }) => {
  if (opened) store.update((state) => releaseHeld(state, navigation.channel_id));
  sync.loadOpen();
  draw();
});
new StatusEditor({ store, client, away });
new Notifications({ store, client, navigation });
handleDrawer();
listenForShortcuts({ focusMessages: () => timeline.focus() });
activity.listen();
showConnection(client);
keepSession(client);

for (const happening of ["online", "pageshow", "focus"]) addEventListener(happening, () => client.wake());
addEventListener("focus", () => {
  reading.look();
  thread.look();
});
addEventListener("storage", (event) => outbox.heard(event));
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  client.wake();
  reading.look();
  thread.look();
  watching.again();
});
document.getElementById("sign-out").addEventListener("submit", () => {
  // Drafts are nobody's business who signs in at this browser later.
  sessionStorage.clear();
  outbox.close();
  forgetAll();
  away.forget();
  client.close({ bye: true });
});

draw();
client.connect();
