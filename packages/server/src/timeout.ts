/** Milliseconds: Node's timers hold no more, and would fire at once. */
export const MAX_TIMEOUT = 2 ** 31 - 1;
