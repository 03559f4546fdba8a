/** The ActiveSync devices of a person. */

import { change, get, post, remove } from "./api.js";
import { destroy, explained, say } from "./dialogs.js";
import { button, el, stored, table } from "./elements.js";
import { field } from "./forms.js";
import { T } from "./texts.js";

/** A wipe is under way from this state on (but for those that ended it). */
const WIPES = [2, 4, 16, 32];
const DEVICE = 2, ACCOUNT = 16;

/** UNIX seconds in the zone of the viewer. */
const time = (seconds) => (seconds ? el("time", { datetime: new Date(seconds * 1000).toISOString() }, new Date(seconds * 1000).toLocaleString()) : T.none);

export async function devices(path) {
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

  function draw(list) {
    const at = ({ deviceid }) => `${path}/sync/${encodeURIComponent(deviceid)}`;
    const columns = [
      [T.devices.device, (device) => [stored(device.devicetype || device.deviceid), el("br"), el("small", {}, stored([device.deviceid, device.useragent].filter(Boolean).join(" · ")))]],
      [T.devices.lastSeen, ({ lastconnecttime }) => time(lastconnecttime)],
      [T.devices.folders, ({ foldersSynced, foldersSyncable }) => (foldersSyncable === null || foldersSyncable === undefined ? T.none : T.domains.of(foldersSynced ?? 0, foldersSyncable))],
      [T.devices.state, (device) => T.devices.states[device.wipeStatus] ?? T.devices.unknown(device.wipeStatus)],
      [T.devices.history, ({ firstsynctime, lastconnecttime }) => el("ol", { class: "timeline" }, [firstsynctime, lastconnecttime].filter(Boolean).map((when) => el("li", {}, time(when))))],
      [T.devices.actions, (device) => el("div", { class: "bar" },
        button(T.devices.resync, doing(() => change("PUT", `${at(device)}/resync`), T.devices.resyncDone)),
        WIPES.includes(device.wipeStatus)
          ? button(T.devices.cancel, doing(() => remove(`${at(device)}/wipe`), T.devices.cancelled))
          : button(T.devices.wipe, () => wipe(device), { class: "danger" }),
        button(T.devices.remove, doing(() => remove(at(device)), T.devices.removed)))],
    ];
    return [table(T.devices.caption, columns, list, T.devices.empty),
      list.length ? el("p", { class: "bar" }, button(T.devices.removeAll, doing(() => remove(`${path}/sync`), T.devices.removedAll))) : null].filter(Boolean);
  }

  async function wipe(device) {
    const password = field("password", T.devices.password, "password", { required: true, autocomplete: "current-password", hint: T.devices.deviceSelf });
    const whole = field("whole", T.devices.whole, "flag", { value: true });
    const sure = await destroy(T.devices.wipeTitle(device.deviceid), T.devices.wipeText, device.deviceid, T.devices.wipe, () =>
      post(`${path}/sync/${encodeURIComponent(device.deviceid)}/wipe`, { password: password.value, status: whole.value ? DEVICE : ACCOUNT }), [whole.element, password.element]);
    if (!sure) return;
    say(T.devices.wiped);
    await load();
  }

  await load();
  return holder;
}
