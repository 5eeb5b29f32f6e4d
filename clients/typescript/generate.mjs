// Writes src/api.ts, the API's types, from the OpenAPI document of the server.
import { readFileSync, writeFileSync } from "node:fs";

const SOURCE = new URL("../../docs/openapi.json", import.meta.url);
const TARGET = new URL("src/api.ts", import.meta.url);
// Requests are made by the client itself: their bodies repeat the options.
const LEFT_OUT = new Set(["Form", "JsonRequest"]);
const PLAIN = { string: "string", number: "number", integer: "number", boolean: "boolean", null: "null" };

/** A JSON Schema as a TypeScript type; a kind of schema that is not known ends the build. */
function typed(schema, indent) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.oneOf) return schema.oneOf.map((each) => typed(each, indent)).join(" | ");
  if (schema.type === undefined) return "unknown";
  if (Array.isArray(schema.type)) return schema.type.map((type) => typed({ ...schema, type }, indent)).join(" | ");
  if (schema.type === "array") return list(schema, indent);
  if (schema.type === "object") return object(schema, indent);
  const plain = PLAIN[schema.type];
  if (plain === undefined) throw new Error(`No type for ${JSON.stringify(schema)}`);
  return plain;
}

function list(schema, indent) {
  const item = typed(schema.items ?? {}, indent);
  if (schema.minItems === schema.maxItems && schema.minItems !== undefined) {
    return `[${Array(schema.minItems).fill(item).join(", ")}]`;
  }
  return /[|{]/.test(item) ? `(${item})[]` : `${item}[]`;
}

function object(schema, indent) {
  if (!schema.properties) return `Record<string, ${schema.additionalProperties ? typed(schema.additionalProperties, indent) : "unknown"}>`;
  const inner = `${indent}  `;
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties).map(([name, property]) => {
    const comment = property.description ? `${inner}/** ${property.description.replaceAll("*/", "* /")} */\n` : "";
    return `${comment}${inner}${name}${required.has(name) ? "" : "?"}: ${typed(property, inner)};\n`;
  });
  return `{\n${fields.join("")}${indent}}`;
}

const document = JSON.parse(readFileSync(SOURCE, "utf-8"));
const types = Object.entries(document.components.schemas)
  .filter(([name]) => !LEFT_OUT.has(name))
  .map(([name, schema]) => `export type ${name} = ${typed(schema, "")};\n`);
writeFileSync(TARGET, ["// Written by generate.mjs from docs/openapi.json.\n", ...types].join("\n"));
