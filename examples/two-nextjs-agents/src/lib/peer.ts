import { clientCredentials, connect } from '@a2a-auth/client';
import type { Client } from '@a2a-js/sdk/client';

import { oncePerProcess } from './once.js';
import { resourceOf, type Settings } from './settings.js';
import { question } from './turn.js';
import type { AskPeer } from './turn-taker.js';

/** For the whole rest of the conversation. */
const TIMEOUT_MS = 30_000;

/**
 * The way to the other agent, with the credentials of this app: tokens for that agent alone, whatever its card says.
 *
 * @param scope the one scope that the card may ask for
 */
export function peer({ peerUrl, issuer, clientId, clientSecret }: Settings, scope: string): AskPeer {
  // When it is first needed: the other app may start after this one.
  const client = oncePerProcess<Client>('peer', () =>
    connect(peerUrl, {
      credentials: [clientCredentials({ issuer, clientId, clientSecret, allowedScopes: [scope] })],
      resource: resourceOf(peerUrl),
    }),
  );
  return async function* (turn) {
    const request = {
      tenant: '',
      message: question(turn),
      configuration: undefined,
      metadata: undefined,
    };
    yield* (await client()).sendMessageStream(request, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  };
}
