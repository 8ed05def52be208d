import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';

import type { CredentialRequest, CredentialSource, ReceivedChallenge } from '@a2a-auth/client';
import type { OAuthFlowDeclaration, SecuritySchemeDeclaration } from '@a2a-auth/server/card';
import { expect } from 'vitest';

import { listen } from '../support/oauth/servers.js';

type Flow = OAuthFlowDeclaration['type'];

/** A scheme of a card, with endpoints that nobody may call unless the test says where they are. */
export function oauthScheme(
  type: Flow = 'clientCredentials',
  at = 'https://evil.example',
): SecuritySchemeDeclaration {
  const common = { tokenUrl: `${at}/token`, scopes: { ask: 'Ask.', admin: 'Run.' } };
  switch (type) {
    case 'clientCredentials':
      return { type: 'oauth2', flow: { type, ...common } };
    case 'authorizationCode':
      return {
        type: 'oauth2',
        flow: { type, authorizationUrl: `${at}/auth`, pkceRequired: true, ...common },
      };
    case 'deviceCode':
      return { type: 'oauth2', flow: { type, deviceAuthorizationUrl: `${at}/device/auth`, ...common } };
  }
}

export const bearerScheme: SecuritySchemeDeclaration = { type: 'http', scheme: 'Bearer' };

export function requestFor(
  resource: string | undefined,
  changes: Partial<CredentialRequest> = {},
): CredentialRequest {
  return {
    schemeId: 'oauth',
    scheme: oauthScheme(),
    scopes: ['ask'],
    resource,
    http: { method: 'POST', url: `${resource ?? 'https://agent.example'}/jsonrpc` },
    ...changes,
  };
}

/** Polls as soon as it may: the server leaves the interval at its default of five seconds. */
export const impatient: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  if (!new Request(input).url.endsWith('/device/auth')) return response;
  return Response.json({ ...((await response.json()) as object), interval: 0.02 }, response);
};

/** The token that a source gives. */
export async function tokenOf(source: CredentialSource, request: CredentialRequest): Promise<string> {
  const { headers } = await source.credential(request);
  return headers?.authorization?.split(' ')[1] ?? '';
}

/** Tells a source that the agent refused what it gave. */
export async function refuse(
  source: CredentialSource,
  request: CredentialRequest,
  authorization: string,
  challenge?: ReceivedChallenge,
): Promise<boolean | undefined> {
  return source.renew?.({ ...request, refused: { headers: { authorization } }, challenge });
}

interface ScriptedCall {
  readonly path: string;
  readonly form: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
}

type Answer = (response: ServerResponse, call: ScriptedCall) => void;

/**
 * An authorization server that answers as the test says: for what a real one never does. Its metadata is right unless said
 * otherwise.
 */
export async function scriptedServer(
  answers: Readonly<Record<string, Answer>> = {},
  metadata: Readonly<Record<string, unknown>> = {},
) {
  const { url, serve } = await listen();
  const calls: ScriptedCall[] = [];
  const all: Record<string, Answer> = {
    '/.well-known/openid-configuration': (response) => {
      sendJson(response, 200, {
        issuer: url,
        authorization_endpoint: `${url}/auth`,
        token_endpoint: `${url}/token`,
        device_authorization_endpoint: `${url}/device`,
        authorization_response_iss_parameter_supported: true,
        ...metadata,
      });
    },
    ...answers,
  };
  const listener: RequestListener = (request, response) => {
    void text(request).then((body) => {
      const call = {
        path: new URL(request.url ?? '', url).pathname,
        form: new URLSearchParams(body),
        headers: request.headers,
      };
      calls.push(call);
      const answer = all[call.path];
      if (answer === undefined) response.writeHead(404).end();
      else answer(response, call);
    });
  };
  serve(listener);
  return {
    url,
    calls,
    on(path: string, answer: Answer): void {
      all[path] = answer;
    },
    callsOf: (path: string) => calls.filter((call) => call.path === path),
  };
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}

/** What a token endpoint gives. */
export function tokenAnswer(changes: Readonly<Record<string, unknown>> = {}): Answer {
  return (response) => {
    sendJson(response, 200, {
      access_token: 'an-access-token',
      token_type: 'Bearer',
      expires_in: 600,
      ...changes,
    });
  };
}

/** The error a promise is rejected with. None of the secrets is in what a log would show of it. */
export async function failure(promise: Promise<unknown>, ...secrets: readonly string[]): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    const shown = `${String(error)} ${inspect(error, { depth: 10, showHidden: true })} ${JSON.stringify(error)}`;
    for (const secret of secrets) expect(shown).not.toContain(secret);
    return error;
  }
  throw new Error('It was expected to fail.');
}
