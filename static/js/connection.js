/** The sign that tells whether the page is live and how, and the banner when it is not. */

import { setText } from "./elements.js";
import { gettext } from "./i18n.js";

// Most interruptions are over before anybody needs to know more than the sign says.
const BANNER_AFTER_MS = 2_500;

const sign = () => ({
  connecting: gettext("Connecting"),
  live: gettext("Live"),
  poll: gettext("Live, over long-poll"),
  reconnecting: gettext("Reconnecting"),
  offline: gettext("Offline"),
  refused: gettext("Stopped"),
});

const banner = () => ({
  reconnecting: gettext("The connection was lost. What you write is kept and sent when it is back."),
  offline: gettext("You are offline. What you write is kept and sent when you are back."),
});

const refusal = () => ({
  4401: gettext("You are signed out."),
  4403: gettext("This account may not connect."),
  4409: gettext("Your place was taken by another tab, or too many are open."),
});

/** @param {import("../clients/meshsite.js").MeshsiteClient} client */
export function showConnection(client) {
  const root = document.getElementById("connection");
  const text = document.getElementById("connection-text");
  const bar = document.getElementById("banner");
  const barText = document.getElementById("banner-text");
  const link = document.getElementById("banner-link");
  const button = document.getElementById("banner-button");
  let timer;

  function showBanner(state, code) {
    const why = refusal()[code] ?? gettext("The server refused this page. Reload it.");
    setText(barText, state === "refused" ? why : banner()[state]);
    link.hidden = !(state === "refused" && code === 4401);
    button.hidden = state === "offline" || !link.hidden || code === 4403;
    setText(button, code === 4409 ? gettext("Use this tab") : state === "refused" ? gettext("Reload") : gettext("Try now"));
    button.onclick = () => {
      if (state === "reconnecting") client.wake();
      else if (code === 4409) client.restart();
      else location.reload();
    };
    bar.dataset.state = state;
    bar.hidden = false;
  }

  client.on("state", ({ state, code, transport }) => {
    root.dataset.state = state;
    root.dataset.transport = transport ?? "";
    const spoken = sign()[transport === "poll" ? "poll" : state];
    setText(text, spoken);
    root.title = spoken;
    if (state === "live" || state === "connecting") {
      clearTimeout(timer);
      timer = undefined;
      bar.hidden = true;
    } else if (state === "refused" || !bar.hidden) {
      showBanner(state, code);
    } else {
      // One wait for the whole interruption: each further attempt must not begin it anew.
      timer ??= setTimeout(() => {
        if (client.state === "live" || client.state === "refused") return;
        showBanner(client.state === "offline" ? "offline" : "reconnecting", code);
      }, BANNER_AFTER_MS);
    }
  });
}
