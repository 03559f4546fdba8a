/** Elements made by hand. Text is always set as text, so nothing that is stored can become markup. */

const PROPERTIES = new Set(["checked", "disabled", "indeterminate", "value"]);

/** An element with attributes, listeners (onclick, ...) and children: elements, text, lists of them, or nothing. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (!PROPERTIES.has(name)) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  // A select has its value only when it has its options.
  for (const name of PROPERTIES) if (attributes[name] !== undefined) element[name] = attributes[name];
  return element;
}

/** Stored text, kept apart from the direction of the text around it. */
export const stored = (text) => el("bdi", {}, text);

/** A button that does not submit. */
export const button = (label, onclick, attributes = {}) => el("button", { type: "button", onclick, ...attributes }, label);

export const link = (label, href, attributes = {}) => el("a", { href, ...attributes }, label);

/** A table whose columns are `[heading, cell of a row]`; the heading of a row is its first cell. */
export function table(caption, columns, rows, empty) {
  if (!rows.length) return el("p", { class: "empty" }, empty);
  const row = (item) =>
    el("tr", {}, columns.map(([, cell], index) => el(index ? "td" : "th", index ? {} : { scope: "row" }, cell(item))));
  return el("div", { class: "scrolled", tabindex: "0", role: "group", "aria-label": caption },
    el("table", {},
      el("caption", { class: "unseen" }, caption),
      el("thead", {}, el("tr", {}, columns.map(([heading]) => el("th", { scope: "col" }, heading)))),
      el("tbody", {}, rows.map(row))));
}

/** Calls a function when it has not been asked for again within `delay` milliseconds. */
export function debounced(delay, call) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, delay);
  };
}
