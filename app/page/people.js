/** The people of a domain: searched while typing, sorted, filtered, many selected at once. */

import { get, post, change, remove } from "./api.js";
import { caller } from "./caller.js";
import { destroy, explained, form, say } from "./dialogs.js";
import { domainHead, readDomain } from "./domains.js";
import { button, debounced, el, link, stored } from "./elements.js";
import { field } from "./forms.js";
import { go } from "./places.js";
import { T } from "./texts.js";

const PAGE = 100;
const NAMED = 5;
/** Columns: heading, the name by which the API sorts, cell. */
const COLUMNS = [
  [T.people.address, "username", (user) => link(stored(user.username), `#/domains/${user.domainID}/users/${user.ID}`)],
  [T.people.name, "displayname", (user) => stored(user.properties?.displayname ?? "")],
  [T.people.status, "status", (user) => T.people.statuses[user.status] ?? String(user.status)],
  [T.people.limit, "storagequotalimit", (user) => (user.properties?.storagequotalimit ? `${Math.round(user.properties.storagequotalimit / 1024)} MiB` : T.none)],
];

export async function people({ domain: id }) {
  const domain = await readDomain(id);
  const path = `/domains/${domain.ID}/users`;
  const chosen = new Map();
  let sort = "username", rows = 0, controller = new AbortController(), finished = true, loading = false;

  const search = el("input", { type: "search", id: "search", autocomplete: "off", spellcheck: "false", oninput: debounced(40, () => load(true)) });
  const status = el("select", { id: "status", onchange: () => load(true) }, el("option", { value: "" }, T.people.all),
    Object.entries(T.people.statuses).filter(([value]) => value !== "3").map(([value, label]) => el("option", { value }, label)));
  const found = el("p", { role: "status", class: "hint" });
  const problem = el("div");
  const body = el("tbody");
  const end = el("p", { class: "bar" }, button(T.people.more, () => load(false)));
  const all = el("input", { type: "checkbox", "aria-label": T.people.selectAll, onchange: () => {
    for (const box of body.querySelectorAll("input")) if (box.checked !== all.checked) box.click();
  } });
  const headings = COLUMNS.map(([heading, name]) => {
    const sorted = button(heading, () => {
      sort = sort === name ? `${name},desc` : name;
      headings.forEach((th) => th.removeAttribute("aria-sort"));
      sorted.closest("th").setAttribute("aria-sort", sort === name ? "ascending" : "descending");
      load(true);
    }, { class: "plain", title: T.people.sortBy(heading) });
    return el("th", { scope: "col", "aria-sort": name === sort ? "ascending" : undefined }, sorted);
  });
  const actions = el("div", { class: "bar", role: "group", "aria-label": T.people.caption });

  const row = (user) => {
    const box = el("input", { type: "checkbox", "aria-label": T.people.select(user.username), checked: chosen.has(user.ID), onchange: () => {
      if (box.checked) chosen.set(user.ID, user);
      else chosen.delete(user.ID);
      box.closest("tr").setAttribute("aria-selected", String(box.checked));
      drawActions();
    } });
    return el("tr", { "aria-selected": String(chosen.has(user.ID)) }, el("td", {}, box), COLUMNS.map(([, , cell], index) => el(index ? "td" : "th", index ? {} : { scope: "row" }, cell(user))));
  };

  async function load(anew) {
    if (loading && !anew) return;
    controller.abort();
    const mine = (controller = new AbortController());
    loading = true;
    const query = { level: 1, limit: PAGE, offset: anew ? 0 : rows, sort, match: search.value.trim(), matchProps: "displayname", status: status.value, properties: "displayname,storagequotalimit" };
    try {
      const { count, data } = await get(path, query, { signal: mine.signal });
      if (anew) body.replaceChildren();
      rows = (anew ? 0 : rows) + data.length;
      body.append(...data.map(row));
      finished = data.length < PAGE || rows >= count;
      end.hidden = finished;
      found.textContent = count ? T.people.found(count) : T.people.empty;
      problem.replaceChildren();
    } catch (error) {
      if (error.name !== "AbortError") problem.replaceChildren(explained(error));
    } finally {
      if (mine === controller) loading = false;
    }
  }

  /** Does the same to everybody who is selected, one after the other, and says for how many it worked. */
  async function forChosen(work) {
    let done = 0, failed = 0, reason = "";
    for (const user of [...chosen.values()]) {
      try {
        await work(user);
        chosen.delete(user.ID);
        done += 1;
      } catch (error) {
        failed += 1;
        reason = error.message;
      }
    }
    say(failed ? T.people.partly(done, failed, reason) : T.people.done(done));
    drawActions();
    await load(true);
  }
  const setStatus = (value) => () => forChosen((user) => change("PATCH", `${path}/${user.ID}`, { status: value }));

  async function deleteChosen() {
    const users = [...chosen.values()];
    const names = users.slice(0, NAMED).map(({ username }) => username);
    const sure = await destroy(T.people.deleteTitle(users.length), T.people.deleteText(names, users.length - names.length), T.people.deleteCheck(users.length), T.people.delete, async () => true);
    if (sure) await forChosen((user) => remove(`${path}/${user.ID}`));
  }

  async function addRole() {
    const { data } = await get("/system/roles", { level: 0, limit: 1000 });
    const role = field("role", T.people.role, "choice", { options: data.map(({ ID, name }) => [ID, name]), value: data[0]?.ID });
    if (!data.length) return say(T.person.noRoles);
    const sure = await form(T.people.addRole, role.element, T.add, async () => true);
    if (!sure) return;
    await forChosen(async (user) => {
      const { roles } = await get(`${path}/${user.ID}`);
      const held = roles.map(({ ID }) => ID);
      if (!held.includes(role.value)) await change("PATCH", `${path}/${user.ID}/roles`, { roles: [...held, role.value] });
    });
  }

  function drawActions() {
    const some = chosen.size > 0;
    actions.replaceChildren(...(some && caller.may("DomainAdminWrite") ? [
      el("span", { role: "status" }, T.people.selected(chosen.size)),
      button(T.people.suspend, setStatus(1)), button(T.people.activate, setStatus(0)),
      ...(caller.may("SystemAdminWrite") ? [button(T.people.addRole, addRole)] : []),
      button(T.people.delete, deleteChosen, { class: "danger" }),
    ] : []));
  }

  const more = new IntersectionObserver(([entry]) => entry.isIntersecting && !finished && load(false), { rootMargin: "1200px" });
  more.observe(end);
  await load(true);
  return [...domainHead(domain, T.people.title(domain.domainname)),
    el("div", { class: "bar" },
      el("div", { class: "grow" }, el("label", { for: "search" }, T.people.search), search),
      el("div", {}, el("label", { for: "status" }, T.people.status), status),
      caller.may("DomainAdminWrite") ? button(T.people.create, () => create(domain), { class: "main" }) : null),
    found, actions, problem,
    el("div", { class: "scrolled people", tabindex: "0", role: "group", "aria-label": T.people.caption },
      el("table", {}, el("caption", { class: "unseen" }, T.people.caption),
        el("thead", {}, el("tr", {}, el("td", {}, all), headings)), body)),
    end];
}

/** A new person, filled in with the defaults of the domain. */
async function create(domain) {
  const { data: { user: defaults = {} } } = await get("/defaults/createParams", { domain: domain.ID });
  const { password: _unused, properties = {}, ...rest } = defaults;
  const name = field("username", T.people.username, "text", { required: true, autocomplete: "username", autocapitalize: "none", spellcheck: "false", hint: `@${domain.domainname}` });
  const shownName = field("displayname", T.people.displayName, "text");
  const kind = field("status", T.people.kind, "choice", { value: 0, options: Object.entries(T.people.kinds).map(([value, label]) => [Number(value), label]) });
  const password = field("password", T.people.password, "password", { autocomplete: "new-password", hint: T.people.noPassword });
  const quota = field("quota", T.people.quota, "number", { min: 1, value: properties.storagequotalimit ? properties.storagequotalimit / 1024 : "", empty: null });
  const made = await form(T.people.create, [el("div", { class: "fields" }, [name, shownName, kind, password, quota].map(({ element }) => element)), el("p", { class: "hint" }, T.people.defaults)], T.people.create, () =>
    post(`/domains/${domain.ID}/users`, {
      ...rest,
      username: name.value.trim(),
      status: kind.value,
      ...(password.value && kind.value === 0 ? { password: password.value } : {}),
      properties: { ...properties, ...(shownName.value ? { displayname: shownName.value } : {}), ...(quota.value ? { storagequotalimit: quota.value * 1024 } : { storagequotalimit: null }) },
    }));
  if (!made) return;
  say(T.people.created(made.username));
  go(`/domains/${domain.ID}/users/${made.ID}`);
}
