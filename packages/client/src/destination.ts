import type { SecuritySchemeDeclaration } from '@a2a-auth/server/card';

import { quote } from './quote.js';

/** A token of RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;

/**
 * Header fields in which a card cannot have a credential: they steer the connection, the proxies in between, or the
 * protocol, are made by the client itself, or are written to logs as a matter of course.
 */
const reserved = new Set([
  '__proto__', // which fetch loses
  'age',
  'allow',
  'connection',
  'content-disposition',
  'cookie',
  'cookie2',
  'date',
  'dnt',
  'early-data',
  'expect',
  'forwarded',
  'from',
  'host',
  'http2-settings',
  'keep-alive',
  'link',
  'location',
  'max-forwards',
  'origin',
  'pragma',
  'range',
  'referer',
  'server',
  'set-cookie',
  'set-cookie2',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'vary',
  'via',
  'warning',
  'www-authenticate',
  'x-a2a-extensions',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-real-ip',
  'x-request-id',
]);
const reservedPrefix =
  /^(accept|a2a-|access-control-|cache-control|client-cert|content-|if-|proxy-|sec-|traceparent|tracestate|x-forwarded-|x-original-|x-rewrite-)/;

/** Why no credential may go into the header of this name; undefined when it may. */
export function headerProblem(name: string): string | undefined {
  if (!token.test(name)) return `${quote(name)} is no header name`;
  const lower = name.toLowerCase();
  return reserved.has(lower) || reservedPrefix.test(lower)
    ? `the header ${name} is none for credentials`
    : undefined;
}

/** Why no credential can go where the card wants it; undefined when it can. */
export function destinationProblem(scheme: SecuritySchemeDeclaration): string | undefined {
  if (scheme.type === 'http' && !token.test(scheme.scheme)) return 'it names no HTTP authentication scheme';
  if (scheme.type !== 'apiKey') return undefined;
  switch (scheme.in) {
    case 'header':
      return headerProblem(scheme.name);
    case 'cookie':
      return token.test(scheme.name) ? undefined : 'it declares a cookie name that is none';
    case 'query':
      // In JSON a name may hold anything; a lone surrogate cannot be written into a URL.
      return scheme.name.length <= 128 && !/\p{Surrogate}/u.test(scheme.name)
        ? undefined
        : 'it declares a query parameter name that is none';
  }
}
