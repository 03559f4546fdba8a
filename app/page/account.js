/** What is the caller's own. */

import { change } from "./api.js";
import { form, say } from "./dialogs.js";
import { button, el } from "./elements.js";
import { field } from "./forms.js";
import { loginsOf } from "./logins.js";
import { T } from "./texts.js";

export async function account() {
  return [el("h1", { tabindex: "-1" }, T.account.title),
    el("h2", {}, T.account.password), el("p", { class: "bar" }, button(T.account.change, changePassword)),
    el("h2", {}, T.account.sessions), await loginsOf("/sessions", true)];
}

async function changePassword() {
  const old = field("old", T.account.old, "password", { autocomplete: "current-password", required: true });
  const fresh = field("new", T.account.new, "password", { autocomplete: "new-password", required: true });
  if (await form(T.account.change, [old.element, fresh.element], T.save, () => change("PUT", "/passwd", { old: old.value, new: fresh.value }))) say(T.account.changed);
}
