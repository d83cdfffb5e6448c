/** The API over HTTP with the session cookie of this page. Errors are MeshsiteError: code, detail, retry_after. */

import { createHttp } from "../clients/meshsite.js";
import { gettext, interpolate, ngettext } from "./i18n.js";

export function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
}

export const api = createHttp({ csrfToken });

/** What went wrong, in a sentence for a person. */
export function sentence(error) {
  if (error.code === "unreachable" || error.code === "timeout") {
    return gettext("The server could not be reached.");
  }
  if (error.status === 429 || error.code === "rate_limited") {
    const seconds = Math.max(1, Math.ceil(error.retry_after ?? 1));
    const text = ngettext(
      "That was too fast. Try again in %(seconds)s second.",
      "That was too fast. Try again in %(seconds)s seconds.",
      seconds,
    );
    return interpolate(text, { seconds });
  }
  if (error.status === 401) return gettext("You are signed out.");
  const fields = Object.values(error.errors ?? {}).flat();
  const first = fields.find((text) => typeof text === "string");
  return first || error.detail || gettext("Something went wrong.");
}
