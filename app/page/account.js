/** What is the caller's own: for everybody who has a login. */

import { change } from "./api.js";
import { caller } from "./caller.js";
import { devices } from "./devices.js";
import { form, say } from "./dialogs.js";
import { button, el, link, stored } from "./elements.js";
import { editor, field } from "./forms.js";
import { lists } from "./lists.js";
import { loginsOf } from "./logins.js";
import { oof } from "./oof.js";
import { forwardFields, forwardOf } from "./person.js";
import { T } from "./texts.js";

const OWN = "/me";
const SECTIONS = {
  "": overview,
  oof: () => oof(OWN, caller.mayOwn("oof")),
  forward,
  lists: () => lists(OWN, (name) => caller.mayOwn(name)),
  devices: () => devices(OWN, { own: true, change: caller.mayOwn("devices") }),
  logins: () => loginsOf(`${OWN}/sessions`, true),
};
/** What needs a mailbox. */
const OF_MAILBOXES = ["oof", "forward", "lists", "devices"];

export async function account({ section = "" }) {
  const show = SECTIONS[section];
  if (!show) throw new Error(T.nothingHere);
  const names = Object.entries(T.account.sections).filter(([name]) => caller.me.mailbox || !OF_MAILBOXES.includes(name));
  return [
    el("h1", { tabindex: "-1" }, T.account.title),
    el("nav", { class: "sections", "aria-label": T.account.title }, names.map(([name, label]) =>
      link(label, `#/account${name && `/${name}`}`, { "aria-current": name === section ? "page" : undefined }))),
    ...[await show()].flat(),
  ];
}

function overview() {
  const { username, displayname, aliases, altnames, quota, ldap, timezone, now } = caller.me;
  const limit = quota.storagequotalimit;
  const facts = [
    [T.person.username, stored(username)],
    [T.people.displayName, stored(displayname ?? T.none)],
    [T.person.aliases, stored(aliases.join(", ") || T.none)],
    [T.person.altnames, stored(altnames.join(", ") || T.none)],
    [T.person.limits, limit ? `${Math.round(limit / 1024)} MiB` : T.account.noLimit],
    [T.account.serverTime, `${now} (${timezone})`],
  ];
  return [
    el("dl", { class: "facts paper" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("p", { class: "bar" }, ldap ? T.account.inDirectory : button(T.account.change, changePassword)),
  ];
}

function forward() {
  if (!caller.mayOwn("forward")) return el("p", {}, T.account.notAllowed);
  return editor({
    path: `${OWN}/forward`,
    method: "PUT",
    groups: (document) => [[T.person.forwardType, forwardFields(document)]],
    valueOf: (document, name) => forwardOf(document)[name],
    body: (values, document) => {
      const { forwardType, destination } = { ...forwardOf(document), ...values };
      return { forward: forwardType === "" ? null : { forwardType: Number(forwardType), destination } };
    },
  }).element;
}

async function changePassword() {
  const old = field("old", T.account.old, "password", { autocomplete: "current-password", required: true });
  const fresh = field("new", T.account.new, "password", { autocomplete: "new-password", required: true });
  if (await form(T.account.change, [old.element, fresh.element], T.save, () => change("PUT", "/passwd", { old: old.value, new: fresh.value }))) say(T.account.changed);
}
