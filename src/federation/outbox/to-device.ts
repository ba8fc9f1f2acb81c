import { canonicalJson } from '#src/protocol/canonical-json.ts';
import { parseLosslessJson } from '#src/protocol/json.ts';
import type { ToDevice } from '#src/to-device/index.ts';
import type { EduSource } from '#src/federation/outbox/edus.ts';

/**
 * Sends messages to devices on other servers (server-server API, Send-to-device messaging): in order, until their server has said that it has them, each under the id that it was
 * written down with.
 */
export const openToDeviceEdus = async ({ toDevice: { outbox } }: { readonly toDevice: Pick<ToDevice, 'outbox'> }): Promise<EduSource> => {
  const waiting = new Set(await outbox.destinations());
  const listeners: ((destinations: Iterable<string>) => void)[] = [];
  outbox.onAdded((destinations) => {
    for (const name of destinations) waiting.add(name);
    for (const listener of listeners) listener(destinations);
  });

  return {
    isWaiting: (destination) => waiting.has(destination),
    take: async (destination, { count, bytes }) => {
      waiting.delete(destination);
      const rows = await outbox.read(destination, count + 1);
      const texts: string[] = [];
      let [left, upTo] = [bytes, 0];
      for (const { position, content } of rows.slice(0, count)) {
        const text = canonicalJson({ content: parseLosslessJson(content), edu_type: 'm.direct_to_device' }, 'any');
        if (texts.length > 0 && text.length > left) break;
        texts.push(text);
        left -= text.length;
        upTo = position;
      }
      if (texts.length === 0) return undefined;
      // Until they are taken off they are there still.
      waiting.add(destination);
      const isLast = texts.length === rows.length;
      return {
        type: 'm.direct_to_device',
        texts,
        sent: async () => {
          await outbox.received(destination, upTo);
          if (isLast && (await outbox.read(destination, 1)).length === 0) waiting.delete(destination);
        },
      };
    },
    waiting: () => waiting,
    count: () => waiting.size,
    onWaiting: (listener) => void listeners.push(listener),
  };
};
