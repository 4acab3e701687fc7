/** Front door of `wire/eventstream`: the text of server-sent events, made and read. */
export { EventStreamDecoder, type EventStreamSink, type StreamMessage } from "./decode.ts";
export { encodeComment, encodeMessage, encodePlace, encodeRetry, isEventName, type MessageParts } from "./encode.ts";
