// Shows what openapi.json says, and sends what is filled in. Everything is set as text: nothing of an answer becomes markup.
"use strict";

const make = (name, text, attributes = {}) => {
  const element = Object.assign(document.createElement(name), attributes);
  if (text !== undefined) element.textContent = text;
  return element;
};

let token = "";

function signedIn(as, otherwise) {
  token = as || "";
  document.getElementById("who").textContent = token ? "signed in" : otherwise;
}

let refreshing; // all that are refused at once wait for one refresh, as it uses the cookie up

// refresh asks for a new token by the cookie that this page does not see. It tells whether there is one.
function refresh() {
  refreshing ??= fetch("/api/users/refresh", { method: "POST" })
    .then(async (response) => signedIn(response.ok && (await response.json()).token, token ? "signed out" : "not signed in"))
    .catch(() => {})
    .then(() => { refreshing = undefined; return token !== ""; });
  return refreshing;
}

async function ask(method, path, body) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  if (token) headers.Authorization = "Bearer " + token;
  return fetch(path, { method, headers, body: body || undefined });
}

// send asks once more after a 401: a token is good for 15 minutes only.
async function send(method, path, body) {
  let response = await ask(method, path, body);
  if (response.status === 401 && !path.startsWith("/api/users/login") && await refresh()) response = await ask(method, path, body);
  if (response.ok && response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    return { status: response.status, text: "", more: response.body.pipeThrough(new TextDecoderStream()) };
  }
  const text = await response.text();
  try {
    return { status: response.status, text: JSON.stringify(JSON.parse(text), null, 2), json: JSON.parse(text) };
  } catch {
    return { status: response.status, text };
  }
}

// example is a body with an empty value for each property of a schema.
function example(spec, schema, depth = 0) {
  if (!schema || depth > 4) return null;
  if (schema.$ref) return example(spec, spec.components.schemas[schema.$ref.split("/").pop()], depth + 1);
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  switch (schema.type) {
    case "object": {
      if (!schema.properties) return schema.propertyNames ? { en: "" } : {};
      const names = schema.required?.length ? schema.required : Object.keys(schema.properties);
      return Object.fromEntries(names.map((name) => [name, example(spec, schema.properties[name], depth + 1)]));
    }
    case "array": return [];
    case "boolean": return false;
    case "integer": case "number": return 0;
    default: return "";
  }
}

function show(spec, path, method, operation) {
  const box = make("details");
  const summary = make("summary");
  summary.append(make("b", method.toUpperCase()), make("code", path), make("span", "  " + (operation.summary || "")));
  box.append(summary);
  box.addEventListener("toggle", () => { if (box.open && box.childElementCount === 1) fill(spec, path, method, operation, box); });
  return box;
}

function fill(spec, path, method, operation, box) {
  const form = make("form", undefined, { className: "send" });
  const fields = [];
  const conditions = make("details");
  conditions.append(make("summary", "more conditions"));
  for (const parameter of operation.parameters || []) {
    const label = make("label");
    const input = make("input", undefined, { name: parameter.name, required: !!parameter.required });
    label.append(make("span", parameter.name), input);
    if (parameter.description) label.append(make("small", parameter.description));
    fields.push({ parameter, input });
    (parameter.name.includes("[") ? conditions : form).append(label);
  }
  if (conditions.childElementCount > 1) form.append(conditions);
  const schema = operation.requestBody?.content["application/json"].schema;
  const body = schema && make("textarea", JSON.stringify(example(spec, schema), null, 2), { ariaLabel: "Body" });
  if (body) form.append(body);
  const answer = make("pre", "", { hidden: true });
  form.append(make("button", "Send"), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    for (const { parameter, input } of fields) {
      if (parameter.in === "path") url = url.replace("{" + parameter.name + "}", encodeURIComponent(input.value));
      else if (input.value !== "") query.append(parameter.name, input.value);
    }
    if (query.size) url += "?" + query;
    const got = await send(method.toUpperCase(), url, body?.value);
    if (path.startsWith("/api/users/logout") && got.status === 200) signedIn("", "signed out");
    answer.hidden = false;
    answer.textContent = got.status + " " + url + "\n" + got.text;
    if (!got.more) return;
    for await (const text of got.more) { // events, until the details are closed
      if (!box.open) break;
      answer.textContent += text;
    }
  });
  box.append(form);
}

async function start() {
  const spec = await (await fetch("/api/openapi.json")).json();
  const list = document.getElementById("operations");
  list.replaceChildren();
  const groups = new Map();
  for (const [path, item] of Object.entries(spec.paths)) {
    const name = path.split("/").slice(0, 3).join("/");
    if (!groups.has(name)) groups.set(name, make("section"));
    const section = groups.get(name);
    if (!section.childElementCount) section.append(make("h2", name));
    for (const [method, operation] of Object.entries(item)) section.append(show(spec, path, method, operation));
  }
  list.append(...groups.values());
  document.getElementById("filter").addEventListener("input", (event) => {
    for (const section of list.children) {
      const boxes = [...section.querySelectorAll(":scope > details")];
      for (const box of boxes) box.hidden = !box.querySelector("code").textContent.includes(event.target.value);
      section.hidden = boxes.every((box) => box.hidden);
    }
  });
  document.getElementById("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const got = await send("POST", "/api/users/login", JSON.stringify(Object.fromEntries(new FormData(event.target))));
    signedIn(got.json?.token, got.json?.message || String(got.status));
  });
}

start();
