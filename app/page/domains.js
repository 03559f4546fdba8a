/** Domains: the list, the settings of one, and what the DNS says about it. */

import { get, post } from "./api.js";
import { caller } from "./caller.js";
import { form, say } from "./dialogs.js";
import { button, el, link, stored, table } from "./elements.js";
import { editor, field } from "./forms.js";
import { go } from "./places.js";
import { T } from "./texts.js";

/** Above the views of one domain. */
export function domainHead(domain, title, section = "") {
  const sections = [["", T.domains.people2], ["directory", T.domains.directory], ["settings", T.domains.settings], ["dns", T.domains.dns]];
  const path = `#/domains/${domain.ID}`;
  return [
    el("p", { class: "crumbs" }, link(T.domains.title, "#/"), " › ", link(stored(domain.domainname), path)),
    el("h1", { tabindex: "-1" }, title),
    el("nav", { class: "sections", "aria-label": domain.domainname }, sections.map(([name, label]) =>
      link(label, name ? `${path}/${name}` : path, { "aria-current": name === section ? "page" : undefined }))),
  ];
}

/** The domain as the caller may read it. */
export const readDomain = async (id) => {
  const { data } = await get("/domains", { level: 2 });
  const domain = data.find(({ ID }) => ID === Number(id));
  if (!domain) throw new Error(T.nothingHere);
  return domain;
};

export async function domains() {
  const { data } = await get("/domains");
  const used = (domain) => domain.activeUsers + domain.inactiveUsers;
  const columns = [
    [T.domains.name, (domain) => link(stored(domain.displayname || domain.domainname), `#/domains/${domain.ID}`)],
    [T.domains.title2, (domain) => stored(domain.title || T.none)],
    [T.domains.people, (domain) => [
      el("meter", { min: 0, max: Math.max(domain.maxUser, 1), value: used(domain), "aria-label": T.domains.people }), " ", T.domains.of(used(domain), domain.maxUser)]],
    [T.domains.status, (domain) => T.domains.statuses[domain.domainStatus] ?? String(domain.domainStatus)],
  ];
  return [el("h1", { tabindex: "-1" }, T.domains.title),
    caller.may("SystemAdminWrite") ? el("p", { class: "bar" }, button(T.domains.create, create, { class: "main" })) : null,
    table(T.domains.title, columns, data, T.domains.empty)].filter(Boolean);
}

async function create() {
  const name = field("domainname", T.domains.name, "text", { required: true, autocapitalize: "none", spellcheck: "false" });
  const limit = field("maxUser", T.domains.limit, "number", { value: 100, min: 1, required: true });
  const made = await form(T.domains.create, el("div", { class: "fields" }, name.element, limit.element), T.domains.create,
    () => post("/system/domains", { domainname: name.value, maxUser: limit.value }));
  if (!made) return;
  say(T.domains.created(made.domainname));
  go(`/domains/${made.ID}`);
}

export async function domainSettings({ domain: id }) {
  const domain = await readDomain(id);
  const names = [["title", T.domains.title2, "text"], ["address", T.domains.address, "text"], ["adminName", T.domains.adminName, "text"], ["tel", T.domains.tel, "text"], ["maxUser", T.domains.limit, "number"]];
  const statuses = Object.entries(T.domains.statuses).filter(([status]) => status !== "3").map(([status, label]) => [Number(status), label]);
  const content = !caller.may("SystemAdminRead") ? el("p", {}, T.notAllowed) : editor({
    path: `/system/domains/${domain.ID}`,
    groups: (document) => [[T.domains.about, [
      ...names.map(([name, label, kind]) => field(name, label, kind, { value: document[name], min: kind === "number" ? 1 : undefined })),
      field("domainStatus", T.domains.status, "choice", { value: document.domainStatus, options: statuses }),
    ]], [T.domains.own, Object.entries(T.domains.subjects).map(([name, label]) => field(name, label, "flag", { value: document.selfService.includes(name) }))]],
    valueOf: (document, name) => (name in T.domains.subjects ? document.selfService.includes(name) : document[name]),
    body,
    readOnly: !caller.may("SystemAdminWrite"),
  }).element;
  return [...domainHead(domain, T.domains.settings, "settings"), content];
}

/** The flags of what people may change are one list in the API. */
function body(values, document) {
  const subjects = Object.keys(T.domains.subjects);
  const changed = Object.fromEntries(Object.entries(values).filter(([name]) => !subjects.includes(name)));
  if (subjects.some((name) => name in values)) changed.selfService = subjects.filter((name) => values[name] ?? document.selfService.includes(name));
  return changed;
}

export async function domainDns({ domain: id }) {
  const domain = await readDomain(id);
  const answer = await get(`/domains/${domain.ID}/dnsCheck`);
  const rows = Object.entries(answer).map(([record, value]) => [record, value && typeof value === "object" ? Object.values(value).filter(Boolean).join(", ") : value]);
  return [...domainHead(domain, T.dns.title(domain.domainname), "dns"),
    table(T.domains.dns, [[T.dns.record, ([record]) => record], [T.dns.found, ([, value]) => stored(value || T.none)]], rows, T.none)];
}
