// What both programs share: orders on standard input, one JSON object a line, and what happens on standard output.
//
//   {"ref", "document", "variables"}  ->  {"ref", "data", "errors"}
//   {"follow": document, "variables"} ->  {"started"}, {"frame": type} of each frame of the socket, {"heard"}, {"failed"}
"use strict";
const readline = require("node:readline");
const WebSocket = require("ws");

function tell(what) {
  process.stdout.write(JSON.stringify(what) + "\n");
}

// The library's own socket, with an ear at it: none of them says when a subscription has begun.
class Watched extends WebSocket {
  constructor(...words) {
    super(...words);
    this.on("message", (data) => {
      const { type } = JSON.parse(data.toString());
      tell({ frame: type });
      if (type === "start_ack") tell({ started: true });
    });
  }
}
globalThis.WebSocket = Watched;
globalThis.window ??= undefined;
// Libraries for browsers print; here that would be taken for what happened.
console.log = console.info = console.debug = (...words) => process.stderr.write(words.join(" ") + "\n");

exports.tell = tell;
exports.serve = (ask, follow) => {
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const order = JSON.parse(line);
    if (order.follow) {
      follow(order.follow, order.variables);
      return;
    }
    try {
      tell({ ref: order.ref, ...(await ask(order.document, order.variables)) });
    } catch (error) {
      tell({ ref: order.ref, errors: [{ message: `${error?.stack ?? error}` }] });
    }
  });
  lines.on("close", () => process.exit(0));
};
