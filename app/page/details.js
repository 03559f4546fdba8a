/** The properties of a person, in groups, and all that are stored. */

import { get } from "./api.js";
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

export async function details(path) {
  const form = editor({
    path,
    groups: ({ properties }) => Object.entries(GROUPS).map(([group, names]) => [T.details.groups[group],
      names.map((name) => field(name, name, name === "comment" ? "multiline" : "text", { value: properties[name], empty: null }))]),
    valueOf: ({ properties }, name) => properties[name] ?? null,
    body: (properties) => ({ properties }),
    stored: async () => list.replaceChildren(await everything(path)),
  });
  const list = el("div", {}, await everything(path));
  return [form.element, el("h2", {}, T.details.all), list];
}

async function everything(path) {
  const { properties } = await get(path);
  return table(T.details.all, [[T.details.property, ([name]) => name], [T.details.value, ([, value]) => stored(String(value))]], Object.entries(properties).sort(), T.none);
}
