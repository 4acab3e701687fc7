/**
 * The rooms that one socket is in, in the order of joining: a list while they are few and nobody has asked for a set, which takes
 * more than twice the memory. A list is never changed, and has no room to spare.
 */
export type RoomList = readonly string[] | Set<string>;

export const noRooms: RoomList = Object.freeze([]);
/** Beyond it a list takes longer to look through than a set. */
const listedMax = 8;

export function hasRoom(rooms: RoomList, room: string): boolean {
  return rooms instanceof Set ? rooms.has(room) : rooms.includes(room);
}

/** `room` is not in it yet. */
export function withRoom(rooms: RoomList, room: string): RoomList {
  if (!(rooms instanceof Set) && rooms.length < listedMax) return [...rooms, room];
  return roomSet(rooms).add(room);
}

export function withoutRoom(rooms: RoomList, room: string): RoomList {
  if (!(rooms instanceof Set)) return rooms.filter((other) => other !== room);
  rooms.delete(room);
  return rooms;
}

/** To be kept in place of the list: whoever has it sees what changes. */
export function roomSet(rooms: RoomList): Set<string> {
  return rooms instanceof Set ? rooms : new Set(rooms);
}
