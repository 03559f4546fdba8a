/** Every view, by its place. */

import { place } from "./places.js";
import { account } from "./account.js";
import { caller } from "./caller.js";
import { changes } from "./changes.js";
import { domainDns, domainSettings, domains } from "./domains.js";
import { directory } from "./directory.js";
import { health } from "./health.js";
import { people } from "./people.js";
import { person } from "./person.js";
import { roles } from "./roles.js";
import { tasks } from "./tasks.js";
import { tokens } from "./tokens.js";

place("/", () => (caller.administers ? domains() : account({})));
place("/domains/:domain", people);
place("/domains/:domain/settings", domainSettings);
place("/domains/:domain/directory", directory);
place("/domains/:domain/dns", domainDns);
place("/domains/:domain/users/:user", person);
place("/domains/:domain/users/:user/:section", person);
place("/roles", roles);
place("/tokens", tokens);
place("/tasks", tasks);
place("/changes", changes);
place("/health", health);
place("/account", account);
place("/account/:section", account);
