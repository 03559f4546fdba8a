// What the compiler has to know by the generated types. Nothing here runs.
import type { components } from "./schema";
import type * as hey from "./hey_api_client";
import type * as generator from "./openapi_generator_client";
import type * as orval from "./orval_client";

type Same<One, Other> = (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;
/** Does not compile unless the two types are the same. */
function same<One, Other>(_yes: Same<One, Other>): void {}

type Fetch = components["schemas"];

// A reference that may be null, and one that may not.
same<Fetch["User"]["forward"], Fetch["Forward"] | null | undefined>(true);
same<hey.User["forward"], hey.Forward | null | undefined>(true);
same<generator.User["forward"], generator.Forward | null | undefined>(true);
same<orval.User["forward"], orval.Forward | null | undefined>(true);
same<Fetch["SyncPolicyAnswer"]["data"], Fetch["SyncPolicy"]>(true);
same<hey.SyncPolicyAnswer["data"], hey.SyncPolicy>(true);
same<generator.SyncPolicyAnswer["data"], generator.SyncPolicy>(true);
same<orval.SyncPolicyAnswer["data"], orval.SyncPolicy>(true);

// Numbers of which some only mean something.
same<Fetch["Forward"]["forwardType"], 0 | 1>(true);
same<hey.Forward["forwardType"], 0 | 1>(true);
same<generator.Forward["forwardType"], 0 | 1>(true);
same<orval.Forward["forwardType"], 0 | 1>(true);

// Values of more than one type.
same<Fetch["Device"]["asversion"], string | number>(true);
same<hey.Device["asversion"], string | number>(true);
same<generator.Device["asversion"], string | number>(true);
same<orval.Device["asversion"], string | number>(true);
same<Fetch["SyncPolicy"]["maxattsize"], number | "" | undefined>(true);
same<hey.SyncPolicy["maxattsize"], number | "" | undefined>(true);
same<orval.SyncPolicy["maxattsize"], number | "" | undefined>(true);
// This generator has text for it, whatever the text.
same<generator.SyncPolicy["maxattsize"], number | string | undefined>(true);

// Properties, of any names.
same<NonNullable<Fetch["User"]["properties"]>, { [name: string]: unknown }>(true);
same<NonNullable<hey.User["properties"]>, { [name: string]: unknown }>(true);
same<NonNullable<generator.User["properties"]>, { [name: string]: any }>(true);
same<NonNullable<orval.User["properties"]>, { [name: string]: unknown }>(true);

// A field with a default may be left out.
const wipes: [Fetch["WipeRequest"], hey.WipeRequest, generator.WipeRequest, orval.WipeRequest] = [{}, {}, {}, {}];
void wipes;
