import type { Serializable } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { AGENT_CARD_PATH, Role, type AgentCard } from '@a2a-js/sdk';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryTaskStore,
  type AgentExecutor,
  type User,
} from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, restHandler } from '@a2a-js/sdk/server/express';
import express, { Router, type Express, type Request, type RequestHandler } from 'express';

import { AGENT_PATH } from '../settings.js';

const card: AgentCard = {
  name: 'Tiny agent',
  description: 'Answers at once.',
  version: '1.0.0',
  supportedInterfaces: [
    { url: `http://localhost${AGENT_PATH}`, protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: '' },
    { url: 'localhost', protocolBinding: 'GRPC', protocolVersion: '1.0', tenant: '' },
  ],
  provider: undefined,
  capabilities: { streaming: false, pushNotifications: false, extendedAgentCard: false, extensions: [] },
  securitySchemes: {},
  securityRequirements: [],
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [],
  signatures: [],
};

const executor: AgentExecutor = {
  async execute({ contextId, userMessage }, eventBus) {
    eventBus.publish(
      AgentEvent.message({
        messageId: `re-${userMessage.messageId}`,
        taskId: '',
        contextId,
        role: Role.ROLE_AGENT,
        parts: [
          {
            content: { $case: 'text', value: 'Hello.' },
            mediaType: 'text/plain',
            filename: '',
            metadata: undefined,
          },
        ],
        metadata: undefined,
        extensions: [],
        referenceTaskIds: [],
      }),
    );
    eventBus.finished();
  },
  cancelTask: () => Promise.resolve(),
};

/** The agent that every server runs, as the SDK has it. */
export function createRequestHandler(): DefaultRequestHandler {
  return new DefaultRequestHandler(card, new InMemoryTaskStore(), executor);
}

/** The agent behind a middleware of somebody else's, with the routes that `agentRouter` has. */
export function agentBehind(middleware: readonly RequestHandler[], userOf: (req: Request) => User): Express {
  const requestHandler = createRequestHandler();
  const options = {
    requestHandler,
    userBuilder: (req: Request) => Promise.resolve(userOf(req)),
    legacyCompat: { enabled: true },
  };
  const router = Router();
  router.use(`/${AGENT_CARD_PATH}`, agentCardHandler({ agentCardProvider: requestHandler }));
  router.use(AGENT_PATH, ...middleware, jsonRpcHandler(options));
  router.use('/a2a/rest', ...middleware, restHandler(options));
  return createApp().use(router);
}

export function createApp(): Express {
  const app = express();
  app.disable('x-powered-by');
  return app;
}

export function userNamed(userName: string | undefined): User {
  return { isAuthenticated: userName !== undefined, userName: userName ?? '' };
}

/** What the parent process gave this server. */
export function settings<T>(): Readonly<T> {
  return JSON.parse(process.argv[2] ?? '') as T;
}

/**
 * Listens, tells the parent process where, and answers what it sends.
 *
 * @param answer left out: the processor time used so far
 */
export async function serve(
  app: Express,
  answer: (question: unknown) => Serializable = processorTime,
): Promise<void> {
  const server = createServer(app);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  report((server.address() as AddressInfo).port, answer);
}

/** Tells the parent process the port that something listens at, and answers what it sends. */
export function report(port: number, answer: (question: unknown) => Serializable = processorTime): void {
  process.on('message', (question) => {
    process.send?.(answer(question));
  });
  process.once('disconnect', () => process.exit(0));
  process.send?.({ port });
}

function processorTime(): { cpuMicroseconds: number } {
  const { user, system } = process.cpuUsage();
  return { cpuMicroseconds: user + system };
}
