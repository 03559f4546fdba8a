/** Sign-ins: sessions that have not ended. */

import { get, remove } from "./api.js";
import { say } from "./dialogs.js";
import { button, el, stored, table } from "./elements.js";
import { T } from "./texts.js";

/** The sign-ins at a path; those of the caller (`own`) can be ended one by one. */
export async function loginsOf(path, own = false) {
  const holder = el("div");
  const end = (at) => async () => {
    await remove(at);
    say(T.logins.ended);
    await load();
  };
  const load = async () => {
    const { data } = await get(path);
    const columns = [
      [T.logins.from, ({ source }) => stored(source ?? T.none)],
      [T.logins.program, ({ userAgent }) => stored(userAgent || T.none)],
      [T.logins.began, ({ created }) => T.serverTime(created)],
      [T.logins.lastUsed, ({ lastUsed }) => (lastUsed ? T.serverTime(lastUsed) : T.none)],
      ...(own ? [[T.logins.end, (session) => (session.current ? T.logins.current : button(T.logins.end, end(`${path}/${session.ID}`)))]] : []),
    ];
    holder.replaceChildren(table(T.logins.caption, columns, data, T.logins.empty));
    if (data.length) holder.append(el("p", { class: "bar" }, button(own ? T.logins.endOthers : T.logins.endAll, end(path), { class: "danger" })));
  };
  await load();
  return holder;
}
