/**
 * A chat in the terminal: shows what is said in a channel, and sends each line that is typed.
 *
 *     TOKEN=... node clients/js/examples/chat.js http://127.0.0.1:8000 1
 *
 * Nothing has to be installed. Node 22 has WebSocket; an older one follows by long-poll, without any other difference.
 */

import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";

import { MeshsiteClient } from "../meshsite.js";

const [url = "http://127.0.0.1:8000", channel = "1"] = process.argv.slice(2);
const channel_id = Number(channel);
const client = new MeshsiteClient({ url, token: process.env.TOKEN });

/** The newest message that was shown: the state of a program can be that simple. */
let shown_id = 0;
/** One after the other: what comes live waits for what was missed before it. */
let turn = Promise.resolve();

function show({ id, author, body }) {
  if (id <= shown_id) return;
  shown_id = id;
  console.log(`${author.display_name}: ${body}`);
}

async function showNewest() {
  const { messages } = await call("message.list", { channel_id, limit: 10 });
  messages.forEach(show);
}

async function showMissed() {
  let page;
  do {
    page = await call("message.list", { channel_id, since_id: shown_id });
    page.messages.forEach(show);
  } while (page.has_more);
}

/** Ask until there is an answer. A message with a `client_msg_id` is sent once, however often it is asked for. */
async function call(method, params) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.call(method, params);
    } catch (error) {
      if (!error.lost) throw error;
      await new Promise((done) => setTimeout(done, Math.min(attempt, 10) * 1_000));
    }
  }
}

client.on("state", ({ state, transport, error }) => {
  console.error(`[${[state, transport, error?.code].filter(Boolean).join(", ")}]`);
  if (state === "refused") process.exit(1);
});
client.on("event", ({ event, data }) => {
  if (event !== "message.created" || data.message.channel_id !== channel_id) return;
  turn = turn.then(() => show(data.message));
});
client.on("resync", () => {
  turn = turn.then(showMissed);
});

// Asked for after the hello, so that nothing falls between the newest messages and the first event.
const greeted = new Promise((done) => client.on("hello", done));
client.connect();
await greeted;
turn = turn.then(showNewest);
for await (const line of createInterface({ input: process.stdin })) {
  const body = line.trim();
  if (!body) continue;
  await call("message.send", { channel_id, body, client_msg_id: randomUUID() }).catch(({ detail }) => console.error(detail));
}
await turn;
client.close({ bye: true });
