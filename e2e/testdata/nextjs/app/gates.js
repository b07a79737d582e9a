// A gate is shut until somebody asks for /release?gate=…: what waits behind it comes when the test says so.
const gates = (globalThis.gates ??= new Map());

export function gate(name) {
  if (!gates.has(name)) {
    let open;
    const opened = new Promise((resolve) => (open = resolve));
    gates.set(name, { opened, open });
  }
  return gates.get(name);
}
