/** One person: the frame, and the account itself. Each other section has a file of its own. */

import { change, get, remove } from "./api.js";
import { caller } from "./caller.js";
import { changesOf } from "./changes.js";
import { destroy, explained, form, say } from "./dialogs.js";
import { details } from "./details.js";
import { devices } from "./devices.js";
import { readDomain } from "./domains.js";
import { button, el, link, stored } from "./elements.js";
import { editor, field } from "./forms.js";
import { lists } from "./lists.js";
import { loginsOf } from "./logins.js";
import { oof } from "./oof.js";
import { T } from "./texts.js";

const SECTIONS = {
  "": account,
  lists: (user, path) => lists(path, () => caller.may("DomainAdminWrite")),
  oof: (user, path) => oof(path, caller.may("DomainAdminWrite")),
  devices: (user, path) => devices(path, { change: caller.may("DomainAdminWrite") }),
  details: (user, path) => details(path),
  logins: (user, path) => loginsOf(`${path}/sessions`),
  changes: (user) => changesOf({ kind: "user", objectID: user.ID }),
};
const QUOTAS = [["storagequotalimit", T.person.storage], ["prohibitsendquota", T.person.noSendingFrom], ["prohibitreceivequota", T.person.noReceivingFrom]];
/** Kibibytes, as the API counts quotas, in a mebibyte, as people do. */
const KIB = 1024;
const inMiB = (kib) => Math.round((kib / KIB) * 1000) / 1000;

export async function person({ domain: domainID, user: userID, section = "" }) {
  const path = `/domains/${Number(domainID)}/users/${Number(userID)}`;
  const [domain, user] = await Promise.all([readDomain(domainID), get(path)]);
  const show = SECTIONS[section];
  if (!show) throw new Error(T.nothingHere);
  return [
    el("p", { class: "crumbs" }, link(T.domains.title, "#/"), " › ", link(stored(domain.domainname), `#/domains/${domain.ID}`)),
    el("h1", { tabindex: "-1" }, stored(user.properties.displayname || user.username)),
    el("p", { class: "hint" }, stored(user.username), user.ldapID ? [" · ", T.person.linked(user.ldapID)] : null),
    el("nav", { class: "sections", "aria-label": user.username }, Object.entries(T.person.sections).map(([name, label]) =>
      link(label, `#${path}${name && `/${name}`}`, { "aria-current": name === section ? "page" : undefined }))),
    ...[await show(user, path)].flat(),
  ];
}

function account(user, path) {
  const main = editor({ path, groups, valueOf, body });
  const acts = caller.may("DomainAdminWrite") ? el("p", { class: "bar" },
    user.ldapID ? button(T.person.downsync, (event) => downsync(event.target, path)) : button(T.person.setPassword, () => setPassword(path)),
    caller.may("SystemAdminWrite") ? button(T.person.roles, () => chooseRoles(path)) : null,
    button(T.people.delete, () => deletePerson(user, path), { class: "danger" })) : null;
  return [acts, main.element].filter(Boolean);
}

function groups(user) {
  const statuses = Object.entries(T.people.statuses).filter(([value]) => value !== "3").map(([value, label]) => [Number(value), label]);
  const text = (name, label, more = {}) => field(name, label, "text", { value: valueOf(user, name), autocapitalize: "none", spellcheck: "false", ...more });
  return [
    [T.person.account, [
      text("username", T.person.username), field("displayname", T.people.displayName, "text", { value: valueOf(user, "displayname"), empty: null }),
      field("status", T.person.status, "choice", { value: user.status, options: statuses }), text("lang", T.person.lang),
    ]],
    [T.person.mail, [
      field("aliases", T.person.aliases, "lines", { value: user.aliases, hint: T.person.aliasesHint }),
      field("altnames", T.person.altnames, "lines", { value: valueOf(user, "altnames"), hint: T.person.altnamesHint }),
      ...forwardFields(user),
    ]],
    [T.person.limits, QUOTAS.map(([name, label], index) => field(name, label, "number", { value: valueOf(user, name) ?? "", empty: null, min: 0, hint: index ? undefined : T.person.limitsHint }))],
    [T.person.privileges, Object.entries(T.person.flags).map(([name, label]) => field(name, label, "flag", { value: user[name] }))],
  ];
}

/** The forward in a document, as the fields have it. */
export const forwardOf = ({ forward }) => ({ forwardType: forward ? String(forward.forwardType) : "", destination: forward?.destination ?? "" });

export function forwardFields(document) {
  const { forwardType, destination } = forwardOf(document);
  return [
    field("forwardType", T.person.forwardType, "choice", { value: forwardType, options: ["", 0, 1].map((type) => [String(type), T.person.forwardTypes[type]]) }),
    field("destination", T.person.destination, "text", { value: destination, autocapitalize: "none", spellcheck: "false" }),
  ];
}

function valueOf(user, name) {
  if (name === "displayname") return user.properties.displayname ?? null;
  if (name === "altnames") return user.altnames.map(({ altname }) => altname);
  if (name === "forwardType" || name === "destination") return forwardOf(user)[name];
  if (QUOTAS.some(([quota]) => quota === name)) return user.properties[name] === undefined ? null : inMiB(user.properties[name]);
  return user[name];
}

/** The fields of the form as the API wants them. */
function body({ displayname, altnames, forwardType, destination, ...values }, user) {
  const properties = {};
  if (displayname !== undefined) properties.displayname = displayname;
  for (const [name] of QUOTAS) {
    if (!(name in values)) continue;
    properties[name] = values[name] === null ? null : Math.round(values[name] * KIB);
    delete values[name];
  }
  if (Object.keys(properties).length) values.properties = properties;
  if (altnames) values.altnames = altnames.map((altname) => ({ magic: 0, ...user.altnames.find((one) => one.altname === altname), altname }));
  if (forwardType !== undefined || destination !== undefined) {
    const before = forwardOf(user);
    const type = forwardType ?? before.forwardType;
    values.forward = type === "" ? null : { forwardType: Number(type), destination: destination ?? before.destination };
  }
  return values;
}

async function setPassword(path) {
  const password = field("new", T.person.newPassword, "password", { autocomplete: "new-password", required: true });
  if (await form(T.person.setPassword, password.element, T.save, () => change("PUT", `${path}/password`, { new: password.value }))) say(T.person.passwordSet);
}

async function downsync(pressed, path) {
  pressed.disabled = true;
  try {
    await change("PUT", `${path}/downsync`);
    say(T.saved);
    dispatchEvent(new Event("postroom:show"));
  } catch (error) {
    pressed.after(explained(error));
    pressed.disabled = false;
  }
}

async function chooseRoles(path) {
  const [{ data: roles }, { roles: held }] = await Promise.all([get("/system/roles", { level: 0, limit: 1000 }), get(path)]);
  const fields = roles.map(({ ID, name }) => ({ ID, ...field(String(ID), stored(name), "flag", { value: held.some((one) => one.ID === ID) }) }));
  const done = await form(T.person.roles, fields.length ? fields.map(({ element }) => element) : el("p", {}, T.person.noRoles), T.save,
    () => change("PATCH", `${path}/roles`, { roles: fields.filter(({ input }) => input.checked).map(({ ID }) => ID) }));
  if (done) say(T.saved);
}

async function deletePerson(user, path) {
  if (!(await destroy(T.person.deleteTitle, T.person.deleteText, user.username, T.people.delete, () => remove(path)))) return;
  say(T.person.deleted(user.username));
  // The back button must not lead to somebody who is gone.
  location.replace(`#/domains/${user.domainID}`);
}
