import type { ExecutionEventBus } from '@a2a-js/sdk/server';
import { vi } from 'vitest';

/** How many more listen to a bus than when the counting began. */
export function countListeners(bus: ExecutionEventBus): () => number {
  let listening = 0;
  const [on, off] = [bus.on.bind(bus), bus.off.bind(bus)];
  vi.spyOn(bus, 'on').mockImplementation((...given) => {
    listening += 1;
    return on(...given);
  });
  vi.spyOn(bus, 'off').mockImplementation((...given) => {
    listening -= 1;
    return off(...given);
  });
  return () => listening;
}
