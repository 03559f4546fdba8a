/** Out of office, with what a sender would see. */

import { caller } from "./caller.js";
import { el, stored } from "./elements.js";
import { editor, field } from "./forms.js";
import { T } from "./texts.js";

const choices = (texts) => Object.entries(texts).map(([value, label]) => [Number(value), label]);
/** The API has "2026-08-01 00:00:00", the field "2026-08-01T00:00:00". */
const toField = (text) => (text ? text.replace(" ", "T") : "");
const fromField = (text) => (text ? `${text.replace("T", " ")}${text.length === 16 ? ":00" : ""}` : null);
const WINDOW = ["startTime", "endTime"];

/** What is true now, by the clock of the server. Its times are texts that compare like times. */
function inForce({ state, startTime, endTime }) {
  if (state === 0) return T.oof.off;
  if (state === 1) return T.oof.inForce;
  const { now } = caller.me;
  return now < startTime ? T.oof.later(startTime) : now < endTime ? T.oof.inForceUntil(endTime) : T.oof.over(endTime);
}

/** `mayChange`: otherwise it is only shown. */
export function oof(path, mayChange) {
  const preview = el("div", { class: "paper" });
  const draw = (document) => preview.replaceChildren(el("div", {},
    el("h2", {}, T.oof.preview),
    el("p", {}, inForce(document)), el("p", { class: "hint" }, T.oof.clock(caller.me.now, caller.me.timezone)),
    document.state ? ["internal", "external"].map((side) => [
      el("h3", {}, T.oof[side]), el("p", {}, el("strong", {}, stored(document[`${side}Subject`] ?? T.none))), el("pre", {}, stored(document[`${side}Reply`] ?? T.none))]) : null));

  const form = editor({
    path: `${path}/oof`,
    readOnly: !mayChange,
    method: "PUT",
    groups: (document) => {
      draw(document);
      const text = (name, label, kind = "text") => field(name, label, kind, { value: document[name] });
      const when = (name, label) => field(name, label, "datetime-local", { value: toField(document[name]), hint: T.oof.zone, step: 1 });
      return [
        [T.oof.title, [field("state", T.oof.state, "choice", { value: document.state, options: choices(T.oof.states) }), when("startTime", T.oof.from), when("endTime", T.oof.until)]],
        [T.oof.internal, [text("internalSubject", T.oof.subject), text("internalReply", T.oof.text, "multiline")]],
        [T.oof.external, [field("externalAudience", T.oof.audience, "choice", { value: document.externalAudience, options: choices(T.oof.audiences) }), text("externalSubject", T.oof.subject), text("externalReply", T.oof.text, "multiline")]],
      ];
    },
    valueOf: (document, name) => (WINDOW.includes(name) ? toField(document[name]) : document[name] ?? ""),
    body: (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, WINDOW.includes(name) ? fromField(value) : value])),
  });
  return [form.element, preview];
}
