import { jsonRpcHandler } from '@a2a-js/sdk/server/express';
import express from 'express';
import { describe, expect, it } from 'vitest';

/** Express 4 keeps this step of its router as a method; in Express 5 it is private. */
const majorOf = (router: object) => ('process_params' in router ? '4' : '5');

describe('the Express these suites run with', () => {
  const expected = process.env.A2A_AUTH_EXPRESS;

  it('is the one of the project', () => {
    expect(majorOf(express.Router())).toBe(expected);
  });

  it('is the one the SDK uses as well', () => {
    const handler = jsonRpcHandler({
      requestHandler: {} as Parameters<typeof jsonRpcHandler>[0]['requestHandler'],
      userBuilder: () => Promise.reject(new Error('not called')),
    });
    expect(majorOf(handler)).toBe(expected);
  });
});
