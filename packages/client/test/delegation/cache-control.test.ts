import { expect, it } from 'vitest';

import { lifetimeOf } from '../../src/delegation/cache-control.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

it.each<[Record<string, string>, number, number]>([
  [{}, MINUTE, 0],
  [{ 'cache-control': 'max-age=300' }, 5 * MINUTE, 0],
  [{ 'cache-control': 'public, MAX-AGE="300"' }, 5 * MINUTE, 0],
  [{ 'cache-control': 'max-age=300', age: '60' }, 4 * MINUTE, 0],
  [{ 'cache-control': 'max-age=300', age: '600' }, 0, 0],
  [{ 'cache-control': 'max-age=60, stale-while-revalidate=120' }, MINUTE, 2 * MINUTE],
  [{ 'cache-control': 'max-age=60, stale-while-revalidate=120, must-revalidate' }, MINUTE, 0],
  [{ 'cache-control': 'no-cache, max-age=60, stale-while-revalidate=120' }, 0, 0],
  [{ 'cache-control': 'max-age=0' }, 0, 0],
  [{ 'cache-control': 'max-age' }, 0, 0],
  [{ 'cache-control': 'max-age=-5' }, 0, 0],
  [{ 'cache-control': 'max-age=1e9' }, 0, 0],
  [{ 'cache-control': 'max-age=0, max-age=300' }, 0, 0],
  [{ 'cache-control': 's-maxage=300, max-age=60' }, MINUTE, 0],
  [{ 'cache-control': 'max-age=99999999, stale-while-revalidate=99999999' }, DAY, 0],
  [{ 'cache-control': 'max-age=3600, stale-while-revalidate=99999999' }, DAY / 24, (DAY * 23) / 24],
  [{ 'cache-control': 'max-age=99999999999999999999' }, 0, 0],
  [{ vary: '*', 'cache-control': 'max-age=60' }, 0, 0],
  [{ expires: '0' }, 0, 0],
  [{ expires: 'Sat, 01 Jan 2000 00:01:00 GMT', date: 'Sat, 01 Jan 2000 00:00:00 GMT' }, MINUTE, 0],
  [{ expires: 'Sat, 01 Jan 2000 00:00:00 GMT' }, 0, 0],
  [{ expires: '0', 'cache-control': 'max-age=60' }, MINUTE, 0],
])('%j', (headers, fresh, staleWhileRevalidate) => {
  expect(lifetimeOf(new Headers(headers))).toEqual({ fresh, staleWhileRevalidate });
});

it.each(['no-store', 'max-age=60, No-Store', 'no-store="x"'])('%s is not kept', (field) => {
  expect(lifetimeOf(new Headers({ 'cache-control': field }))).toBeUndefined();
});
