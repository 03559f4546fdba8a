/** Notices, and dialogs that ask before anything is done. */

import { ApiError } from "./api.js";
import { button, el, stored } from "./elements.js";
import { T } from "./texts.js";

const notices = el("div", { class: "notices", role: "status", "aria-live": "polite" });

export const noticeArea = () => notices;

/** Says what has happened, for a few seconds. */
export function say(text) {
  const notice = el("p", {}, stored(text));
  notices.append(notice);
  setTimeout(() => notice.remove(), 6000);
}

/** The message of an error and its list, for people. */
export function explained(error) {
  const list = error instanceof ApiError ? error.errors.filter((text) => !error.message.includes(text)) : [];
  return el("div", { class: "bad", role: "alert" },
    el("p", {}, stored(error.message)), list.length ? el("ul", {}, list.map((text) => el("li", {}, stored(text)))) : null);
}

/** Shows a dialog; `fill(dialog, close)` makes what is in it. Resolves to what `close` was given, null for Escape. */
export function open(title, fill) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const heading = el("h2", { id: `dialog-${document.querySelectorAll("dialog").length}` }, title);
    const dialog = el("dialog", { "aria-labelledby": heading.id }, heading);
    let result = null;
    const close = (value) => {
      result = value;
      dialog.close();
    };
    dialog.append(...[fill(dialog, close)].flat());
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A form in a dialog. `send(form)` does the work: when it fails, the form stays as it is, with the reason. */
export function form(title, fields, label, send, { danger = false, ready = () => true } = {}) {
  return open(title, (dialog, close) => {
    const problem = el("div");
    const submit = el("button", { class: danger ? "danger" : "main", disabled: !ready() }, label);
    const onsubmit = async (event) => {
      event.preventDefault();
      submit.disabled = true;
      problem.replaceChildren();
      try {
        close((await send()) ?? true);
      } catch (error) {
        problem.replaceChildren(explained(error));
      } finally {
        submit.disabled = !ready();
      }
    };
    const oninput = () => (submit.disabled = !ready());
    return el("form", { onsubmit, oninput }, fields, problem,
      el("p", { class: "bar" }, submit, button(T.cancel, () => close(null))));
  });
}

/** Asks before something is destroyed: says what, and wants its name typed. */
export function destroy(title, consequences, name, label, send, fields = []) {
  const typed = el("input", { autocomplete: "off", spellcheck: "false" });
  const content = [
    el("p", {}, consequences),
    el("p", { class: "field" }, el("label", {}, T.typeToConfirm, " ", el("strong", {}, stored(name)), typed)),
    ...fields,
  ];
  return form(title, content, label, send, { danger: true, ready: () => typed.value.trim() === name });
}

/** Two versions of one document: theirs is stored, mine is in the form. Resolves to "mine", "theirs" or null. */
export function choose(differences) {
  return open(T.conflict.title, (dialog, close) => [
    el("p", {}, T.conflict.text),
    el("div", { class: "scrolled", tabindex: "0", role: "group", "aria-label": T.conflict.title },
      el("table", {},
        el("thead", {}, el("tr", {}, [T.conflict.field, T.conflict.theirs, T.conflict.mine].map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, differences.map(({ label, theirs, mine }) =>
          el("tr", {}, el("th", { scope: "row" }, label), el("td", {}, stored(theirs)), el("td", {}, stored(mine))))))),
    el("p", { class: "bar" },
      button(T.conflict.keepMine, () => close("mine"), { class: "main" }),
      button(T.conflict.takeTheirs, () => close("theirs")),
      button(T.conflict.goOn, () => close(null))),
  ]);
}
