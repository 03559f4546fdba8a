/** Which view is shown: the part of the address behind #, so that links, reloads and the back button work. */

const places = [];

/** `show(parameters)` makes the element for a path such as /domains/:domain. */
export function place(path, show) {
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name);
  places.push({ pattern: new RegExp(`^${path.replace(/:\w+/g, "([^/]+)")}$`), names, show });
}

export const here = () => location.hash.slice(1) || "/";
export const go = (path) => {
  location.hash = path;
};

/** The function that shows the present place, or null. */
export function found() {
  for (const { pattern, names, show } of places) {
    const match = pattern.exec(here());
    if (match) return () => show(Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(match[index + 1])])));
  }
  return null;
}
