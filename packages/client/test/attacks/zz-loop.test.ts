import { openLoopbackRedirect } from '/work/main/packages/client/src/oauth/loopback-redirect.js';
import { connect } from 'node:net';
import { once } from 'node:events';
import { it } from 'vitest';
it('x', async () => {
  const r = await openLoopbackRedirect('S'.repeat(43), {});
  const port = Number(new URL(r.redirectUri).port);
  const socks = [];
  for (let i = 0; i < 20; i++) { const s = connect(port, '127.0.0.1'); s.on('error', () => 0); await once(s, 'connect'); socks.push(s); }
  const t = Date.now();
  for (;;) {
    const ok = await fetch(`${r.redirectUri}?state=${'S'.repeat(43)}&code=x`).then((x) => x.status, (e) => String(e.cause?.code ?? e));
    console.log(Date.now() - t, ok);
    if (ok === 200) break;
    await new Promise((f) => setTimeout(f, 500));
  }
  await r.close();
  // huge and slow
  const q = await openLoopbackRedirect('S'.repeat(43), {});
  const p = Number(new URL(q.redirectUri).port);
  const s = connect(p, '127.0.0.1'); s.on('error', () => 0); s.write('GET /callback?' + 'x'.repeat(50000) + ' HTTP/1.1\r\nHost: 127.0.0.1:' + p + '\r\n\r\n');
  s.on('data', (d) => console.log('huge', String(d).split('\r\n')[0]));
  await once(s, 'close');
  for (const raw of [`GET http://evil.example/callback?state=${'S'.repeat(43)} HTTP/1.1\r\nHost: 127.0.0.1:${p}\r\n\r\n`, `GET //evil/callback?state=${'S'.repeat(43)} HTTP/1.1\r\nHost: 127.0.0.1:${p}\r\n\r\n`, `GET /callback?state=${'S'.repeat(43)} HTTP/1.1\r\nHost: 127.0.0.1:${p}\r\nHost: evil\r\n\r\n`, `GET /callback?state=${'S'.repeat(43)} HTTP/1.0\r\n\r\n`, `OPTIONS /callback?state=${'S'.repeat(43)} HTTP/1.1\r\nHost: 127.0.0.1:${p}\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Private-Network: true\r\n\r\n`, `GET /callback?state=${'S'.repeat(43)} HTTP/1.1\r\nHost: 127.0.0.1:${p}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n`, `CONNECT 127.0.0.1:${p} HTTP/1.1\r\nHost: 127.0.0.1:${p}\r\n\r\n`]) {
    const c = connect(p, '127.0.0.1'); c.on('error', () => 0); c.write(raw); let out = ''; c.on('data', (d) => (out += d)); await once(c, 'close'); console.log(raw.slice(0, 40).trim(), '=>', out.split('\r\n')[0]);
  }
  await q.close();
}, 60000);
