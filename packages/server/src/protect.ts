import type { AgentCard, SendMessageRequest, StreamResponse } from '@a2a-js/sdk';
import { RestRequestMalformedError } from '@a2a-js/sdk/errors';
import { DefaultRequestHandler, type A2ARequestHandler, type ServerCallContext } from '@a2a-js/sdk/server';

import { authRequiredTask } from './auth-required-task.js';
import { CallerUser } from './caller.js';
import { configurationError } from './errors.js';
import { denialStatuses, type Decision, type Denied } from './decision.js';
import type { Operation } from './operation.js';
import { sharedSubscriptions } from './shared-subscriptions.js';

/** What protecting a request handler needs of an `AgentSecurity`. */
export interface Protection {
  /** The `AgentSecurity` itself. */
  readonly by: object;
  /** Undefined unless this very `AgentSecurity` made the decision, and concluded it for this operation. */
  recognise(decision: Decision | undefined, operation: Operation): Decision | undefined;
  /** The denial of a call that nobody authenticated, which it reports. */
  denyUnauthenticated(operation: Operation): Denied;
  publish(card: AgentCard): AgentCard;
  readonly agentCardUrl: string | undefined;
  readonly denials: { readonly messages: 'task' | 'http' };
}

/**
 * A denied call reached the agent by a binding that does not present denials itself. The SDK writes it as the HTTP status
 * of the denial, or as a JSON-RPC error.
 */
export class DeniedCall extends RestRequestMalformedError {
  readonly code = 'DENIED_CALL';

  constructor({ reason }: Denied) {
    super({ message: 'The call is denied.', statusCode: denialStatuses[reason].http });
  }
}

/** Each with whose `protect()` made it. */
const guardedHandlers = new WeakMap<object, object>();

/**
 * @throws {ConfigurationError} `UNPROTECTED_HANDLER` unless the `protect()` of this `AgentSecurity` returned it
 */
export function assertProtected(handler: object | undefined, by: object, user: string): void {
  const protectedBy = handler === undefined ? undefined : guardedHandlers.get(handler);
  if (protectedBy === by) return;
  throw protectedBy === undefined
    ? configurationError(
        'UNPROTECTED_HANDLER',
        `${user} was given a request handler that is not protected, so that a call past it would reach the agent. Give it what security.protect(requestHandler) returns, and the same to the SDK's handlers.`,
      )
    : protectedByAnother(user);
}

function protectedByAnother(user: string): Error {
  return configurationError(
    'UNPROTECTED_HANDLER',
    `${user} was given a request handler that another AgentSecurity protects, which denies every call that this one lets in. Use one AgentSecurity for both.`,
  );
}

/**
 * The last gate before the agent: lets only calls through that carry a grant, answers the denied message operations
 * with an auth-required task, and refuses the rest. Methods that a later SDK may add are not passed on.
 */
export function protectRequestHandler(protection: Protection, handler: A2ARequestHandler): A2ARequestHandler {
  if (typeof (handler as Partial<A2ARequestHandler> | undefined)?.getAgentCard !== 'function') {
    throw configurationError(
      'INVALID_OPTION',
      'protect() needs the request handler of the SDK, such as a DefaultRequestHandler.',
    );
  }

  if (![undefined, protection.by].includes(guardedHandlers.get(handler)))
    throw protectedByAnother('protect()');

  function decisionOf(context: ServerCallContext, operation: Operation): Decision {
    return (
      protection.recognise(CallerUser.decisionOf(context.user), operation) ??
      protection.denyUnauthenticated(operation)
    );
  }

  function assertGranted(context: ServerCallContext, operation: Operation): void {
    const decision = decisionOf(context, operation);
    if (!decision.granted) throw new DeniedCall(decision);
  }

  async function deniedTask(denied: Denied, params: SendMessageRequest) {
    if (protection.denials.messages === 'http' || denied.retryAfter !== undefined)
      throw new DeniedCall(denied);
    return authRequiredTask(denied, {
      contextId: params.message?.contextId === '' ? undefined : params.message?.contextId,
      agentCardUrl: agentCardUrl(protection, await handler.getAgentCard()),
    });
  }

  // The SDK asks for the card with every request, so a card object is compared with what we publish only once.
  let latest: { from: AgentCard; published: AgentCard } | undefined;
  function publishOnce(card: AgentCard): AgentCard {
    if (latest?.from !== card) latest = { from: card, published: protection.publish(card) };
    const { securitySchemes, securityRequirements } = latest.published;
    return { ...card, securitySchemes, securityRequirements };
  }

  // A card that contradicts what is enforced fails every call; whoever starts the agent is to know before the first.
  const check = async () => publishOnce(await handler.getAgentCard());
  void check().catch((error: unknown) => {
    process.emitWarning(error instanceof Error ? error : String(error));
  });

  const subscribe = sharedSubscriptions(handler);

  const guarded: A2ARequestHandler = {
    async getAgentCard() {
      return publishOnce(await handler.getAgentCard());
    },
    async getAuthenticatedExtendedAgentCard(params, context) {
      const decision = decisionOf(context, 'GetExtendedAgentCard');
      if (!decision.granted) throw new DeniedCall(decision);
      // The extended card always needs an authenticated caller (A2A 1.0 §13.3).
      if (decision.isAnonymous) throw new DeniedCall(protection.denyUnauthenticated('GetExtendedAgentCard'));
      return protection.publish(await handler.getAuthenticatedExtendedAgentCard(params, context));
    },
    async sendMessage(params, context) {
      const decision = decisionOf(context, 'SendMessage');
      return decision.granted ? handler.sendMessage(params, context) : deniedTask(decision, params);
    },
    async *sendMessageStream(params, context) {
      const decision = decisionOf(context, 'SendStreamingMessage');
      if (decision.granted) {
        const events = handler.sendMessageStream(params, context);
        // The SDK's own handler stores the events of a message's task only while they are read.
        yield* isOfSdk(handler, 'sendMessageStream') ? readToTheEnd(events) : events;
      } else {
        yield { payload: { $case: 'task', value: await deniedTask(decision, params) } };
      }
    },
    async getTask(params, context) {
      assertGranted(context, 'GetTask');
      return handler.getTask(params, context);
    },
    async listTasks(params, context) {
      assertGranted(context, 'ListTasks');
      return handler.listTasks(params, context);
    },
    async cancelTask(params, context) {
      assertGranted(context, 'CancelTask');
      return handler.cancelTask(params, context);
    },
    async *resubscribe(params, context) {
      assertGranted(context, 'SubscribeToTask');
      // Another handler may tell one call of a caller more than the next one.
      yield* isOfSdk(handler, 'resubscribe')
        ? subscribe(params, context)
        : handler.resubscribe(params, context);
    },
    async createTaskPushNotificationConfig(params, context) {
      assertGranted(context, 'CreateTaskPushNotificationConfig');
      return handler.createTaskPushNotificationConfig(params, context);
    },
    async getTaskPushNotificationConfig(params, context) {
      assertGranted(context, 'GetTaskPushNotificationConfig');
      return handler.getTaskPushNotificationConfig(params, context);
    },
    async listTaskPushNotificationConfigs(params, context) {
      assertGranted(context, 'ListTaskPushNotificationConfigs');
      return handler.listTaskPushNotificationConfigs(params, context);
    },
    async deleteTaskPushNotificationConfig(params, context) {
      assertGranted(context, 'DeleteTaskPushNotificationConfig');
      return handler.deleteTaskPushNotificationConfig(params, context);
    },
  };
  guardedHandlers.set(guarded, protection.by);
  return guarded;
}

function isOfSdk(handler: A2ARequestHandler, method: 'sendMessageStream' | 'resubscribe'): boolean {
  const sdk: Pick<A2ARequestHandler, typeof method> = DefaultRequestHandler.prototype;
  // eslint-disable-next-line @typescript-eslint/unbound-method -- compared, not called
  return Object.is(handler[method], sdk[method]);
}

/** A caller who leaves a stream does not end its task, and may come back for it: somebody has to read on. */
async function* readToTheEnd(events: AsyncGenerator<StreamResponse, void, undefined>) {
  let isOver = false;
  try {
    for (;;) {
      const next = await events.next();
      isOver = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // An error has ended it too: there is nothing left to read then.
    if (!isOver) void drain(events);
  }
}

async function drain(events: AsyncIterator<unknown>): Promise<void> {
  try {
    while ((await events.next()).done !== true);
  } catch {
    // Nobody is left to be told.
  }
}

/**
 * Where the agent card is: as configured, or at the well-known path of the origin of the card's first interface that has
 * one. Those of gRPC are often a bare host and port.
 */
export function agentCardUrl(
  { agentCardUrl }: Pick<Protection, 'agentCardUrl'>,
  card: AgentCard,
): string | undefined {
  if (agentCardUrl !== undefined) return agentCardUrl;
  const first = card.supportedInterfaces.find(({ url }) => /^https?:/i.test(url) && URL.canParse(url));
  return first === undefined ? undefined : new URL('/.well-known/agent-card.json', first.url).href;
}
