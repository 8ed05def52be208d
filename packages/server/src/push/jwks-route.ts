import type { IncomingMessage, ServerResponse } from 'node:http';

import type { PushKeys } from './push-keys.js';

/** Much shorter than keys stay published after a rotation. */
const HEADERS = { 'content-type': 'application/jwk-set+json', 'cache-control': 'public, max-age=300' };

/**
 * Serves the public keys, to everybody, and passes everything else on: for Express, in front of whatever authenticates, or
 * for `node:http`.
 *
 * @param path default `/.well-known/jwks.json`
 */
export function jwksRoute(
  keys: PushKeys,
  path = '/.well-known/jwks.json',
): (req: IncomingMessage, res: ServerResponse, next?: () => void) => void {
  return (req, res, next) => {
    const isAsked = req.url?.split('?', 1)[0] === path && ['GET', 'HEAD'].includes(req.method ?? '');
    if (!isAsked) {
      if (next === undefined) res.writeHead(404).end();
      else next();
      return;
    }
    const body = JSON.stringify(keys.jwks());
    res.writeHead(200, { ...HEADERS, 'content-length': Buffer.byteLength(body) });
    res.end(req.method === 'HEAD' ? undefined : body);
  };
}

/** The public keys as a Response, for routers on web standards. */
export function jwksResponse(keys: PushKeys): Response {
  return new Response(JSON.stringify(keys.jwks()), { headers: HEADERS });
}
