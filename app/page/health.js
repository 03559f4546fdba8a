/** How the service and its machine are doing. */

import { get } from "./api.js";
import { el, stored, table } from "./elements.js";
import { T } from "./texts.js";

const word = (works) => el("span", { class: works ? "good" : "bad" }, works ? T.health.works : T.health.broken);

export async function health() {
  const [parts, about, machine, settings] = await Promise.all([get("/system/health"), get("/about"), get("/system/dashboard"), get("/system/settings")]);
  const facts = [
    [T.health.service, word(parts.works)],
    ...parts.data.map(({ part, works, detail }) => [T.health.parts[part] ?? part, [word(works), " · ", stored(detail ?? "")]]),
    [T.health.versions, stored(Object.values(about).filter((value) => typeof value === "string").join(" · "))],
    [T.health.load, (machine.load ?? []).join(" · ")],
    [T.health.memory, `${machine.memory?.percent ?? T.none} %`],
    ...(machine.disks ?? []).map(({ mountpoint, percent }) => [T.health.disk(mountpoint), `${percent} %`]),
    [T.health.booted, T.serverTime(machine.booted ?? T.none)],
  ];
  const columns = [[T.health.setting, ({ name }) => name], [T.health.value, ({ value }) => stored(String(value ?? T.none))], [T.health.source, ({ source }) => source]];
  return [el("h1", { tabindex: "-1" }, T.health.title), el("dl", { class: "facts paper" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("h2", {}, T.health.settings), table(T.health.settings, columns, settings.data, T.none)];
}
