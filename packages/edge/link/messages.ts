/** The two directions' messages, as the hub's contract defines them: named once for this room. */
import type { ToHub, ToServer } from "@tideway/engine/hub";

export type { HubPort, Payload, ServerPort, ToHub, ToServer } from "@tideway/engine/hub";
export type LinkMessage = ToHub | ToServer;
