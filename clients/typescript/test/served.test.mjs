// Against the server of POINTREND_URL, with the image POINTREND_IMAGE; pytest starts it (tests/client).
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { Client, decodeMask, PointRendError } from "../dist/index.js";

const client = new Client(process.env.POINTREND_URL);
const image = await readFile(process.env.POINTREND_IMAGE);

test("objects come with masks", async () => {
  const { instances, image: size, task } = await client.predict(image, { score_threshold: 0.6, categories: ["person"] });
  assert.equal(task, "instances");
  assert.ok(instances.length > 0);
  for (const { category, score, area, bbox, segmentation } of instances) {
    assert.equal(category, "person");
    assert.ok(score >= 0.6);
    const mask = decodeMask(segmentation);
    assert.deepEqual([mask.width, mask.height], [size.width, size.height]);
    assert.equal(mask.data.reduce((sum, value) => sum + value, 0), area);
    const [x, y, width, height] = bbox;
    const outside = mask.data.some((value, at) => {
      const [column, row] = [at % mask.width, Math.floor(at / mask.width)];
      return value && (column < x - 1 || column > x + width || row < y - 1 || row > y + height);
    });
    assert.ok(!outside);
  }
});

test("other tasks, boxes, pictures and the description", async () => {
  const detected = await client.predict(new Blob([image]), { task: "detection" });
  assert.ok(!("area" in detected.instances[0]));
  const merged = await client.predict(image, { task: "semantic" });
  assert.ok(merged.segments.length > 0);
  const { instances } = await client.predict(image, { boxes: [[10, 10, 200, 300], { bbox: [0, 0, 50, 50], category: "cat" }] });
  assert.deepEqual(instances.map(({ category }) => category), [null, "cat"]);
  const picture = new Uint8Array(await (await client.render(image, "png")).arrayBuffer());
  assert.deepEqual([...picture.slice(1, 4)], [...Buffer.from("PNG")]);
  assert.ok((await client.describe()).categories.some(({ name }) => name === "person"));
});

test("an error says what is wrong", async () => {
  await assert.rejects(client.predict(image, { score_threshold: 2 }), (error) => {
    assert.ok(error instanceof PointRendError);
    const { code, status, field, limit, value } = error;
    assert.deepEqual({ code, status, field, limit }, { code: "invalid_option", status: 422, field: "score_threshold", limit: [0, 1] });
    assert.equal(Number(value), 2);
    return true;
  });
  await assert.rejects(client.predict(Buffer.from("no image")), { code: "unsupported_image", status: 415, field: "image" });
  const model = new Client(process.env.POINTREND_URL, { model: "other" });
  await assert.rejects(model.predict(image), (error) => error instanceof PointRendError && error.status === 404);
});

test("a request can be given up", async () => {
  await assert.rejects(client.predict(image, {}, AbortSignal.abort()), { name: "AbortError" });
});
