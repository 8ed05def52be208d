import { setMaxListeners } from 'node:events';

import type { Outcome } from './deliver.js';
import { Ranking } from './ranking.js';

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
  /** Bytes that it keeps while it waits: its own, and those of its webhook. */
  readonly size: number;
  readonly queuedAt: number;
  /**
   * Never rejects.
   *
   * @param origin the only one that may be called now
   */
  readonly attempt: (signal: AbortSignal, origin: string) => Promise<Outcome | Moved>;
}

/** Nothing was sent: the webhook is at another origin by now. */
export interface Moved {
  readonly movedTo: string;
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
/** All that wait. Each counts with its size and what surrounds it. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Measured where it is the most: each has a lane and an origin of its own. */
const OVERHEAD = 2048;
/** Attempts under way: at all, for one caller, and for one caller at one origin. */
const MAX_ACTIVE = { all: 256, caller: 32, origin: 8 };
const MAX_DELAY = 60_000;
/** Nobody wants to hear of it any more. */
const MAX_AGE = 600_000;

interface Entry {
  notification: QueuedNotification;
  attempts: number;
}

/** One webhook of one task: its notifications go out one after the other. */
interface Lane {
  readonly key: string;
  readonly caller: Caller;
  origin: Origin;
  /** The one that is under way. */
  current: Entry | undefined;
  /** Also what is tried again: it is the first then. */
  readonly waiting: Entry[];
  /** Runs until the next attempt. */
  pause: NodeJS.Timeout | undefined;
  /** When it became ready, as a number in a row: undefined while there is nothing to deliver now. */
  turn: number | undefined;
}

/** Whoever has lanes. What it may start, and what it loses first, is found without looking at all of them. */
interface Caller {
  readonly name: string;
  active: number;
  bytes: number;
  readonly origins: Map<string, Origin>;
  /** Origins with ready lanes that may have one more attempt, by the turn of the first. */
  readonly open: Ranking<Origin>;
  /** Lanes in which something waits, the fullest first. */
  readonly fullest: Ranking<Lane>;
}

/** What one caller has at one origin. */
interface Origin {
  readonly name: string;
  active: number;
  lanes: number;
  /** By turn. */
  readonly ready: Ranking<Lane>;
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
  const callers = new Map<string, Caller>();
  /** Callers with ready lanes that may have one more attempt, by the turn of the first. */
  const open = new Ranking<Caller>();
  /** Callers by what they have waiting, the most first. */
  const greediest = new Ranking<Caller>();
  const stop = new AbortController();
  // Every attempt under way listens to it, and stops when it is done: nothing leaks.
  setMaxListeners(0, stop.signal);
  let turns = 0;
  let total = 0;
  let running = 0;
  let idle: (() => void)[] = [];

  const laneOf = (notification: QueuedNotification): Lane => {
    const { caller: name, tenant, taskId, configId } = notification;
    const key = JSON.stringify([name, tenant, taskId, configId]);
    const known = lanes.get(key);
    if (known !== undefined) return known;
    const caller = callers.get(name) ?? newCaller(name);
    callers.set(name, caller);
    const lane: Lane = {
      key,
      caller,
      origin: join(caller, notification.origin),
      current: undefined,
      waiting: [],
      pause: undefined,
      turn: undefined,
    };
    lanes.set(key, lane);
    return lane;
  };
  const join = (caller: Caller, name: string): Origin => {
    const origin = caller.origins.get(name) ?? newOrigin(name);
    caller.origins.set(name, origin);
    origin.lanes += 1;
    return origin;
  };
  const leave = (lane: Lane) => {
    const { caller, origin } = lane;
    origin.ready.file(lane, undefined);
    rank(caller, origin);
    origin.lanes -= 1;
    if (origin.lanes === 0) caller.origins.delete(origin.name);
  };
  const tidy = (lane: Lane) => {
    if (lane.current !== undefined || lane.waiting.length > 0) return;
    const { key, caller } = lane;
    lanes.delete(key);
    clearTimeout(lane.pause);
    leave(lane);
    if (caller.origins.size === 0) callers.delete(caller.name);
    if (lanes.size > 0) return;
    for (const resolve of idle) resolve();
    idle = [];
  };

  /** To be called with each change of what waits in a lane. */
  const count = (lane: Lane, change: number) => {
    const { caller, waiting } = lane;
    total += change;
    caller.bytes += change;
    caller.fullest.file(lane, waiting.length === 0 ? undefined : -waiting.length);
    greediest.file(caller, caller.bytes === 0 ? undefined : -caller.bytes);
  };
  const drop = (lane: Lane, detail: string) => {
    const oldest = lane.waiting.shift();
    if (oldest === undefined) return;
    count(lane, -sizeOf(oldest));
    giveUp(oldest.notification, 'dropped', detail);
  };
  /** Makes room at the expense of whoever has the most waiting. */
  const makeRoom = () => {
    while (total > MAX_BYTES) {
      const fullest = greediest.first?.fullest.first;
      if (fullest === undefined) return;
      drop(fullest, 'too many notifications are waiting');
      tidy(fullest);
    }
  };
  /** Counts what has to wait, and keeps within the bounds. */
  const hold = (lane: Lane, entry: Entry) => {
    count(lane, sizeOf(entry));
    if (lane.waiting.length > MAX_WAITING) drop(lane, 'too many notifications wait for this webhook');
    makeRoom();
    schedule(lane);
  };

  /** To be called with each change of what decides whether a lane is ready, and when an attempt began or ended. */
  const schedule = (lane: Lane) => {
    const { caller, origin } = lane;
    const isReady = lane.current === undefined && lane.pause === undefined && lane.waiting.length > 0;
    lane.turn = isReady ? (lane.turn ?? ++turns) : undefined;
    origin.ready.file(lane, lane.turn);
    rank(caller, origin);
  };
  const rank = (caller: Caller, origin: Origin) => {
    caller.open.file(origin, origin.active < MAX_ACTIVE.origin ? origin.ready.lowest : undefined);
    open.file(caller, caller.active < MAX_ACTIVE.caller ? caller.open.lowest : undefined);
  };
  const start = () => {
    while (running < MAX_ACTIVE.all) {
      const lane = open.first?.open.first?.ready.first;
      if (lane === undefined) return;
      void run(lane);
    }
  };
  const enter = (lane: Lane, change: 1 | -1) => {
    running += change;
    lane.caller.active += change;
    lane.origin.active += change;
    schedule(lane);
  };

  const run = async (lane: Lane) => {
    const entry = lane.waiting.shift();
    if (entry === undefined) return;
    count(lane, -sizeOf(entry));
    if (Date.now() > entry.notification.queuedAt + MAX_AGE) {
      giveUp(entry.notification, 'failed', 'it waited for longer than ten minutes');
      // Whoever started it goes on with the next one: to do it here would go as deep as there are many.
      schedule(lane);
      tidy(lane);
      return;
    }
    lane.current = entry;
    enter(lane, 1);
    entry.attempts += 1;
    const outcome = await entry.notification.attempt(stop.signal, lane.origin.name);
    lane.current = undefined;
    enter(lane, -1);
    if (stop.signal.aborted) return;
    if ('movedTo' in outcome) move(lane, entry, outcome.movedTo);
    else conclude(lane, entry, outcome);
    start();
  };

  /** The lane as a whole, or notifications would arrive out of order. */
  const move = (lane: Lane, entry: Entry, movedTo: string) => {
    leave(lane);
    lane.origin = join(lane.caller, movedTo);
    entry.notification = { ...entry.notification, origin: movedTo };
    entry.attempts -= 1;
    lane.waiting.unshift(entry);
    hold(lane, entry);
  };

  const conclude = (lane: Lane, entry: Entry, outcome: Outcome) => {
    const { notification } = entry;
    if (!outcome.delivered && outcome.retry && entry.attempts < attempts) {
      const pause = Math.max(backOff(entry.attempts), outcome.retryAfter ?? 0);
      if (Date.now() + pause <= notification.queuedAt + MAX_AGE) {
        // What listens keeps the process alive, not this.
        lane.pause = setTimeout(() => {
          lane.pause = undefined;
          schedule(lane);
          start();
        }, pause).unref();
        lane.waiting.unshift(entry);
        hold(lane, entry);
        return;
      }
    }
    if (!outcome.delivered) {
      giveUp(notification, outcome.refused === true ? 'refused' : 'failed', outcome.detail);
    }
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
      const lane = laneOf(notification);
      const entry = { notification, attempts: 0 };
      lane.waiting.push(entry);
      hold(lane, entry);
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
      for (const lane of [...lanes.values()]) {
        if (lane.current !== undefined) giveUp(lane.current.notification, 'dropped', 'the sender was closed');
        lane.current = undefined;
        while (lane.waiting.length > 0) drop(lane, 'the sender was closed');
        tidy(lane);
      }
    },
  };
}

function newCaller(name: string): Caller {
  return { name, active: 0, bytes: 0, origins: new Map(), open: new Ranking(), fullest: new Ranking() };
}

function newOrigin(name: string): Origin {
  return { name, active: 0, lanes: 0, ready: new Ranking() };
}

function sizeOf({ notification }: Entry): number {
  return notification.size + OVERHEAD;
}
