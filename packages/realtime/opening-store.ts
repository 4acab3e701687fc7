/**
 * A store that is still being opened: what is asked meanwhile is asked again, in order, once it is open. The hub can so be
 * made in a constructor. If it cannot be opened, nothing is ever acknowledged; the caller ends the process.
 */
import type { StreamStore } from "@tideway/engine/hub";

export function openingStore(opening: Promise<StreamStore>): StreamStore {
  let opened: StreamStore | null = null;
  const waiting: ((store: StreamStore) => void)[] = [];
  const ask = (question: (store: StreamStore) => void) => {
    if (opened === null) waiting.push(question);
    else question(opened);
  };
  opening.then(
    (store) => {
      opened = store;
      for (const question of waiting.splice(0)) question(store);
    },
    () => waiting.splice(0),
  );
  return {
    open: (...asked) => ask((store) => store.open(...asked)),
    append: (...asked) => ask((store) => store.append(...asked)),
    saveSession: (...asked) => ask((store) => store.saveSession(...asked)),
    dropSession: (...asked) => ask((store) => store.dropSession(...asked)),
    loadSession: (...asked) => ask((store) => store.loadSession(...asked)),
    streams: () => opened?.streams() ?? [],
    read: (...asked) => ask((store) => store.read(...asked)),
  };
}
