/**
 * A reload of a tab goes on with the session it had, so that nobody sees its owner go and come. The id is put away only
 * while the tab is between two pages: a copy of a tab copies its storage too, and two tabs must not share a session.
 */

const KEY = "meshsite.session";

/** @returns {?string} */
export function takeSession() {
  const session = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  return session;
}

/** @param {import("../clients/meshsite.js").MeshsiteClient} client */
export function keepSession(client) {
  addEventListener("pagehide", () => client.state !== "offline" && client.session && sessionStorage.setItem(KEY, client.session));
  addEventListener("pageshow", () => sessionStorage.removeItem(KEY));
}
