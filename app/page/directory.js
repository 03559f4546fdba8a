/** The directory of a domain: finding and importing people, and updating all who are linked to it. */

import { get, post } from "./api.js";
import { explained, say } from "./dialogs.js";
import { domainHead, readDomain } from "./domains.js";
import { button, el, link, stored, table } from "./elements.js";
import { field } from "./forms.js";
import { T } from "./texts.js";

const SHORTEST = 3;

export async function directory({ domain: id }) {
  const domain = await readDomain(id);
  return [...domainHead(domain, T.directory.title(domain.domainname), "directory"), finding(domain), updating(domain)];
}

function finding(domain) {
  const results = el("div", { role: "status" });
  const query = el("input", { type: "search", id: "query", autocomplete: "off", required: true, minlength: SHORTEST });
  const bring = (found) => async ({ target }) => {
    target.disabled = true;
    try {
      const user = await post("/domains/ldap/importUser", undefined, { ID: found.ID, domain: domain.ID });
      say(T.directory.imported(user.username));
      target.replaceWith(link(stored(user.username), `#/domains/${user.domainID}/users/${user.ID}`));
    } catch (error) {
      target.disabled = false;
      target.after(explained(error));
    }
  };
  const onsubmit = async (event) => {
    event.preventDefault();
    if (query.value.trim().length < SHORTEST) return results.replaceChildren(el("p", { class: "bad" }, T.directory.tooShort));
    results.replaceChildren(T.loading);
    try {
      const { data } = await get("/domains/ldap/search", { query: query.value.trim(), domain: domain.ID });
      const columns = [
        [T.directory.name, ({ name }) => stored(name ?? T.none)],
        [T.directory.address, ({ email }) => stored(email ?? T.none)],
        [T.directory.kind, ({ type }) => type],
        [T.directory.bring, (found) => (found.error ? stored(found.error) : button(T.directory.bring, bring(found)))],
      ];
      results.replaceChildren(table(T.directory.caption, columns, data, T.directory.empty));
    } catch (error) {
      results.replaceChildren(explained(error));
    }
  };
  return el("section", { class: "paper" }, el("h2", {}, T.directory.find),
    el("form", { class: "bar", onsubmit, novalidate: true }, el("div", { class: "grow" }, el("label", { for: query.id }, T.directory.search), query), el("button", {}, T.directory.search)), results);
}

/** The plan is shown before anything is done. */
function updating(domain) {
  const outcome = el("div", { role: "status" });
  const bring = field("import", T.directory.alsoImport, "flag", { value: false });
  const run = async (dryRun) => {
    outcome.replaceChildren(el("progress", { "aria-label": T.loading }));
    try {
      const answer = await post(`/domains/${domain.ID}/ldap/downsync`, undefined, { import: bring.value, dryRun });
      const rows = (answer.data ?? []).filter(({ action }) => action !== "unchanged");
      const columns = [
        [T.directory.action, ({ action }) => T.directory.actions[action] ?? action],
        [T.directory.address, ({ username }) => stored(username ?? T.none)],
        [T.directory.result, ({ message }) => stored(message ?? "")],
      ];
      outcome.replaceChildren(el("p", {}, stored(answer.message)),
        answer.taskID ? el("p", {}, T.directory.runs, " ", link(T.tasks.title, "#/tasks")) : table(T.directory.planCaption, columns, rows, T.directory.nothing),
        dryRun && rows.length ? button(T.directory.apply, () => run(false), { class: "main" }) : "");
    } catch (error) {
      outcome.replaceChildren(explained(error));
    }
  };
  return el("section", { class: "paper" }, el("h2", {}, T.directory.sync), bring.element, el("p", { class: "bar" }, button(T.directory.plan, () => run(true))), outcome);
}
