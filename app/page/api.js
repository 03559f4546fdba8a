/** The public API, and the login of this browser. */

import { T } from "./texts.js";

const BASE = new URL("api/v1", document.baseURI).pathname;
const KEPT = "postroom.token";

/** A response that says no. */
export class ApiError extends Error {
  constructor(status, { message, errors = [] }) {
    super(message || T.strangeAnswer(status));
    this.status = status;
    this.errors = errors;
  }
}

/** There is no response: what was sent may have been stored or not. */
export class Unreachable extends Error {
  constructor() {
    super(T.unreachable);
  }
}

let askForLogin = () => Promise.resolve(false);

/** `ask` shows a form and resolves to whether somebody has logged in. */
export function whenLoggedOut(ask) {
  askForLogin = ask;
}

export const loggedIn = () => localStorage.getItem(KEPT) !== null;
export const forgetLogin = () => localStorage.removeItem(KEPT);

/** Calls `changed` when another tab has logged in or out. */
export function whenOtherTab(changed) {
  addEventListener("storage", ({ key }) => key === KEPT && changed());
}

/** With this login, users without a role look after what is theirs; with one, it is as good as any other. */
export async function login(user, pass) {
  const { document: answer } = await send("POST", "/me/login", { form: { user, pass } });
  localStorage.setItem(KEPT, answer.grommunioAuthJwt);
}

/** Ends this session on the server too, if the server can be reached. */
export async function logout() {
  try {
    const { data } = await get("/me/sessions");
    const current = data.find((session) => session.current);
    if (current) await send("DELETE", `/me/sessions/${current.ID}`);
  } catch (error) {
    if (!(error instanceof Unreachable || error instanceof ApiError)) throw error;
  }
  forgetLogin();
}

/** The document of a resource. */
export const get = async (path, query, options = {}) => (await read(path, query, options)).document;

/** The document of a resource together with its ETag, which `change` wants back. */
export const read = (path, query, options = {}) => call("GET", path, { query, ...options });

export const post = async (path, body, query) => (await call("POST", path, { body, query })).document;
export const remove = async (path, body, query) => (await call("DELETE", path, { body, query })).document;
/** PATCH or PUT; with `etag` only if nobody else was faster, otherwise an ApiError with status 412. */
export const change = async (method, path, body, etag) => (await call(method, path, { body, etag })).document;

async function call(method, path, options) {
  const token = localStorage.getItem(KEPT);
  try {
    return await send(method, path, options);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    // Another tab may have logged in anew meanwhile.
    const renewed = localStorage.getItem(KEPT) !== token && loggedIn();
    if (!renewed && !(await askForLogin(error))) throw error;
    return send(method, path, options);
  }
}

async function send(method, path, { query = {}, body, form, etag, signal } = {}) {
  const url = new URL(BASE + path, location.origin);
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") url.searchParams.set(name, value);
  const headers = {};
  if (loggedIn() && !form) headers.Authorization = `Bearer ${localStorage.getItem(KEPT)}`;
  if (etag) headers["If-Match"] = etag;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const payload = form ? new URLSearchParams(form) : body === undefined ? undefined : JSON.stringify(body);
  let response, document;
  try {
    response = await fetch(url, { method, headers, body: payload, signal, credentials: "omit", cache: "no-store" });
    document = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  if (!response.ok) throw new ApiError(response.status, document);
  return { document, etag: response.headers.get("ETag") };
}
