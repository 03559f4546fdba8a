/** The record of changes. */

import { get } from "./api.js";
import { button, el, stored, table } from "./elements.js";
import { T } from "./texts.js";

const PAGE = 50;
const shown = (value) => (value === null ? T.none : typeof value === "object" ? JSON.stringify(value) : String(value));

/** The changes that a filter finds, the latest first. */
export async function changesOf(filter) {
  const holder = el("div");
  const rows = [];
  const columns = [
    [T.changes.when, ({ time }) => el("time", { datetime: time, title: time }, new Date(time).toLocaleString())],
    [T.changes.who, ({ actor, token, source }) => [stored(actor ?? T.none), token ? [" (", stored(token), ")"] : null, el("br"), el("small", {}, stored(source ?? ""))]],
    [T.changes.what, ({ action, name }) => [T.changes.actions[action] ?? action, " ", stored(name ?? "")]],
    [T.changes.how, ({ changes }) => Object.entries(changes ?? {}).map(([field, [before, after]]) =>
      el("div", {}, field, ": ", el("del", {}, stored(shown(before))), " → ", el("ins", {}, stored(shown(after)))))],
  ];
  const load = async (after) => {
    const { data, nextAfter } = await get("/audit", { ...filter, limit: PAGE, after });
    rows.push(...data);
    holder.replaceChildren(table(T.changes.caption, columns, rows, T.changes.empty));
    if (nextAfter) holder.append(el("p", { class: "bar" }, button(T.changes.more, () => load(nextAfter))));
  };
  await load();
  return holder;
}

export const changes = async () => [el("h1", { tabindex: "-1" }, T.changes.title), await changesOf({})];
