/** Front door of `engine/hub`: connections, namespaces, rooms, sessions, delivery, acknowledgements and recovery. */
export * from "./contract.ts";
