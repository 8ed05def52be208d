import { expect, it } from 'vitest';

import { queryOf } from '../../src/http/query.js';

it.each([
  ['/tasks', {}],
  ['/tasks?', {}],
  ['/tasks?tenant=mine', { tenant: 'mine' }],
  ['https://agent.example/tasks?tenant=my%20own+one', { tenant: 'my own one' }],
  ['/tasks?a=1&b=2&a=3', { a: ['1', '3'], b: '2' }],
  ['/tasks?tenant[a]=b', { 'tenant[a]': 'b' }],
  ['/tasks?tenant=mine#?tenant=yours', { tenant: 'mine' }],
  ['/tasks#?tenant=yours', {}],
  ['/tasks?a=?b=1', { a: '?b=1' }],
  ['/tasks?a=%zz', { a: '%zz' }],
])('of %s', (target, query) => {
  expect(queryOf(target)).toEqual(query);
});

it('has the names of what every object has as names like any other', () => {
  const query = queryOf('/tasks?__proto__=a&constructor=b');
  expect(Object.entries(query)).toEqual([
    ['__proto__', 'a'],
    ['constructor', 'b'],
  ]);
  expect(Object.getPrototypeOf(query)).toBe(Object.prototype);
});
