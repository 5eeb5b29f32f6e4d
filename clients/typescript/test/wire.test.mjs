// What a server that works seldom does, and run lengths; against servers of this file.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { Client, decodeMask } from "../dist/index.js";

const OVERLOADED = { error: { code: "overloaded", status: 503, message: "The queue is full." } };
const FOUND = { instances: [], task: "instances" };

/** A server that gives these answers in turn, and the requests that it got. */
async function serving(test, answers) {
  const requests = [];
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      requests.push(request.headers);
      const [status, body, headers = {}] = answers[Math.min(requests.length, answers.length) - 1];
      response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => server.close());
  return { url: `http://127.0.0.1:${server.address().port}`, requests };
}

const image = new Uint8Array([1]);

test("an overloaded server is asked again", async (t) => {
  const { url, requests } = await serving(t, [[503, OVERLOADED, { "Retry-After": "0" }], [429, OVERLOADED], [200, FOUND]]);
  const client = new Client(url, { firstWait: 1, token: "secret" });
  assert.deepEqual(await client.predict(image), FOUND);
  assert.deepEqual(requests.map(({ authorization }) => authorization), Array(3).fill("Bearer secret"));
});

test("but not for ever, nor after too long a wait, nor where it refused", async (t) => {
  for (const [answer, settings, asked] of [
    [[503, OVERLOADED], { retries: 2, firstWait: 1 }, 3],
    [[503, OVERLOADED, { "Retry-After": "60" }], {}, 1],
    [[500, "<html>"], {}, 1],
  ]) {
    const { url, requests } = await serving(t, [answer]);
    await assert.rejects(new Client(url, settings).predict(image), { status: answer[0] });
    assert.equal(requests.length, asked);
  }
});

test("waiting can be given up", async (t) => {
  const { url, requests } = await serving(t, [[503, OVERLOADED, { "Retry-After": "20" }]]);
  const controller = new AbortController();
  const asked = new Client(url).predict(image, {}, controller.signal);
  while (!requests.length) await new Promise((resolve) => setTimeout(resolve, 5));
  controller.abort(new Error("closed"));
  await assert.rejects(asked, { message: "closed" });
});

test("nobody answers, and not in JSON", async (t) => {
  await assert.rejects(new Client("http://127.0.0.1:9").predict(image), { code: "unreachable", status: 0 });
  const { url } = await serving(t, [[200, "<html>"]]);
  await assert.rejects(new Client(`${url}/behind/`).predict(image), { code: "bad_response" });
});

test("run lengths", () => {
  // pycocotools' own text of this mask, whose second column is filled and whose third is filled from its second row.
  const mask = decodeMask({ size: [3, 3], counts: "342" });
  assert.deepEqual([...mask.data], [0, 1, 1, 0, 1, 0, 0, 1, 0]);
  for (const counts of ["", "3", "34", "3!1", "P", "39991"]) {
    assert.throws(() => decodeMask({ size: [3, 3], counts }), RangeError, counts);
  }
  assert.throws(() => decodeMask({ size: [100000, 100000], counts: "0" }), /too large/);
});
