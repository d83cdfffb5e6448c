/**
 * Two nodes of a classroom share a variable and an event.
 *
 *     KEY=demo-key node clients/js/examples/classroom.js http://127.0.0.1:8000
 *
 * Nothing has to be installed. Node 22 has WebSocket; an older one follows by long-poll, without any other difference.
 */

import { randomUUID } from "node:crypto";

import { MeshsiteClient } from "../meshsite.js";

const [url = "http://127.0.0.1:8000"] = process.argv.slice(2);
const key = process.env.KEY;
const host_id = randomUUID();

const office = new MeshsiteClient({ url, key }); // only calls
const { domain } = await office.call("mesh.domain");
const { group } = await office.call("mesh.create_group", { domain, name: "Robots", host_id });
const place = { group_id: group.group_id, domain };

/** Join, then follow from that moment on. As `node_id` it needs no heartbeats. */
async function joined(node_id) {
  const { epoch, seq } = await office.call("mesh.join", { ...place, node_id });
  return new MeshsiteClient({ url, key, group: { ...place, node_id }, position: { epoch, seq } });
}

const pupil = await joined("pupil");
const teacher = await joined("teacher");
const told = new Promise((done) => {
  pupil.on("event", ({ event, data }) => {
    if (event === "mesh.status_reported") {
      console.log(data.node_id, "has", data.values.map(({ key, value }) => `${key} = ${value}`).join(", "));
    } else if (event === "mesh.events_fired") {
      console.log(data.node_id, "fires", data.events.map(({ name, payload }) => `${name} ${payload}`).join(", "));
      done();
    }
  });
});
// More is missing than the server has: what is, is in the statuses.
pupil.on("resync", async () => console.log((await pupil.call("mesh.statuses", place)).statuses));
pupil.on("state", ({ state, error }) => {
  if (state !== "refused") return;
  console.error(error?.code);
  process.exit(1);
});
pupil.connect();
teacher.connect();

await teacher.call("mesh.report", { ...place, node_id: "teacher", values: [{ key: "speed", value: "7" }] });
// With its order key it is told once, however often it must be sent.
await teacher.call("mesh.fire", {
  ...place,
  node_id: "teacher",
  events: [{ name: "go", payload: "left", order_key: "1" }],
});
await told;
pupil.close({ bye: true });
teacher.close({ bye: true });
await office.call("mesh.dissolve", { ...place, host_id });
