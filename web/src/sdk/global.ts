/** The stage client as one script for pages without modules: everything is in window.IVSBroadcastClient. */
import * as client from "./index";

(globalThis as Record<string, unknown>)["IVSBroadcastClient"] = { ...client, default: client };
