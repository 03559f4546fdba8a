/** Roles: what they allow. */

import { get, post, remove } from "./api.js";
import { caller } from "./caller.js";
import { destroy, form, say } from "./dialogs.js";
import { button, el, stored, table } from "./elements.js";
import { field } from "./forms.js";
import { T } from "./texts.js";

/** Permissions for one domain or organisation, or for all. */
const SCOPED = ["OrgAdmin", "DomainAdmin", "DomainAdminRO", "DomainPurge"];

export async function roles() {
  const holder = el("div");
  const load = async () => {
    const { data } = await get("/system/roles", { level: 1, limit: 1000 });
    const columns = [
      [T.roles.name, ({ name, description }) => [stored(name), el("br"), el("small", {}, stored(description ?? ""))]],
      [T.roles.permissions, ({ permissions }) => el("ul", { class: "tags" }, permissions.map(({ permission, params }) => el("li", {}, permission, params === null ? "" : ` (${params}) `)))],
      ...(caller.may("SystemAdminWrite") ? [[T.roles.actions, (role) => button(T.roles.delete, () => drop(role), { class: "danger" })]] : []),
    ];
    holder.replaceChildren(table(T.roles.caption, columns, data, T.roles.empty));
  };
  const drop = async ({ ID, name }) => {
    if (!(await destroy(T.roles.deleteTitle(name), T.roles.deleteText, name, T.roles.delete, () => remove(`/system/roles/${ID}`)))) return;
    say(T.roles.deleted);
    await load();
  };
  const create = async () => {
    const { data } = await get("/system/roles/permissions");
    const name = field("name", T.roles.name, "text", { required: true });
    const description = field("description", T.roles.description, "text");
    const permission = field("permission", T.roles.permission, "choice", { options: data.map((one) => [one, one]), value: "DomainAdmin" });
    const params = field("params", T.roles.params, "text", { value: "*" });
    const made = await form(T.roles.create, el("div", { class: "fields" }, [name, description, permission, params].map(({ element }) => element)), T.roles.create, () => {
      const scope = SCOPED.includes(permission.value) ? { params: /^\d+$/.test(params.value) ? Number(params.value) : params.value } : {};
      return post("/system/roles", { name: name.value, description: description.value, permissions: [{ permission: permission.value, ...scope }] });
    });
    if (!made) return;
    say(T.roles.created(name.value));
    await load();
  };
  await load();
  return [el("h1", { tabindex: "-1" }, T.roles.title),
    caller.may("SystemAdminWrite") ? el("p", { class: "bar" }, button(T.roles.create, create, { class: "main" })) : null, holder].filter(Boolean);
}
