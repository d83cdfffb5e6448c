/** Wires the page together: one client, one store, and the parts that draw the store. */

import { MeshsiteClient } from "../clients/meshsite.js";
import { Activity } from "./activity.js";
import { api, csrfToken } from "./api.js";
import { Away } from "./away.js";
import { Composer } from "./composer.js";
import { showConnection } from "./connection.js";
import { Dialogs } from "./dialogs.js";
import { Navigation } from "./navigation.js";
import { showPresence } from "./presence.js";
import { Reading } from "./reading.js";
import { keepSession, takeSession } from "./session.js";
import { handleDrawer, showSidebar } from "./sidebar.js";
import { StatusEditor } from "./status.js";
import { Store } from "./store.js";
import { Sync } from "./sync.js";
import { Timeline } from "./timeline.js";
import { TypingLine, TypingRelay } from "./typing.js";
import { Watching } from "./watching.js";

const store = new Store();
const client = new MeshsiteClient({ csrfToken, session: takeSession() });
const navigation = new Navigation(store);
const sync = new Sync({ store, client, navigation, api });
const watching = new Watching({ store, client, navigation });
const dialogs = new Dialogs({ store, navigation, onPeople: showPeople });
const timeline = new Timeline({ store, sync, navigation, dialogs });
const typing = new TypingRelay({ client, seconds: () => store.state.limits.typing_seconds });
const typingLine = new TypingLine({ store, client, navigation, onUnknown: (channel_id) => sync.loadPeople(channel_id) });
const composer = new Composer({ store, client, navigation, timeline, typing });
const reading = new Reading({ store, client, navigation, timeline });
const away = new Away({ store, client });
const activity = new Activity({
  client,
  awaySeconds: () => store.state.limits.away_seconds,
  declaredAway: () => away.declared,
});

/** Of all who stand somewhere on the page. */
function showPeople() {
  showPresence(store.state);
  watching.look();
}

function draw() {
  showSidebar(store.state, navigation);
  timeline.draw();
  composer.draw();
  typingLine.draw();
  showPeople();
  reading.look();
}

store.listen(() => {
  navigation.settle();
  draw();
});
navigation.listen(() => {
  sync.loadOpenChannel();
  draw();
});
new StatusEditor({ store, client, away });
handleDrawer();
activity.listen();
showConnection(client);
keepSession(client);

for (const happening of ["online", "pageshow", "focus"]) addEventListener(happening, () => client.wake());
addEventListener("focus", () => reading.look());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  client.wake();
  reading.look();
  watching.again();
});
document.getElementById("sign-out").addEventListener("submit", () => {
  // Drafts are nobody's business who signs in at this tab later.
  sessionStorage.clear();
  away.forget();
  client.close({ bye: true });
});

draw();
client.connect();
