/** Tokens for programs. */

import { get, post, remove } from "./api.js";
import { destroy, form, open, say } from "./dialogs.js";
import { button, el, stored, table } from "./elements.js";
import { field } from "./forms.js";
import { T } from "./texts.js";

export async function tokens() {
  const holder = el("div");
  const load = async () => {
    const { data } = await get("/tokens", { limit: 1000 });
    const columns = [
      [T.tokens.name, ({ name }) => stored(name)],
      [T.tokens.owner, ({ owner }) => stored(owner.username)],
      [T.roles.permissions, ({ permissions, readOnly }) => [permissions ? permissions.map(({ permission }) => permission).join(", ") : T.roles.everything, readOnly ? ` (${T.tokens.readOnly})` : ""]],
      [T.tokens.expires, ({ expires }) => expires ?? T.tokens.never],
      [T.tokens.lastUsed, ({ lastUsed, lastSource }) => stored([lastUsed ?? T.tokens.never, lastSource].filter(Boolean).join(" · "))],
      [T.tokens.actions, (token) => button(T.tokens.revoke, () => revoke(token), { class: "danger" })],
    ];
    holder.replaceChildren(table(T.tokens.caption, columns, data, T.tokens.empty));
  };
  const revoke = async ({ ID, name }) => {
    if (!(await destroy(T.tokens.revokeTitle(name), T.tokens.revokeText, name, T.tokens.revoke, () => remove(`/tokens/${ID}`)))) return;
    say(T.tokens.revoked);
    await load();
  };
  const create = async () => {
    const name = field("name", T.tokens.name, "text", { required: true });
    const readOnly = field("readOnly", T.tokens.readOnly, "flag", { value: true });
    const made = await form(T.tokens.create, el("div", { class: "fields" }, name.element, readOnly.element), T.tokens.create,
      () => post("/tokens", { name: name.value, readOnly: readOnly.value }));
    if (!made) return;
    await open(T.tokens.create, (dialog, close) => [
      el("p", {}, T.tokens.once), el("pre", { tabindex: "0" }, made.token), el("p", { class: "bar" }, button(T.tokens.done, () => close(true), { class: "main" }))]);
    await load();
  };
  await load();
  return [el("h1", { tabindex: "-1" }, T.tokens.title), el("p", { class: "bar" }, button(T.tokens.create, create, { class: "main" })), holder];
}
