import { isObject } from './card/json.js';
import type { ReceivedChallenge } from './credential-source.js';
import {
  classify,
  denialByError,
  denialByStatus,
  mayHoldAuthRequired,
  type AuthRequiredTask,
  type Denial,
} from './denial.js';
import { peek } from './peek.js';
import { parseJson, sentMessage } from './sent-message.js';
import { eventReader } from './server-sent-events.js';
import { parseWwwAuthenticate } from './www-authenticate.js';

/** A denial is small. What is larger is passed on without a look at the rest. */
const mostBytes = 1024 * 1024;

/** What was sent, as far as the answer is judged by it. */
export interface SentRequest {
  readonly method: string;
  readonly url: string;
  readonly body: string | undefined;
}

export interface Examined {
  readonly denial: Denial | undefined;
  /** The response, to be read from its beginning. */
  readonly response: Response;
}

/**
 * Looks whether a response is a denial: by its status, as a task in auth-required, or as the first event of a stream.
 *
 * @param onTask called for each task in auth-required that is none, also later in the stream
 */
export async function findDenial(
  response: Response,
  sent: SentRequest,
  onTask: ((task: AuthRequiredTask) => void) | undefined,
): Promise<Examined> {
  const { status, headers } = response;
  const challenges = parseWwwAuthenticate(headers.get('www-authenticate'));
  if (status !== 200) return { denial: denialByStatus(status, challenges), response };
  if (sent.method !== 'POST' && onTask === undefined) return { denial: undefined, response };
  const type = /^[^;\s]*/.exec(headers.get('content-type') ?? '')?.[0].toLowerCase();
  if (type === 'text/event-stream') return ofStream(response, sent, challenges, onTask);
  // HTTP+JSON calls it application/a2a+json.
  if (type !== 'application/json' && type?.endsWith('+json') !== true) return { denial: undefined, response };
  return ofJson(response, sent, challenges, onTask);
}

async function ofJson(
  original: Response,
  sent: SentRequest,
  challenges: readonly ReceivedChallenge[],
  onTask: ((task: AuthRequiredTask) => void) | undefined,
): Promise<Examined> {
  let json = '';
  const { response, seen } = await peek(original, mostBytes, (piece) => {
    if (json.length <= mostBytes) json += piece;
    return false;
  });
  if (seen !== 'all') return { denial: undefined, response };
  return { denial: judge(json, sent, challenges, onTask), response };
}

async function ofStream(
  original: Response,
  sent: SentRequest,
  challenges: readonly ReceivedChallenge[],
  onTask: ((task: AuthRequiredTask) => void) | undefined,
): Promise<Examined> {
  const read = eventReader(mostBytes);
  let first = true;
  let denial: Denial | undefined;
  const { response } = await peek(original, mostBytes, (piece) => {
    if (!first && onTask === undefined) return true;
    for (const event of read(piece)) {
      if (first) denial = judge(event, sent, challenges, onTask);
      // An agent that denies has nothing more to say.
      else if (denial === undefined) judge(event, undefined, [], onTask);
      first = false;
    }
    return !first;
  });
  return { denial, response };
}

/** @param sent left out: what comes cannot be a denial any more */
function judge(
  json: string,
  sent: SentRequest | undefined,
  challenges: readonly ReceivedChallenge[],
  onTask: ((task: AuthRequiredTask) => void) | undefined,
): Denial | undefined {
  if (!mayHoldAuthRequired(json) && challenges.length === 0) return undefined;
  const parsed = parseJson(json);
  const refused = denialByError(parsed, challenges);
  if (refused !== undefined) return refused;
  const payload = isObject(parsed) && parsed.jsonrpc === '2.0' ? parsed.result : parsed;
  const message = sent && sentMessage(sent.method, sent.url, sent.body);
  const found = classify(payload, message, challenges);
  if (found === undefined) return undefined;
  if ('denial' in found) return found.denial;
  // The answer to another operation about a task tells nothing new.
  if (sent === undefined || message !== undefined) onTask?.(found.task);
  return undefined;
}
