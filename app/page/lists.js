/** Who may act for a person: delegates, send-as, store access. */

import { ApiError, change, read } from "./api.js";
import { explained, say } from "./dialogs.js";
import { button, el, stored } from "./elements.js";
import { T } from "./texts.js";

const LISTS = [
  ["delegates", T.lists.delegates, T.lists.delegatesText, (data) => data, (names) => names],
  ["sendas", T.lists.sendas, T.lists.sendasText, (data) => data, (names) => names],
  ["storeAccess", T.lists.storeAccess, T.lists.storeAccessText, (data) => data.map(({ username }) => username), (names) => ({ usernames: names })],
];

/** `may(name)`: whether the caller may change a list. Store access is nothing that users give themselves. */
export const lists = (path, may) =>
  Promise.all(LISTS.filter(([name]) => path !== "/me" || name !== "storeAccess").map((list) => section(path, may(list[0]), ...list)));

async function section(path, mayChange, name, heading, text, namesOf, bodyOf) {
  const at = `${path}/${name}`;
  const holder = el("div");

  // Another may change the list at the same time: a change is made to what is stored now, never to what was shown.
  const update = async (changed) => {
    for (;;) {
      const { document, etag } = await read(at);
      try {
        await change("PUT", at, bodyOf(changed(namesOf(document.data))), etag);
        return;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 412) throw error;
      }
    }
  };
  const doing = async (changed, problem) => {
    try {
      await update(changed);
      say(T.saved);
      await load();
    } catch (error) {
      problem.replaceChildren(explained(error));
    }
  };
  const load = async () => {
    const names = namesOf((await read(at)).document.data);
    const problem = el("div");
    const input = el("input", { type: "email", id: `add-${name}`, autocomplete: "off", required: true });
    const onsubmit = (event) => {
      event.preventDefault();
      doing((present) => [...present, input.value.trim()], problem);
    };
    holder.replaceChildren(
      names.length ? el("ul", { class: "tags" }, names.map((one) => el("li", {}, stored(one),
        mayChange && button("×", () => doing((present) => present.filter((other) => other !== one), problem), { class: "plain", "aria-label": T.removeNamed(one) })))) : el("p", { class: "empty" }, T.lists.empty),
      problem,
      mayChange ? el("form", { class: "bar", onsubmit, novalidate: true }, el("div", { class: "grow" }, el("label", { for: input.id }, T.lists.address), input), el("button", {}, T.add)) : "");
  };
  await load();
  return el("section", { class: "paper" }, el("h2", {}, heading), el("p", { class: "hint" }, text), holder);
}
