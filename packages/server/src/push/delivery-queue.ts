import type { Outcome } from './deliver.js';

/** One notification for one webhook. */
export interface QueuedNotification {
  /** The same for all attempts. */
  readonly id: string;
  /** Tasks of two tenants may have the same id. */
  readonly tenant: string | undefined;
  readonly taskId: string;
  readonly configId: string;
  /** The origin of the webhook: the rest of its URL may be secret. */
  readonly origin: string;
  /** Whoever registered the webhook. */
  readonly caller: string;
  readonly body: Uint8Array;
  readonly queuedAt: number;
  /** Never rejects. */
  readonly attempt: (signal: AbortSignal) => Promise<Outcome>;
}

type GivenUp = (
  notification: QueuedNotification,
  reason: 'refused' | 'failed' | 'dropped',
  detail: string,
) => void;

export interface QueueOptions {
  /** The attempts for one notification. */
  readonly attempts: number;
  /** Milliseconds before the second attempt; doubled with each further one. */
  readonly retryDelay: number;
  readonly giveUp: GivenUp;
}

/** Notifications that wait for one webhook of one task. */
const MAX_WAITING = 100;
/** All that wait. Each counts with its body and what surrounds it. */
const MAX_BYTES = 64 * 1024 * 1024;
const OVERHEAD = 1024;
/** Attempts under way: at all, for one caller, and for one caller at one origin. */
const MAX_ACTIVE = { all: 256, caller: 32, origin: 8 };
const MAX_DELAY = 60_000;
/** Nobody wants to hear of it any more. */
const MAX_AGE = 600_000;

/** One webhook of one task: its notifications go out one after the other. */
interface Lane {
  readonly key: string;
  readonly caller: string;
  readonly origin: string;
  /** The one that is being delivered, or waits for its next attempt. */
  current: { readonly notification: QueuedNotification; attempts: number } | undefined;
  readonly waiting: QueuedNotification[];
}

export interface DeliveryQueue {
  add(notification: QueuedNotification): void;
  /** Resolves when nothing is left to be delivered. */
  flush(): Promise<void>;
  /** Gives everything up. */
  close(): void;
}

/**
 * Delivers notifications with several attempts each, in order for each webhook of a task, and at the same time for different
 * ones. Memory and connections are bounded. When there is no more room, it is the caller with the most waiting who loses
 * the oldest: nobody's dead webhooks cost others anything.
 */
export function deliveryQueue({ attempts, retryDelay, giveUp }: QueueOptions): DeliveryQueue {
  const lanes = new Map<string, Lane>();
  /** Lanes with something to deliver now, in the order in which they became so. */
  const ready = new Set<Lane>();
  const active = new Map<string, number>();
  const bytes = new Map<string, number>();
  const timers = new Set<NodeJS.Timeout>();
  const stop = new AbortController();
  let total = 0;
  let running = 0;
  let idle: (() => void)[] = [];

  const count = (caller: string, change: number) => {
    const next = (bytes.get(caller) ?? 0) + change;
    total += change;
    if (next === 0) bytes.delete(caller);
    else bytes.set(caller, next);
  };
  const drop = (lane: Lane, detail: string) => {
    const oldest = lane.waiting.shift();
    if (oldest === undefined) return;
    count(lane.caller, -sizeOf(oldest));
    giveUp(oldest, 'dropped', detail);
  };

  /** Makes room at the expense of whoever takes the most. */
  const makeRoom = () => {
    while (total > MAX_BYTES) {
      const [greediest] = [...bytes].reduce((most, entry) => (entry[1] > most[1] ? entry : most));
      let fullest: Lane | undefined;
      for (const lane of lanes.values()) {
        if (lane.caller !== greediest || lane.waiting.length <= (fullest?.waiting.length ?? 0)) continue;
        fullest = lane;
      }
      // All that is left of it is under way.
      if (fullest === undefined) return;
      drop(fullest, 'too many notifications are waiting');
      tidy(fullest);
    }
  };

  const tidy = (lane: Lane) => {
    if (lane.current !== undefined || lane.waiting.length > 0) return;
    lanes.delete(lane.key);
    ready.delete(lane);
    if (lanes.size > 0) return;
    for (const resolve of idle) resolve();
    idle = [];
  };

  const limits = ({ caller, origin }: Lane): [string, number][] => [
    [caller, MAX_ACTIVE.caller],
    [`${caller}\n${origin}`, MAX_ACTIVE.origin],
  ];
  const start = () => {
    for (const lane of ready) {
      if (running >= MAX_ACTIVE.all) return;
      if (limits(lane).some(([key, most]) => (active.get(key) ?? 0) >= most)) continue;
      ready.delete(lane);
      void run(lane);
    }
  };
  const enter = (lane: Lane, change: 1 | -1) => {
    running += change;
    for (const [key] of limits(lane)) {
      const next = (active.get(key) ?? 0) + change;
      if (next === 0) active.delete(key);
      else active.set(key, next);
    }
  };

  const run = async (lane: Lane) => {
    if (lane.current === undefined) {
      const notification = lane.waiting.shift();
      if (notification === undefined) return;
      lane.current = { notification, attempts: 0 };
    }
    const { current } = lane;
    enter(lane, 1);
    current.attempts += 1;
    const outcome = await current.notification.attempt(stop.signal);
    enter(lane, -1);
    if (stop.signal.aborted) return;
    conclude(lane, current, outcome);
    start();
  };

  const conclude = (lane: Lane, current: NonNullable<Lane['current']>, outcome: Outcome) => {
    const { notification } = current;
    if (!outcome.delivered && outcome.retry && current.attempts < attempts) {
      const pause = Math.max(backOff(current.attempts), outcome.retryAfter ?? 0);
      if (Date.now() + pause <= notification.queuedAt + MAX_AGE) {
        const timer = setTimeout(() => {
          timers.delete(timer);
          ready.add(lane);
          start();
        }, pause);
        // What listens keeps the process alive, not this.
        timers.add(timer.unref());
        return;
      }
    }
    if (!outcome.delivered) {
      giveUp(notification, outcome.refused === true ? 'refused' : 'failed', outcome.detail);
    }
    count(lane.caller, -sizeOf(notification));
    lane.current = undefined;
    if (lane.waiting.length > 0) ready.add(lane);
    tidy(lane);
  };

  const backOff = (attempt: number) =>
    Math.min(retryDelay * 2 ** (attempt - 1), MAX_DELAY) * (0.5 + Math.random() / 2);

  return {
    add(notification) {
      if (stop.signal.aborted) {
        giveUp(notification, 'dropped', 'the sender is closed');
        return;
      }
      const { caller, tenant, taskId, configId, origin } = notification;
      const key = JSON.stringify([caller, tenant, taskId, configId]);
      const lane = lanes.get(key) ?? { key, caller, origin, current: undefined, waiting: [] };
      lanes.set(key, lane);
      lane.waiting.push(notification);
      count(caller, sizeOf(notification));
      if (lane.waiting.length > MAX_WAITING) drop(lane, 'too many notifications wait for this webhook');
      makeRoom();
      if (lane.current === undefined && lane.waiting.length > 0) ready.add(lane);
      start();
    },
    async flush() {
      if (lanes.size === 0) return;
      // Pauses between attempts do not keep the process alive, but whoever waits for them does.
      const hold = setInterval(() => undefined, MAX_AGE);
      await new Promise<void>((resolve) => idle.push(resolve));
      clearInterval(hold);
    },
    close() {
      stop.abort();
      for (const timer of timers) clearTimeout(timer);
      const all = [...lanes.values()];
      lanes.clear();
      ready.clear();
      for (const { current, waiting } of all) {
        if (current !== undefined) giveUp(current.notification, 'dropped', 'the sender was closed');
        for (const notification of waiting) giveUp(notification, 'dropped', 'the sender was closed');
      }
      bytes.clear();
      for (const resolve of idle) resolve();
    },
  };
}

function sizeOf({ body }: QueuedNotification): number {
  return body.byteLength + OVERHEAD;
}
