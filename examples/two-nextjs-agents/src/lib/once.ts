/**
 * Makes something once a process, when it is first asked for. Next.js may evaluate a module more than once: for routes
 * that are bundled apart, and in development after each change. With a variable of a module, the tasks that were made
 * through one copy would be unknown to the other. What failed is made anew the next time.
 */
export function oncePerProcess<T>(name: string, make: () => Promise<T>): () => Promise<T> {
  const made = globalThis as Record<symbol, Promise<T> | undefined>;
  const key = Symbol.for(`two-nextjs-agents/${name}`);
  return () =>
    (made[key] ??= make().catch((error: unknown) => {
      made[key] = undefined;
      throw error;
    }));
}
