/** The program of the client cases as an application of Tideway: as it would be with Socket.IO, but for the import. */
import { createServer } from "node:http";
import { Server } from "@tideway/realtime";
import { caseOptions, serveCases, servePage } from "@tideway/realtime/testing";

const http = createServer(servePage);
const io = new Server(http, caseOptions);
serveCases(io as unknown as Parameters<typeof serveCases>[0]);
http.listen(Number(process.env["PORT"]));
