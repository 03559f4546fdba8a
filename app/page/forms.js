/** Forms that edit a document: only what has been changed is sent, and only on top of the version that was shown. */

import { ApiError, change, read } from "./api.js";
import { choose, explained, say } from "./dialogs.js";
import { button, el } from "./elements.js";
import { T } from "./texts.js";

let lastID = 0;

/**
 * A field: `kind` is text, number, password, multiline, flag, choice (`options` are `[value, label]`) or lines.
 * Its `value` is what the API takes; an empty text or number is `empty`.
 */
export function field(name, label, kind, { value, hint, options = [], empty = "", ...attributes } = {}) {
  const id = `field-${(lastID += 1)}`;
  const described = hint ? { "aria-describedby": `${id}-hint` } : {};
  const common = { id, name, ...described, ...attributes };
  const input =
    kind === "flag" ? el("input", { type: "checkbox", checked: Boolean(value), ...common })
    : kind === "choice" ? el("select", { ...common, value: String(value ?? "") }, options.map(([key, text]) => el("option", { value: key }, text)))
    : kind === "multiline" ? el("textarea", { ...common, value: value ?? "" })
    : kind === "lines" ? el("textarea", { ...common, value: (value ?? []).join("\n"), spellcheck: "false" })
    : el("input", { type: kind === "number" ? "number" : kind, ...common, value: value ?? "" });
  const convert = {
    flag: () => input.checked,
    number: () => (input.value === "" ? empty : Number(input.value)),
    lines: () => input.value.split("\n").map((line) => line.trim()).filter(Boolean),
    choice: () => (typeof options[0]?.[0] === "number" ? Number(input.value) : input.value),
  }[kind] ?? (() => (input.value === "" ? empty : input.value));
  const note = hint ? el("p", { class: "hint", id: `${id}-hint` }, hint) : null;
  const caption = kind === "flag" ? el("label", {}, input, label) : [el("label", { for: id }, label), input];
  return { name, label, input, get value() { return convert(); }, element: el("div", { class: kind === "flag" ? "field check" : "field" }, caption, note) };
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const shown = (value) => (value === null || value === "" || value === undefined ? T.none : typeof value === "boolean" ? (value ? T.yes : T.no) : Array.isArray(value) ? value.join(", ") || T.none : typeof value === "object" ? Object.values(value).join(", ") : String(value));

/**
 * A form for a part of a document.
 *
 * `groups(document)` makes `[legend, fields]`; `valueOf(document, name)` is what is stored; `body(values)` makes the body
 * from the values that were changed.
 */
export function editor({ path, method = "PATCH", at = path, query, groups, valueOf, body, readOnly = false }) {
  const holder = el("div", {}, el("p", {}, T.loading));
  let shownDocument, etag, fields;

  const load = async () => {
    const answer = await read(path, query);
    shownDocument = answer.document;
    etag = answer.etag;
    draw();
  };
  const changes = () => Object.fromEntries(fields.filter((one) => !same(one.value, one.before)).map((one) => [one.name, one.value]));

  const save = async () => {
    const values = changes();
    if (!Object.keys(values).length) return say(T.nothingChanged);
    try {
      await change(method, at, body(values, shownDocument), etag);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 412) throw error;
      return settle(values);
    }
    await load();
    say(T.saved);
  };

  // Somebody else was faster. Nothing is lost: the form stays until one of the two versions is chosen.
  const settle = async (values) => {
    const answer = await read(path, query);
    const different = fields.filter((one) => !same(valueOf(answer.document, one.name), one.before) || one.name in values)
      .map((one) => ({ label: one.label, theirs: shown(valueOf(answer.document, one.name)), mine: shown(one.value) }));
    const choice = await choose(different);
    if (choice === "theirs") return load();
    if (choice !== "mine") return;
    etag = answer.etag;
    shownDocument = answer.document;
    return save();
  };

  const draw = () => {
    const parts = groups(shownDocument);
    fields = parts.flatMap(([, list]) => list);
    for (const one of fields) one.before = one.value;
    const problem = el("div");
    const submit = el("button", { class: "main" }, T.save);
    const onsubmit = async (event) => {
      event.preventDefault();
      submit.disabled = true;
      problem.replaceChildren();
      try {
        await save();
      } catch (error) {
        problem.replaceChildren(explained(error));
        mark(error);
      } finally {
        submit.disabled = false;
      }
    };
    const mark = (error) => {
      const named = (error.errors ?? []).map((text) => text.split(":")[0].split(".").at(-1));
      for (const one of fields) one.input.setAttribute("aria-invalid", String(named.includes(one.name)));
    };
    holder.replaceChildren(el("form", { onsubmit, novalidate: true },
      parts.map(([legend, list]) => el("fieldset", { disabled: readOnly }, el("legend", {}, legend), el("div", { class: "fields" }, list.map((one) => one.element)))),
      problem, readOnly ? null : el("p", { class: "bar" }, submit, button(T.reload, load))));
  };

  const ready = load().catch((error) => holder.replaceChildren(explained(error), button(T.retry, () => load().catch((again) => say(again.message)))));
  return { element: holder, ready };
}
