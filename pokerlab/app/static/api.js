// Requests to the server that has served this page, and to no other.

export class Refused extends Error {
  constructor(message, status) { super(message); this.status = status; }
}

async function read(answer) {
  if (answer.ok) return answer.json();
  let message = `the server answers ${answer.status}`;
  try { message = (await answer.json()).error || message; } catch { /* no JSON */ }
  throw new Refused(message, answer.status);
}

async function reach(path, options) {
  try { return await fetch(path, options); } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("the server does not answer: is pokerlab app still running?", 0);
  }
}

export const get = async (path, signal) => read(await reach(path, { signal }));

export const post = async (path, object = {}, signal) =>
  read(await reach(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(object), signal }));

export const upload = async (path, file) =>
  read(await reach(path, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file }));
