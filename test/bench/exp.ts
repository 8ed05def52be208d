import { measureHttp } from './exp-http.js';
import { fullEffort } from './settings.js';
const ms = await measureHttp({
  ...fullEffort,
  rounds: Number(process.env.ROUNDS ?? 5),
  warmUpRequests: Number(process.env.WARM ?? 3000),
});
const med = (a: number[]) => [...a].sort((x, y) => x - y)[a.length >> 1]!;
for (const m of ms) {
  const [base] = m.values();
  for (const [k, v] of m)
    console.log(
      k.padEnd(30),
      Math.round(med(v.requestsPerSecond)),
      'cpu',
      Math.round(med(v.cpu)),
      'of first',
      med(v.requestsPerSecond.map((x, i) => x / base!.requestsPerSecond[i]!)).toFixed(3),
    );
}
