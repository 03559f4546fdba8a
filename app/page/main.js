/** The frame around the views: who is logged in, the menu, and which view is shown. */

import { forgetLogin, get, loggedIn, login, logout, whenLoggedOut, whenOtherTab } from "./api.js";
import { explained, form, noticeArea } from "./dialogs.js";
import { button, el, link, stored } from "./elements.js";
import { field } from "./forms.js";
import { found, here } from "./places.js";
import { T } from "./texts.js";
import { caller } from "./caller.js";
import "./views.js";

const main = el("main", { id: "content", tabindex: "-1" });
let turn = 0;

const credentials = () => [
  field("user", T.login.user, "text", { autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false" }),
  field("pass", T.login.password, "password", { autocomplete: "current-password", required: true }),
];

/** Asks for a login above whatever is shown, which stays. Many requests may ask at the same time: one dialog. */
let asking = null;
whenLoggedOut(() => {
  const fields = credentials();
  asking ??= form(T.login.title, [el("p", {}, T.login.again), el("div", { class: "fields" }, fields.map(({ element }) => element))], T.login.submit,
    () => login(fields[0].value, fields[1].value)).then((done) => {
    asking = null;
    if (!done) {
      forgetLogin();
      show();
    }
    return Boolean(done);
  });
  return asking;
});
whenOtherTab(show);

function loginView() {
  const fields = credentials();
  const problem = el("div");
  const submit = el("button", { class: "main" }, T.login.submit);
  const onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      await login(fields[0].value, fields[1].value);
      await show();
    } catch (error) {
      problem.replaceChildren(explained(error));
      submit.disabled = false;
    }
  };
  return [el("h1", { tabindex: "-1" }, T.login.title),
    el("form", { class: "paper fields", onsubmit }, fields.map(({ element }) => element), problem, el("p", {}, submit))];
}

function menu() {
  const areas = [
    ["/", T.menu.domains, caller.administers],
    ["/roles", T.menu.roles, caller.may("SystemAdminRead")],
    ["/tasks", T.menu.tasks, caller.may("SystemAdminRead")],
    ["/tokens", T.menu.tokens, caller.administers],
    ["/changes", T.menu.changes, caller.administers],
    ["/health", T.menu.health, caller.may("SystemAdminRead")],
    ["/account", T.menu.account, true],
  ];
  return el("header", { class: "top" },
    link(T.product, "#/", { class: "name" }),
    el("nav", { "aria-label": T.menu.label }, areas.filter(([, , allowed]) => allowed).map(([path, label]) =>
      link(label, `#${path}`, { "aria-current": here() === path ? "page" : undefined }))),
    stored(caller.me.username),
    button(T.login.logout, async () => {
      await logout();
      await show();
    }));
}

/** Shows the present place. When another one was chosen meanwhile, the older one is dropped. */
async function show() {
  const mine = (turn += 1);
  const content = [];
  let header = el("header", { class: "top" }, link(T.product, "#/", { class: "name" }));
  main.setAttribute("aria-busy", "true");
  try {
    if (!loggedIn()) content.push(...loginView());
    else {
      caller.takes(await get("/me"));
      header = menu();
      const view = found();
      content.push(...[view ? await view() : el("h1", { tabindex: "-1" }, T.nothingHere)].flat());
    }
  } catch (error) {
    if (mine !== turn) return;
    content.push(el("h1", { tabindex: "-1" }, T.product), explained(error), button(T.retry, show));
  }
  if (mine !== turn) return;
  main.removeAttribute("aria-busy");
  main.replaceChildren(...content);
  document.querySelector("header.top").replaceWith(header);
  const heading = main.querySelector("h1");
  document.title = heading ? `${heading.textContent} · ${T.product}` : T.product;
  heading?.focus();
}

document.body.append(
  link(T.skip, "#content", { class: "skip", onclick: (event) => { event.preventDefault(); main.focus(); } }),
  el("header", { class: "top" }), main, noticeArea());
addEventListener("hashchange", () => {
  // A dialog belongs to the view below it.
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  show();
});
addEventListener("postroom:show", show);
await show();
