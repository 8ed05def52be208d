import fc from 'fast-check';
import { it } from 'vitest';
import { generatedRequest } from '../support/generated-request.js';
import { muteConsole } from '../support/quiet.js';
import { exchange } from '../support/raw-http.js';
import { closeServersAfterTests, startAgent } from '../support/server.js';
import { startFetchAgent } from './support.js';
closeServersAfterTests();
muteConsole();
const norm = (s: string) => s.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g,'UUID').replace(/127.0.0.1:\d+/g,'HOST').replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g,'TIME').replace(/HTTP\/1.1 /,'').replace(/\r\n(date|connection|etag|keep-alive|content-length|transfer-encoding|x-powered-by):[^\r]*/gi,'').replace(/; ?charset=utf-8/gi,'').split('\r\n').map((l)=>l.replace(/^[^:]+:/,(m)=>m.toLowerCase())).join('|').replace(/\|www-authenticate: (?=[^|]*)/g, ', ').split('|').map((l)=>l.trim()).sort((a,b)=>a.replace(/:.*/,'')<b.replace(/:.*/,'')?-1:1).join('|');
it('differs', { timeout: 600_000 }, async () => {
  const e = await startAgent(), f = await startFetchAgent();
  let n = 0; const kinds = new Map<string, {count:number, ex: string}>();
  await fc.assert(fc.asyncProperty(generatedRequest, async ({ authenticated, request }) => {
    const [a, b] = await Promise.all([exchange(e.port, request), exchange(f.port, request)]);
    const ha = norm(a.head), hb = norm(b.head), ba = norm(a.body), bb = norm(b.body);
    if (/<!doctype/i.test(a.body) && (b.status===404||b.status===405)) return;
    if (request.method==='OPTIONS' || /^.a2a.jsonrpc[^?]/.test(request.target)) return;
    if (['GET','HEAD'].includes(request.method) && request.body !== undefined) return;
 if (request.headers?.some(([n,v])=>n==='Content-Encoding'&&v==='br')) return;
    if (a.status !== b.status || ba !== bb) {
      const key = `${a.status} -> ${b.status} ${a.status===b.status? ba.slice(0,60)+' ## '+bb.slice(0,60):''}`;
      const k = kinds.get(key) ?? {count:0, ex: JSON.stringify({authenticated, request}).slice(0,500)+'\n   E '+a.body.slice(0,200)+'\n   F '+b.body.slice(0,200)};
      k.count++; kinds.set(key,k); n++;
    } else if (ha !== hb) { const key='HEAD '+a.status; const k = kinds.get(key) ?? {count:0, ex: ha+'\n   '+hb+'\n'+JSON.stringify(request).slice(0,300)}; k.count++; kinds.set(key,k); n++; }
  }), { seed: Number(process.env.A2A_AUTH_SEED ?? 1), numRuns: Number(process.env.RUNS ?? 3000), endOnFailure: false });
  process.stdout.write(`${n} differ\n`);
  for (const [k, v] of kinds) process.stdout.write(`\n== ${k} x${v.count}\n   ${v.ex}\n`);
});
