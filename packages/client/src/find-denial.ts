import type { Examined } from './authenticated-call.js';
import { isObject } from './card/json.js';
import type { ReceivedChallenge } from './credential-source.js';
import {
  classify,
  denialByError,
  denialByStatus,
  mayHoldAuthRequired,
  type AuthRequiredTask,
  type Denial,
  type SentMessage,
} from './denial.js';
import { peek } from './peek.js';
import { replay } from './replay.js';
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

/**
 * Looks whether a response is a denial: by its status, as a task in auth-required, or as the first event of a stream.
 *
 * @param onTask called for each task in auth-required that is none, also later in the stream
 */
export async function findDenial(
  response: Response,
  sent: SentRequest,
  onTask: ((task: AuthRequiredTask) => void) | undefined,
): Promise<Examined<Response>> {
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
): Promise<Examined<Response>> {
  const { json, response } = await readJson(original);
  if (json === undefined) return { denial: undefined, response };
  const { denial, task } = judge(json, sent, challenges);
  // The answer to another operation about a task tells nothing new.
  if (task !== undefined && messageOf(sent) !== undefined) onTask?.(task);
  return { denial, response };
}

/** The text of a body, unless it is too long, and the response to be read from its beginning. */
async function readJson(
  original: Response,
): Promise<{ readonly json: string | undefined; readonly response: Response }> {
  const length = Number(original.headers.get('content-length') ?? NaN);
  if (length > mostBytes) return { json: undefined, response: original };
  // What was compressed is longer than the header says.
  if (length >= 0 && !original.headers.has('content-encoding')) {
    const bytes = new Uint8Array(await original.arrayBuffer());
    return { json: new TextDecoder().decode(bytes), response: replay(original, bytes) };
  }
  let json = '';
  const { response, seen } = await peek(original, mostBytes, (piece) => {
    if (json.length <= mostBytes) json += piece;
    return false;
  });
  return { json: seen === 'all' ? json : undefined, response };
}

async function ofStream(
  original: Response,
  sent: SentRequest,
  challenges: readonly ReceivedChallenge[],
  onTask: ((task: AuthRequiredTask) => void) | undefined,
): Promise<Examined<Response>> {
  const read = eventReader(mostBytes);
  let first = true;
  let denial: Denial | undefined;
  const { response } = await peek(original, mostBytes, (piece) => {
    if (!first && onTask === undefined) return true;
    for (const event of read(piece)) {
      const found = judge(event, first ? sent : undefined, first ? challenges : []);
      if (first) denial = found.denial;
      // An agent that denies has nothing more to say.
      if (denial === undefined && found.task !== undefined) onTask?.(found.task);
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
): { readonly denial?: Denial; readonly task?: AuthRequiredTask } {
  if (!mayHoldAuthRequired(json) && challenges.length === 0) return {};
  const parsed = parseJson(json);
  const denial = denialByError(parsed, challenges);
  if (denial !== undefined) return { denial };
  const payload = isObject(parsed) && parsed.jsonrpc === '2.0' ? parsed.result : parsed;
  return classify(payload, sent && messageOf(sent), challenges) ?? {};
}

function messageOf({ method, url, body }: SentRequest): SentMessage | undefined {
  return sentMessage(method, url, body);
}
