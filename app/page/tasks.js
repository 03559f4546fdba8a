/** Tasks: work that goes on in the background. */

import { get, post } from "./api.js";
import { say } from "./dialogs.js";
import { button, el, stored, table } from "./elements.js";
import { T } from "./texts.js";

const UNFINISHED = 2;
const EVERY = 1000;

export async function tasks() {
  const holder = el("div");
  const cancel = (ID) => async () => {
    await post(`/tasq/tasks/${ID}/cancel`);
    say(T.tasks.cancelled);
    await load();
  };
  const columns = [
    [T.tasks.number, ({ ID }) => String(ID)],
    [T.tasks.what, ({ command }) => stored(command)],
    [T.tasks.state, ({ state }) => [T.tasks.states[state] ?? String(state), state === UNFINISHED ? [" ", el("progress", { "aria-label": T.tasks.progress })] : null]],
    [T.tasks.result, ({ message }) => stored(message ?? "")],
    [T.tasks.updated, ({ updated }) => T.serverTime(updated)],
    [T.tasks.actions, ({ ID, state }) => (state <= UNFINISHED ? button(T.tasks.cancel, cancel(ID)) : "")],
  ];
  const load = async () => {
    const { data } = await get("/tasq/tasks", { sort: "ID,desc", limit: 50 });
    holder.replaceChildren(table(T.tasks.caption, columns, data, T.tasks.empty));
    // As long as something runs and somebody looks.
    if (data.some(({ state }) => state <= UNFINISHED)) setTimeout(() => holder.isConnected && load().catch((error) => say(error.message)), EVERY);
  };
  await load();
  return [el("h1", { tabindex: "-1" }, T.tasks.title), holder];
}
