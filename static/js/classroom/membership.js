/**
 * A node in a group, over the protocol of shipped clients: it joins, tells values, fires events, beats, and hears the
 * others, over a subscription or by polling, as it is told when it joins.
 */

import { createThrottle } from "./coalescing.js";

const REPORT_MS = 100;
const AGAIN_MS = 3_000;
const SYNC_MS = 15_000;

const PLACE = "groupId: $groupId, domain: $domain";
const PLACED = "$groupId: ID!, $domain: String!";
const STATUS = "nodeId timestamp data { key value }";
const EVENT = "name firedByNodeId payload timestamp orderKey cursor";
const MESSAGE = `groupId domain nodeStatus { ${STATUS} } batchEvent { firedByNodeId events { ${EVENT} } } groupDissolve { message }`;

export const LIST = "query ($domain: String!) { listGroupsByDomain(domain: $domain) { id domain name expiresAt useWebSocket } }";
export const OWN_DOMAIN = "mutation { createDomain }";
const JOIN = `mutation (${PLACED}, $nodeId: ID!, $useWebSocket: Boolean) { joinGroup(${PLACE}, nodeId: $nodeId, useWebSocket: $useWebSocket) { expiresAt heartbeatIntervalSeconds useWebSocket pollingIntervalSeconds } }`;
const LEAVE = `mutation (${PLACED}, $nodeId: ID!) { leaveGroup(${PLACE}, nodeId: $nodeId) { message } }`;
const BEAT = `mutation (${PLACED}, $nodeId: ID!) { sendMemberHeartbeat(${PLACE}, nodeId: $nodeId) { expiresAt } }`;
const REPORT = `mutation (${PLACED}, $nodeId: ID!, $data: [SensorDataInput!]!) { reportDataByNode(${PLACE}, nodeId: $nodeId, data: $data) { ${MESSAGE} } }`;
const FIRE = `mutation (${PLACED}, $nodeId: ID!, $events: [EventInput!]!) { fireEventsByNode(${PLACE}, nodeId: $nodeId, events: $events) { ${MESSAGE} } }`;
const RECORD = `mutation (${PLACED}, $nodeId: ID!, $events: [EventInput!]!) { recordEventsByNode(${PLACE}, nodeId: $nodeId, events: $events) { recordedCount nextSince } }`;
const STATUSES = `query (${PLACED}) { listGroupStatuses(${PLACE}) { ${STATUS} } }`;
const POLL = `query (${PLACED}, $since: String!) { pollGroupData(${PLACE}, since: $since) { events { ${EVENT} } nodeStatuses { ${STATUS} } } }`;
const HEAR = `subscription (${PLACED}) { onMessageInGroup(${PLACE}) { ${MESSAGE} } }`;

/**
 * @param {ReturnType<import("./appsync.js").createAppSync>} appsync
 * @param {{ groupId: string, domain: string, nodeId: string, useWebSocket: boolean }} who
 * @param {{ onValues: (nodeId: string, data: any[], timestamp: string) => void, onEvents: (events: any[]) => void,
 *   onState: (state: string) => void, onOver: (why?: import("./appsync.js").Refusal) => void, onTrouble: (error: any) => void }} listener
 *   `onTrouble` gets null when it is past
 */
export async function join(appsync, { groupId, domain, nodeId, useWebSocket }, listener) {
  const place = { groupId, domain };
  const me = { ...place, nodeId };
  const { joinGroup: told } = await appsync.ask(JOIN, { ...me, useWebSocket });
  const joined_at = new Date().toISOString();
  const timers = [];
  let unsubscribe = () => {};
  let over = false;
  let count = 0;
  /** @type {Promise<any>} */ let chain = Promise.resolve();

  const values = createThrottle({ tell: report, every_ms: REPORT_MS });
  /** What others must know as this page shows it, though a report was lost. @type {Map<string, any>} */
  const newest = new Map();
  /** @type {Set<string>} */ const untold = new Set();
  let retry;

  function stop() {
    over = true;
    clearTimeout(retry);
    timers.forEach(clearTimeout);
    values.stop();
    unsubscribe();
  }

  function end(why) {
    if (over) return;
    stop();
    listener.onOver(why);
  }

  /** One after the other: an event must not overtake the value that belongs to it. */
  function send(query, variables) {
    const sent = chain.then(async () => {
      if (over) return true;
      try {
        await appsync.ask(query, variables);
        listener.onTrouble(null);
        return true;
      } catch (error) {
        if (error.over) end(error);
        else listener.onTrouble(error);
        return false;
      }
    });
    chain = sent;
    return sent;
  }

  async function report(changed) {
    for (const key of changed.keys()) untold.delete(key);
    const data = [...changed].map(([key, value]) => ({ key, value: String(value) }));
    if ((await send(REPORT, { ...me, data })) || over) return;
    for (const key of changed.keys()) untold.add(key);
    clearTimeout(retry);
    retry = setTimeout(() => untold.forEach((key) => values.put(key, newest.get(key))), AGAIN_MS);
  }

  function every(ms, run) {
    const index = timers.length;
    const again = async () => {
      await run();
      if (!over) timers[index] = setTimeout(again, ms);
    };
    timers[index] = setTimeout(again, ms);
  }

  function hearStatuses(statuses) {
    for (const { nodeId: from, data, timestamp } of statuses) listener.onValues(from, data, timestamp);
  }

  async function sync() {
    try {
      const { listGroupStatuses } = await appsync.ask(STATUSES, place);
      if (!over) hearStatuses(listGroupStatuses);
    } catch (error) {
      if (error.over) end(error);
      else if (!over) listener.onTrouble(error);
    }
  }

  function hear({ onMessageInGroup: message }) {
    if (!message) return;
    if (message.nodeStatus) hearStatuses([message.nodeStatus]);
    if (message.batchEvent) listener.onEvents(message.batchEvent.events);
    if (message.groupDissolve) end();
  }

  let since = joined_at;
  let heard = true;
  async function poll() {
    try {
      const { pollGroupData } = await appsync.ask(POLL, { ...place, since });
      if (over) return;
      if (!heard) listener.onState("poll");
      heard = true;
      const { events, nodeStatuses } = pollGroupData;
      since = events.at(-1)?.cursor ?? since;
      listener.onEvents(events);
      hearStatuses(nodeStatuses);
    } catch (error) {
      if (over) return;
      if (error.over) return end(error);
      heard = false;
      listener.onState("reconnecting");
    }
  }

  if (told.useWebSocket) {
    unsubscribe = appsync.subscribe(HEAR, place, {
      onData: (data) => !over && hear(data),
      onState: (state, why) => {
        if (over) return;
        if (state === "refused") return end(why);
        listener.onState(state);
        if (state === "live") sync();
      },
    });
    every(SYNC_MS, sync);
  } else {
    listener.onState("poll");
    every(told.pollingIntervalSeconds * 1_000, poll);
  }
  every(told.heartbeatIntervalSeconds * 1_000, () => send(BEAT, me));

  return {
    ...told,
    tell: (key, value) => values.put(key, (newest.set(key, value), value)),
    fire: (name) => {
      const orderKey = `${joined_at}-${String(count++).padStart(7, "0")}`;
      const events = [{ eventName: name, payload: "", firedAt: new Date().toISOString(), orderKey }];
      return send(told.useWebSocket ? FIRE : RECORD, { ...me, events });
    },
    leave: async () => {
      stop();
      await appsync.ask(LEAVE, me, { keepalive: true });
    },
  };
}
