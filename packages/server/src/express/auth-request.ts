import { parse as parseCookie } from 'cookie';
import type { Request } from 'express';

import type { AuthRequest } from '../auth-request.js';

const none: readonly string[] = Object.freeze([]);

/** The neutral view of an Express request. Nothing is parsed before a scheme asks for it. */
export function toAuthRequest(req: Request): AuthRequest {
  let query: URLSearchParams | undefined;
  return {
    method: req.method,
    get url() {
      return `${req.protocol}://${req.get('host') ?? ''}${req.originalUrl}`;
    },
    get remoteAddress() {
      return req.ip;
    },
    header: (name) => headerValues(req, name),
    query(name) {
      const start = req.originalUrl.indexOf('?');
      if (start === -1) return none;
      query ??= new URLSearchParams(req.originalUrl.slice(start + 1));
      return query.getAll(name);
    },
    cookie: (name) => cookieValues(headerValues(req, 'cookie'), name),
  };
}

/**
 * Every value of a header as it was sent. `req.headers` alone would hide repetition: Node drops a second Authorization
 * header and joins most others.
 */
function headerValues(req: Request, name: string): readonly string[] {
  const lowerCased = name.toLowerCase();
  const joined = Object.hasOwn(req.headers, lowerCased) ? req.headers[lowerCased] : undefined;
  if (joined === undefined) return none;
  const values: string[] = [];
  const raw = req.rawHeaders;
  for (let index = 0; index < raw.length; index += 2) {
    const rawName = raw[index];
    if (rawName?.length === lowerCased.length && rawName.toLowerCase() === lowerCased) {
      values.push(raw[index + 1] ?? '');
    }
  }
  // A middleware before us may have set or rewritten the header.
  return values.length > 1 ? values : [joined].flat();
}

/** Each pair is read on its own, because a parser of the whole field keeps only one of several equal names. */
function cookieValues(fields: readonly string[], name: string): readonly string[] {
  return fields
    .flatMap((field) => field.split(';'))
    .flatMap((pair) => {
      const cookies = parseCookie(pair);
      return Object.hasOwn(cookies, name) ? [cookies[name] ?? ''] : [];
    });
}
