import { status as code, type Metadata, type StatusObject } from '@grpc/grpc-js';

import type { Examined } from '../authenticated-call.js';
import type { ReceivedChallenge } from '../credential-source.js';
import {
  classify,
  denialByStatus,
  isLastEvent,
  type AuthRequiredTask,
  type Denial,
  type SentMessage,
} from '../denial.js';
import { parseWwwAuthenticate } from '../www-authenticate.js';
import type { Arrival, GrpcExchange } from './exchange.js';
import { waitingTask } from './waiting-task.js';

/** What has come of an exchange so far, in order. */
export interface Received {
  readonly exchange: GrpcExchange;
  readonly arrivals: readonly Arrival[];
}

interface Examination {
  readonly exchange: GrpcExchange;
  readonly streams: boolean;
  /** Undefined for every other operation. */
  readonly sent: SentMessage | undefined;
  readonly onTask: ((task: AuthRequiredTask) => void) | undefined;
}

/** Looks whether an answer is a denial: by its status, as a task in auth-required, or as the first event of a stream. */
export async function findGrpcDenial(examination: Examination): Promise<Examined<Received>> {
  const { exchange, streams } = examination;
  const first = await exchange.next();
  if ('status' in first)
    return { denial: byStatus(exchange, first.status), response: { exchange, arrivals: [first] } };
  return streams ? ofStream(examination, first) : ofResponse(examination, first);
}

type Message = Extract<Arrival, { readonly message: unknown }>;

async function ofResponse(
  { exchange, sent, onTask }: Examination,
  first: Message,
): Promise<Examined<Received>> {
  const last = await exchange.next();
  const response = { exchange, arrivals: [first, last] };
  if (!('status' in last) || last.status.code !== code.OK || sent === undefined)
    return { denial: undefined, response };
  const { denial, task } = judge(first, sent, challengesOf(exchange.metadata, last.status.metadata));
  if (task !== undefined) onTask?.(task);
  return { denial, response };
}

/**
 * Challenges come after the events, so they are looked at only where the event says that it is the last. An agent that keeps
 * the stream open until somebody has logged in is waited for by nobody: its event is passed on.
 */
async function ofStream(
  { exchange, sent, onTask }: Examination,
  first: Message,
): Promise<Examined<Received>> {
  const early = judge(first, sent, challengesOf(exchange.metadata));
  const isLast = isLastEvent(waitingTask(first.message), early.denial !== undefined);
  if (!isLast) {
    if (early.task !== undefined) onTask?.(early.task);
    return { denial: early.denial, response: { exchange, arrivals: [first] } };
  }
  const last = await exchange.next();
  // Whoever goes on has not denied.
  const { denial, task } =
    'status' in last
      ? judge(first, sent, challengesOf(exchange.metadata, last.status.metadata))
      : judge(first, undefined, []);
  if (task !== undefined) onTask?.(task);
  return { denial, response: { exchange, arrivals: [first, last] } };
}

/** @param sent left out: what comes cannot be a denial any more */
export function judge(
  { message }: Message,
  sent: SentMessage | undefined,
  challenges: readonly ReceivedChallenge[],
): { readonly denial?: Denial; readonly task?: AuthRequiredTask } {
  const waiting = waitingTask(message);
  return (waiting && classify(waiting, sent, challenges)) ?? {};
}

function byStatus({ metadata }: GrpcExchange, status: StatusObject): Denial | undefined {
  return denialByStatus(httpStatus(status), challengesOf(metadata, status.metadata));
}

function challengesOf(...all: readonly (Metadata | undefined)[]): readonly ReceivedChallenge[] {
  const values = all.flatMap((metadata) => metadata?.get('www-authenticate') ?? []);
  return parseWwwAuthenticate(values.join(', '));
}

/** The HTTP status that a code stands for (google/rpc/code.proto), as far as it says something about credentials. */
export function httpStatus(status: StatusObject): number {
  switch (status.code) {
    case code.OK:
      return 200;
    case code.UNAUTHENTICATED:
      return 401;
    case code.PERMISSION_DENIED:
      return 403;
    case code.RESOURCE_EXHAUSTED:
      return 429;
    case code.UNAVAILABLE:
      return 503;
    default:
      return 500;
  }
}
