/** Follows the stream of one group with the chat's client: the same cursor, resume and long-poll. */

import { MeshsiteClient } from "../../clients/meshsite.js";

/**
 * @param {{ id: string, domain: string }} group
 * @param {{ epoch: string, seq: number }} position
 * @returns {MeshsiteClient}
 */
export function follow(group, position) {
  const there = (address) => {
    const url = new URL(address, location.origin);
    url.pathname = url.pathname.replace("/user/me", `/mesh/${group.id}`);
    url.searchParams.set("domain", group.domain);
    return url.href;
  };
  class GroupSocket extends WebSocket {
    constructor(address) {
      super(there(address));
    }
  }
  const client = new MeshsiteClient({
    position: { ...position },
    WebSocket: GroupSocket,
    fetch: (address, options) => fetch(there(address), options),
  });
  return client;
}
