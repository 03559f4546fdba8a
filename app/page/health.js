/** How the service and its machine are doing. */

import { get } from "./api.js";
import { el, stored } from "./elements.js";
import { T } from "./texts.js";

const word = (works) => el("span", { class: works ? "good" : "bad" }, works ? T.health.works : T.health.broken);

export async function health() {
  const [status, about, machine, queue] = await Promise.all([get("/status"), get("/about"), get("/system/dashboard"), get("/tasq/status")]);
  const facts = [
    [T.health.service, word(true)],
    [T.health.database, [word(status.database), " · ", stored(status.engine ?? "")]],
    [T.health.tasks, queue.running ? word(true) : el("span", { class: "bad" }, T.health.paused)],
    [T.health.versions, stored(Object.values(about).filter((value) => typeof value === "string").join(" · "))],
    [T.health.load, (machine.load ?? []).join(" · ")],
    [T.health.memory, `${machine.memory?.percent ?? T.none} %`],
    ...(machine.disks ?? []).map(({ mountpoint, percent }) => [T.health.disk(mountpoint), `${percent} %`]),
    [T.health.booted, T.serverTime(machine.booted ?? T.none)],
  ];
  return [el("h1", { tabindex: "-1" }, T.health.title), el("dl", { class: "facts paper" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]))];
}
