/** The ActiveSync devices of a person. */

import { change, get, post, remove } from "./api.js";
import { destroy, explained, open, say } from "./dialogs.js";
import { button, el, stored, table } from "./elements.js";
import { field } from "./forms.js";
import { T } from "./texts.js";

/** A wipe is under way from this state on (but for those that ended it). */
const WIPES = [2, 4, 16, 32];
const DEVICE = 2, ACCOUNT = 16;

/** UNIX seconds in the zone of the viewer. */
const time = (seconds) => (seconds ? el("time", { datetime: new Date(seconds * 1000).toISOString() }, new Date(seconds * 1000).toLocaleString()) : T.none);

/** The devices at a path. `own`: the caller looks after their own; `change`: what the caller may do is offered. */
export async function devices(path, { own = false, change: mayChange }) {
  const holder = el("div");
  const load = async () => holder.replaceChildren(...draw((await get(`${path}/sync`)).data));
  const doing = (work, message) => async () => {
    try {
      await work();
      say(message);
      await load();
    } catch (error) {
      holder.prepend(explained(error));
    }
  };

  const at = ({ deviceid }) => `${path}/sync/${encodeURIComponent(deviceid)}`;

  function wipeButton(device) {
    if (!WIPES.includes(device.wipeStatus)) return button(T.devices.wipe, () => wipe(device), { class: "danger" });
    // Only an administrator takes it back.
    return own ? null : button(T.devices.cancel, doing(() => remove(`${at(device)}/wipe`), T.devices.cancelled));
  }

  async function history(device) {
    const { data } = await get(`${at(device)}/wipe`);
    const line = ({ time: when, status, remoteIP }) => el("li", {}, time(when), " · ", T.devices.states[status] ?? T.devices.unknown(status), " · ", stored(remoteIP));
    await open(T.devices.wipes, (dialog, close) => [
      data.length ? el("ol", { class: "timeline" }, data.map(line)) : el("p", { class: "empty" }, T.devices.noWipes),
      el("p", { class: "bar" }, button(T.tokens.done, () => close(true), { class: "main" }))]);
  }

  function draw(list) {
    const columns = [
      [T.devices.device, (device) => [stored(device.devicetype || device.deviceid), el("br"), el("small", {}, stored([device.deviceid, device.useragent].filter(Boolean).join(" · ")))]],
      [T.devices.lastSeen, ({ lastconnecttime }) => time(lastconnecttime)],
      [T.devices.folders, ({ foldersSynced, foldersSyncable }) => (foldersSyncable === null || foldersSyncable === undefined ? T.none : T.domains.of(foldersSynced ?? 0, foldersSyncable))],
      [T.devices.state, (device) => T.devices.states[device.wipeStatus] ?? T.devices.unknown(device.wipeStatus)],
      [T.devices.actions, (device) => el("div", { class: "bar" },
        button(T.devices.wipes, () => history(device)),
        mayChange ? [
          button(T.devices.resync, doing(() => change("PUT", `${at(device)}/resync`), T.devices.resyncDone)),
          wipeButton(device),
          button(T.devices.remove, doing(() => remove(at(device)), T.devices.removed)),
        ] : null)],
    ];
    return [table(T.devices.caption, columns, list, T.devices.empty),
      list.length && mayChange && !own ? el("p", { class: "bar" }, button(T.devices.removeAll, doing(() => remove(`${path}/sync`), T.devices.removedAll))) : null].filter(Boolean);
  }

  async function wipe(device) {
    const password = field("password", T.devices.password, "password", { required: true, autocomplete: "current-password", hint: T.devices.deviceSelf });
    const whole = field("whole", T.devices.whole, "flag", { value: true });
    const sure = await destroy(T.devices.wipeTitle(device.deviceid), T.devices.wipeText, device.deviceid, T.devices.wipe, () =>
      post(`${at(device)}/wipe`, { password: password.value, status: whole.value ? DEVICE : ACCOUNT }), [whole.element, password.element]);
    if (!sure) return;
    say(T.devices.wiped);
    await load();
  }

  await load();
  return holder;
}
