/** The properties of a person, in groups, and all that are stored. */

import { el, stored, table } from "./elements.js";
import { editor, field } from "./forms.js";
import { T } from "./texts.js";

/** Names as the API has them. */
const GROUPS = {
  name: ["displaynameprefix", "givenname", "middlename", "surname", "nickname", "initials"],
  work: ["title", "companyname", "departmentname", "officelocation", "managername", "assistant"],
  telephone: ["businesstelephonenumber", "mobiletelephonenumber", "hometelephonenumber", "primaryfaxnumber", "pagertelephonenumber", "assistanttelephonenumber"],
  address: ["streetaddress", "postalcode", "locality", "stateorprovince", "country", "postofficebox"],
  other: ["comment", "personalhomepage"],
};

export function details(path) {
  const list = el("div");
  const form = editor({
    path,
    groups: ({ properties }) => {
      list.replaceChildren(everything(properties));
      return Object.entries(GROUPS).map(([group, names]) => [T.details.groups[group],
        names.map((name) => field(name, name, name === "comment" ? "multiline" : "text", { value: properties[name], empty: null }))]);
    },
    valueOf: ({ properties }, name) => properties[name] ?? null,
    body: (properties) => ({ properties }),
  });
  return [form.element, el("h2", {}, T.details.all), list];
}

function everything(properties) {
  return table(T.details.all, [[T.details.property, ([name]) => name], [T.details.value, ([, value]) => stored(String(value))]], Object.entries(properties).sort(), T.none);
}
