export interface OneByOne {
  /** Whether no more work of that name may wait. */
  isFull(name: string): boolean;
  /** Does it when all work of that name that came before is done. */
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Resolves when all that was given until now is done. */
  settled(): Promise<void>;
}

/** Does work of one name one after the other. `most` of each may be under way or wait. */
export function oneByOne(most: number): OneByOne {
  const lines = new Map<string, { last: Promise<unknown>; size: number }>();
  return {
    isFull: (name) => (lines.get(name)?.size ?? 0) >= most,
    async run(name, work) {
      const line = lines.get(name) ?? { last: Promise.resolve(), size: 0 };
      lines.set(name, line);
      line.size += 1;
      const mine = line.last.then(work);
      line.last = mine.catch(() => undefined);
      try {
        return await mine;
      } finally {
        line.size -= 1;
        if (line.size === 0) lines.delete(name);
      }
    },
    async settled() {
      await Promise.all([...lines.values()].map(({ last }) => last));
    },
  };
}
